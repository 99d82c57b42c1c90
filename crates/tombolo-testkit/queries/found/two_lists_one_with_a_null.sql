-- tables: tpch
-- SQLite too
-- Of two lists of one column one was made, as if the null in the second were a value like others: rows came, and none may.
SELECT t3.o_shippriority FROM shop.orders AS t3 WHERE (t3.o_orderkey IN (64, 4, 32)) AND (t3.o_orderkey NOT IN (6, NULL))
