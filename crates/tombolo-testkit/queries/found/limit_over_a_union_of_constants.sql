-- tables: tpch
-- A sort with a limit over a union whose branches have different constants dropped rows: DataFusion left the constant out of
-- the branches' own sorts, which then share how far they have come.
SELECT 1 AS c18, DATE '1995-06-17' AS c19, 0.0 AS c20 FROM shop.nation AS t17
UNION ALL SELECT t23.n_regionkey, DATE '1970-01-01', -1.5 FROM lake.region AS t22 JOIN shop.nation AS t23 ON t22.r_regionkey = t23.n_regionkey
ORDER BY c20, c18, c19 LIMIT 9
