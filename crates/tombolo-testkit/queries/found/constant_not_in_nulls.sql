-- tables: fixtures
-- SQLite too
-- The constant was no key of the anti join, which so did not see that a null leaves no row.
SELECT t1.id FROM lake.ties AS t1 WHERE 12 NOT IN (SELECT t2.k FROM shop.pairs AS t2 WHERE t2.k IS NULL)
