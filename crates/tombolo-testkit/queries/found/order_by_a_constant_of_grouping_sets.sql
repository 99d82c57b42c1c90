-- tables: fixtures
-- A constant below grouping sets was held to be one above them, so that nothing was sorted by it.
SELECT d.c AS c23 FROM (SELECT 'a' AS c FROM lake.customers AS t1) AS d GROUP BY CUBE (d.c) ORDER BY c23
