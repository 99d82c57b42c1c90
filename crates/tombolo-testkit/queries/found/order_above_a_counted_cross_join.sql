-- tables: fixtures
-- An order above a join across sources was looked for in a column beside its own, since the counter above the join took the
-- columns of row numbers out: the plan failed with an internal error.
SELECT t65.t FROM crm."odd columns" AS t1 CROSS JOIN shop.texts AS t65 ORDER BY t
