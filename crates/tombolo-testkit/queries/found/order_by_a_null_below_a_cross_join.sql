-- tables: fixtures
-- The join to NULL leaves a constant null to order by, above a cross join that is counted.
WITH c AS (SELECT id FROM mem.truths)
SELECT t16.active FROM c AS w13 LEFT JOIN lake.customers AS t16 ON t16.name = NULL
JOIN lake."odd columns" AS t17 ON t17."Id" = w13.id ORDER BY active
