-- tables: fixtures
-- SQLite too
-- The filter has no columns, so DataFusion pushed it below the aggregate of a side of the join, which has one row all the same.
SELECT t2.id FROM (SELECT max(t1.id) AS m FROM shop.customers AS t1) AS d CROSS JOIN lake.pairs AS t3 JOIN lake.truths AS t2 ON t2.id = t3.k
WHERE (SELECT max(FALSE) FROM shop.customers AS t4)
