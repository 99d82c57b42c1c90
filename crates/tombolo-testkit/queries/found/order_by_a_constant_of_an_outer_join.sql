-- tables: fixtures
-- SQLite too
-- The filter on the side that is filled up made its column constant above the join, so that nothing was sorted by it.
SELECT t2.id AS c3 FROM lake.orders AS t1 LEFT JOIN lake.customers AS t2 ON t1.customer_id = t2.id AND t2.id = 1 ORDER BY c3 NULLS LAST
