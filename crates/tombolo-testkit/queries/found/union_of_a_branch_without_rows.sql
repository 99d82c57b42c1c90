-- tables: tpch
-- SQLite too
-- The union took its names from the branch that was left, and DISTINCT above it failed for them.
SELECT t1.p_size AS a FROM shop.part AS t1 WHERE 'a' LIKE '%LG BOX%' UNION SELECT DISTINCT t9.r_regionkey AS b FROM shop.region AS t9 UNION SELECT min(t13.r_regionkey) OVER (ORDER BY t13.r_regionkey) AS c FROM shop.region AS t13
