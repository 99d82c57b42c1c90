-- tables: fixtures
-- The order was made of what the filter says is equal, and not found again, which was an error.
SELECT min(t3."name") OVER (ORDER BY t3."name", t3."id") AS c4 FROM mem."customers" AS t3 WHERE (concat(t3.region, '-', t3."name") = t3."name")
