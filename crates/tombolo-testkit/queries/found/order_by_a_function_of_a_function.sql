-- tables: rows 20200034
-- What abs is of has no known range, which was an error where an order by it was looked for.
SELECT abs(CASE WHEN t1.j > 1 THEN t1.k END) AS c6 FROM mem.gamma_3 AS t1 LEFT JOIN lake.beta_2 AS t3 ON TRUE ORDER BY c6 LIMIT 3
