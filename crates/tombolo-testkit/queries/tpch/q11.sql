-- Important stock identification. The fraction is 0.0001 divided by the scale factor; at small scales that is more than any
-- part has, so a fixed one is used.
SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value
FROM lake.partsupp, shop.supplier, shop.nation
WHERE ps_suppkey = s_suppkey
  AND s_nationkey = n_nationkey
  AND n_name = 'GERMANY'
GROUP BY ps_partkey
HAVING sum(ps_supplycost * ps_availqty) > (
  SELECT sum(ps_supplycost * ps_availqty) * 0.001
  FROM lake.partsupp, shop.supplier, shop.nation
  WHERE ps_suppkey = s_suppkey
    AND s_nationkey = n_nationkey
    AND n_name = 'GERMANY'
)
ORDER BY value DESC
