-- tables: fixtures
-- DataFusion compared the keys of both joins as IS NOT DISTINCT FROM does: nulls of stock found nulls of quantity.
SELECT t5.region FROM lake.orders AS t1 JOIN mem.products AS t2 ON t2.stock = t1.quantity
JOIN shop.customers AS t5 ON t5.id IS NOT DISTINCT FROM t1.customer_id
