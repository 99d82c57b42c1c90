CREATE TABLE customers (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT, credit DECIMAL(10, 2), since DATE, active BOOLEAN
);
INSERT INTO customers VALUES
  (1, 'Ann', 'north', 100.50, '2024-01-15', 1),
  (2, 'Bob', 'south', 20, '2024-02-29', 0),
  (3, 'Çelik', 'north', NULL, '2023-12-31', 1),
  (4, 'O''Hara', NULL, 0, NULL, NULL),
  (5, 'Zoë "Z" 日本', 'west', 99999.99, '2025-06-30', 1);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customers (id),
  amount DECIMAL(10, 2) NOT NULL,
  placed TIMESTAMP,
  note TEXT,
  status TEXT NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
INSERT INTO orders VALUES
  (10, 1, 12.50, '2025-01-01 10:00:00', 'first', 'paid'),
  (11, 1, 7.25, '2025-01-02 11:30:00', '', 'paid'),
  (12, 2, 100, '2025-01-02 12:00:00', NULL, 'open'),
  (13, 3, 55.1, '2025-02-10 00:00:00', '50% off', 'open'),
  (14, NULL, 1, '2025-03-01 23:59:59', 'under_score', 'void'),
  (15, 9, 2, NULL, 'it''s "quoted" \ here', 'void');
CREATE TABLE empty (id INTEGER, name TEXT, amount DECIMAL(10, 2));
