-- tables: fixtures
-- What the filter says of its columns was forgotten after the window had been planned with it, which was an error.
SELECT avg(1) OVER (PARTITION BY t2.i16 ORDER BY t2.i32, t2.i16 DESC NULLS LAST, t2."id" DESC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS c3 FROM lake."integers" AS t2 WHERE (t2.i16 = 7) AND (t2.i16 NOT IN ((-32768), (-1)))
