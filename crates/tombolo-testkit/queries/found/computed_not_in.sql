-- tables: tpch
-- SQLite too
-- Whether the value of NOT IN can be null was asked of the columns in it alone; rows whose value is null were kept.
SELECT t1.n_nationkey FROM mem.nation AS t1
WHERE (4 / nullif(t1.n_regionkey, 0)) NOT IN (SELECT t2.r_regionkey FROM crm.region AS t2 WHERE t2.r_regionkey > 2)
