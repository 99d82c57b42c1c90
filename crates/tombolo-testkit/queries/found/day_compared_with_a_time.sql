-- tables: rows 30200016
-- The estimate of the filter was wrong, which was an error.
SELECT t2."id" FROM lake.delta_4 AS t2 WHERE (t2."day" >= CAST(t2."at" AS DATE))
