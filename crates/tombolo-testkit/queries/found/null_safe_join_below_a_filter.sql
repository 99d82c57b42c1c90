-- tables: fixtures
-- The same with a key in WHERE: null equalled null in it.
SELECT t1.id, t2.sku FROM lake.orders AS t1 JOIN mem.products AS t2 ON t2.title IS NOT DISTINCT FROM t1.note
WHERE t2.stock = t1.quantity
