-- tables: fixtures
-- SQLite too
-- DataFusion's push-down of projections failed with an internal error.
SELECT t3.id AS c5, nullif(t1.note, t3.region) AS c6 FROM lake.orders AS t1 JOIN lake.pairs AS t2 ON TRUE
FULL JOIN shop.customers AS t3 ON TRUE WHERE t1.quantity IS NOT DISTINCT FROM 3
