-- tables: fixtures
-- An order that comes of the window was lost above it, which was an error.
SELECT last_value(TIMESTAMP '2030-01-01 12:30:00') OVER (PARTITION BY d3.c2 ORDER BY d3.c2 DESC, d3.c2 NULLS FIRST) AS c4, d3.c2 FROM (SELECT coalesce(max(CAST(NULL AS TIMESTAMP)), TIMESTAMP '2024-01-01 00:00:00') AS c2 FROM lake."integers" AS t1 GROUP BY t1.i16 ORDER BY c2 DESC LIMIT 7) AS d3 ORDER BY c2 DESC, c4
