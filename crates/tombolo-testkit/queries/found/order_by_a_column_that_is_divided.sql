-- tables: fixtures
-- SQLite too
-- The filter was held to leave one id, and the order was dropped.
SELECT t1."id" FROM lake."integers" AS t1 WHERE ((t1."id" / 7) = 1) ORDER BY t1."id" DESC
