-- tables: fixtures
-- The order that rows were sorted in was not found again, which was an error.
SELECT (nullif(DATE '1970-01-01', t1."since") < t1."since") AS c8 FROM mem."customers" AS t1 WHERE ('Mueller' <= t1."name") ORDER BY c8 LIMIT 3
