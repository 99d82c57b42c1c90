-- tables: fixtures
-- The same by the order of a window, whose keys are of both sides of the join.
SELECT lag(t3.id) OVER (ORDER BY t3.i8 NULLS LAST, t1.id DESC, t3.id DESC) AS c6
FROM shop.integers AS t1 JOIN lake.customers AS t2 ON t1.id = t2.id JOIN shop.integers AS t3 ON t1.id = t3.id
