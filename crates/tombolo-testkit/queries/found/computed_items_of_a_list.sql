-- tables: fixtures
-- SQLite too
-- DataFusion computed the list for no rows to see whether it is constant, where a CASE gives null, and took that for its value.
SELECT t1.id FROM lake.ties AS t1 WHERE coalesce(t1.k, t1.k) IN (CASE WHEN t1.id > 0 THEN t1.k WHEN t1.id > 5 THEN t1.k END, 9)
