-- tables: fixtures
-- SQLite too
-- DataFusion makes a left join of the sub-select; the constant that was left of coalesce was NULL for customers without a pair.
SELECT t1.id FROM shop.customers AS t1
WHERE t1.name IS DISTINCT FROM (SELECT coalesce('North', max(t2.label)) AS c FROM lake.pairs AS t2 WHERE t2.k = t1.id)
