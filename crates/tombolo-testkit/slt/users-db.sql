CREATE TABLE users (Id INTEGER PRIMARY KEY, FullName TEXT, email TEXT, managerId INTEGER);
INSERT INTO users VALUES
  (1, 'Ann Archer', 'ann@example.com', NULL),
  (2, 'Bob Baker', 'bob@example.com', 1),
  (5, 'Zoë Zulu', NULL, 1);
CREATE TABLE "Order Items" ("Order Id" INTEGER, "select" TEXT, "a""b" INTEGER);
INSERT INTO "Order Items" VALUES (10, 'lamp', 1), (12, 'desk', 2), (12, 'chair', 4);
