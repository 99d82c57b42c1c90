-- tables: fixtures
-- The counter below a join did not say which columns are constant, so a sort that was dropped for a constant was missed above.
SELECT FALSE AS c6, t2.score FROM shop.customers AS t2 WHERE 'a' NOT IN (SELECT md5(t3.name) AS c5 FROM shop.people AS t3)
EXCEPT SELECT TRUE AS c11, 1.5 AS c12 FROM shop.people AS t8 ORDER BY c6
