-- tables: tpch
-- SQLite too
-- The second key of the sort was dropped, as if the first were alone in its row.
SELECT DISTINCT d.a, t.n_name AS b FROM (SELECT r_regionkey AS a FROM shop.region GROUP BY r_regionkey) AS d CROSS JOIN lake.nation AS t ORDER BY a, b DESC
