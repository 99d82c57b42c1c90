-- tables: fixtures
-- The rows of the window come in an order, with which DataFusion could not end the DISTINCT after so many.
SELECT t9.credit AS c10, min(t9.credit) OVER (PARTITION BY t9.credit ORDER BY t9.name) AS c11 FROM lake.customers AS t9
EXCEPT SELECT CAST('-5.00' AS DECIMAL(12, 2)), max(CAST(NULL AS DECIMAL(15, 2))) FROM lake.customers AS t13 HAVING FALSE LIMIT 3
