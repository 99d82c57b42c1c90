-- tables: tpch
-- SQLite too
-- The second key of the groups was dropped, as if the first were alone in its row.
SELECT x.a, x.b, count(*) AS c FROM (SELECT DISTINCT d.a, t.n_name AS b FROM (SELECT r_regionkey AS a FROM shop.region GROUP BY r_regionkey) AS d CROSS JOIN lake.nation AS t) AS x GROUP BY x.a, x.b
