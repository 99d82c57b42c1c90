-- tables: tpch
-- DataFusion lost the order of the union, and there was no plan.
SELECT t3.c_custkey AS c4, t3.c_custkey AS c5 FROM shop.customer AS t3
UNION ALL SELECT t7.l_orderkey, 6 FROM lake.lineitem AS t7 ORDER BY c5
