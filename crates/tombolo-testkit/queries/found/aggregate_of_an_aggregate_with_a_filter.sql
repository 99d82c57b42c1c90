-- tables: tpch
-- SQLite too
-- The rule that answers aggregates from statistics took the inner aggregate for the outer one, and failed.
SELECT min('b') FILTER (WHERE d3.c2 NOT BETWEEN 1 AND 2) AS c6 FROM (SELECT count(t1.s_name) AS c2 FROM crm.supplier AS t1) AS d3
