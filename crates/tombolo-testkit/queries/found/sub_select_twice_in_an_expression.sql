-- tables: tpch
-- A sub-select that stands twice in an expression got two numbers, and was no longer known to be the one that is not null.
SELECT (SELECT min(c) FROM (SELECT coalesce((SELECT max(p_partkey) FROM shop.part), 1) AS c FROM shop.orders) t) AS least
