-- tables: fixtures
-- An aggregate below a sort with a limit made room for ten times the limit, which the guard of OFFSET makes larger than memory.
SELECT DISTINCT t8."Id" AS c9 FROM shop."odd columns" AS t8 ORDER BY c9 OFFSET 4
