-- tables: fixtures
-- SQLite too
-- DataFusion took 1 = id and id = 1 to contradict each other, so that no row found a partner.
SELECT t1.b AS c5 FROM lake.truths AS t1 RIGHT JOIN lake.truths AS t2 ON 1 = t2.id AND t2.id = t1.id
