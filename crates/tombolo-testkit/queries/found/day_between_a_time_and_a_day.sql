-- tables: rows 30200016
-- The estimate of the filter was wrong, which was an error.
SELECT CAST(NULL AS DECIMAL(15, 2)) AS c5 FROM lake.delta_4 AS t1 JOIN lake.delta_4 AS t2 ON TRUE WHERE (t2."day" BETWEEN CAST(t2."at" AS DATE) AND t1."day")
