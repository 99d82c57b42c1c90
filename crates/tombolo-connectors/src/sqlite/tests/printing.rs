use super::support::Bench;

const SHOP: &str = "
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, city TEXT, since DATE);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, amount REAL, qty INTEGER, paid BOOLEAN);
INSERT INTO customers VALUES (1, 'Ann', 'Oslo', '2024-01-31'), (2, 'ann', NULL, NULL);
INSERT INTO orders VALUES (1, 1, 9.5, 2, 1), (2, 2, 0.5, -3, 0);
";

async fn check(cases: &[(&str, &str)]) {
    let bench = Bench::new(SHOP).await;
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let native = bench.native(sql).await;
        if &native != expected {
            wrong.push(format!("{sql}\n  expected {expected}\n  printed  {native}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn simple_statements_stay_simple() {
    check(&[
        (
            "SELECT c.id, c.name FROM customers c WHERE c.city = 'Oslo' AND c.id > 3",
            r#"SELECT "c"."id", "c"."name" FROM "customers" AS "c" WHERE "c"."city" = 'Oslo' AND "c"."id" > 3"#,
        ),
        (
            "SELECT count(*) AS n FROM orders",
            r#"SELECT count(*) AS "n" FROM "orders""#,
        ),
        (
            "SELECT city, count(*) AS n FROM customers GROUP BY city HAVING count(*) > 1 ORDER BY n DESC LIMIT 3",
            r#"SELECT "customers"."city", count(*) AS "n" FROM "customers" GROUP BY "customers"."city" HAVING count(*) > 1 ORDER BY count(*) DESC NULLS FIRST LIMIT 3"#,
        ),
        (
            "SELECT c.city, sum(o.qty) AS q FROM orders o JOIN customers c ON o.customer_id = c.id WHERE o.paid GROUP BY c.city",
            r#"SELECT "c"."city", sum("o"."qty") AS "q" FROM "orders" AS "o" JOIN "customers" AS "c" ON "o"."customer_id" = "c"."id" WHERE "o"."paid" GROUP BY "c"."city""#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn another_collation_is_overruled() {
    check(&[
        (
            "SELECT id FROM customers WHERE name = 'ann'",
            r#"SELECT "customers"."id" FROM "customers" WHERE "customers"."name" COLLATE BINARY = 'ann'"#,
        ),
        (
            "SELECT DISTINCT name FROM customers",
            r#"SELECT "customers"."name" COLLATE BINARY AS "name" FROM "customers" GROUP BY "customers"."name" COLLATE BINARY"#,
        ),
        (
            "SELECT id FROM customers WHERE name LIKE 'a\\%_%'",
            r#"SELECT "customers"."id" FROM "customers" WHERE "customers"."name" LIKE 'a\%_%' ESCAPE '\'"#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn joins_keep_the_conditions_of_each_side() {
    check(&[
        (
            "SELECT c.id, o.id FROM customers c LEFT JOIN (SELECT * FROM orders WHERE qty > 1) o ON o.customer_id = c.id",
            r#"SELECT "c"."id", "o"."id" FROM "customers" AS "c" LEFT JOIN "orders" AS "o" ON "o"."qty" > 1 AND "c"."id" = "o"."customer_id""#,
        ),
        (
            "SELECT c.id, o.q FROM customers c LEFT JOIN (SELECT customer_id, coalesce(qty, 0) AS q FROM orders) o ON o.customer_id = c.id",
            r#"SELECT "c"."id", "t1"."c2" AS "q" FROM "customers" AS "c" LEFT JOIN (SELECT "o"."customer_id", CASE WHEN "o"."qty" IS NOT NULL THEN "o"."qty" ELSE 0 END AS "c2" FROM "orders" AS "o") AS "t1" ON "c"."id" = "t1"."customer_id""#,
        ),
        (
            "SELECT id FROM customers c WHERE id NOT IN (SELECT customer_id FROM orders WHERE qty > 1)",
            r#"SELECT "c"."id" FROM "customers" AS "c" WHERE "c"."id" NOT IN (SELECT "orders"."customer_id" FROM "orders" WHERE "orders"."qty" > 1)"#,
        ),
        (
            "SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
            r#"SELECT "c"."id" FROM "customers" AS "c" WHERE NOT EXISTS (SELECT 1 FROM "orders" AS "o" WHERE "c"."id" = "o"."customer_id")"#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn windows_stand_in_a_select_of_their_own_where_something_follows() {
    check(&[
        (
            "SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY qty DESC, id) AS n FROM orders WHERE qty > 0",
            r#"SELECT "orders"."id", row_number() OVER (PARTITION BY "orders"."customer_id" ORDER BY "orders"."qty" DESC NULLS FIRST, "orders"."id" NULLS LAST) AS "n" FROM "orders" WHERE "orders"."qty" > 0"#,
        ),
        (
            "SELECT id FROM (SELECT id, rank() OVER (ORDER BY qty) AS n FROM orders) t WHERE n <= 3",
            r#"SELECT "t1"."id" FROM (SELECT "t"."id", rank() OVER (ORDER BY "t"."qty" NULLS LAST) AS "c2" FROM "orders" AS "t") AS "t1" WHERE "t1"."c2" <= 3"#,
        ),
        (
            "SELECT id, count(*) OVER (PARTITION BY name) AS n FROM customers ORDER BY id LIMIT 3",
            r#"SELECT "t1"."id", "t1"."c2" AS "n" FROM (SELECT "customers"."id", count(*) OVER (PARTITION BY "customers"."name" COLLATE BINARY) AS "c2" FROM "customers") AS "t1" ORDER BY "t1"."id" NULLS LAST LIMIT 3"#,
        ),
        (
            "SELECT id, qty - lag(qty, 2, 0) OVER (ORDER BY id) AS d FROM orders",
            r#"SELECT "t1"."id", "t1"."qty" - "t1"."c3" AS "d" FROM (SELECT "orders"."id", "orders"."qty", lag("orders"."qty", 2, 0) OVER (ORDER BY "orders"."id" NULLS LAST) AS "c3" FROM "orders") AS "t1""#,
        ),
        (
            "SELECT id, sum(qty) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS a, count(*) OVER () AS b FROM orders",
            r#"SELECT "orders"."id", sum("orders"."qty") OVER (ORDER BY "orders"."id" NULLS LAST ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS "a", count(*) OVER () AS "b" FROM "orders""#,
        ),
        (
            "SELECT city, rank() OVER (ORDER BY count(*)) AS n FROM customers GROUP BY city",
            r#"SELECT "t1"."city", rank() OVER (ORDER BY "t1"."c2" NULLS LAST) AS "n" FROM (SELECT "customers"."city", count(*) AS "c2" FROM "customers" GROUP BY "customers"."city") AS "t1""#,
        ),
        (
            "SELECT lag(n) OVER (ORDER BY id) AS m FROM (SELECT id, ntile(3) OVER (ORDER BY id) AS n FROM orders) t",
            r#"SELECT lag("t1"."c2", 1) OVER (ORDER BY "t1"."id" NULLS LAST) AS "m" FROM (SELECT "t"."id", ntile(3) OVER (ORDER BY "t"."id" NULLS LAST) AS "c2" FROM "orders" AS "t") AS "t1""#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_differs_is_refused_with_its_reason() {
    check(&[
        ("SELECT upper(name) FROM customers", "refused: function `upper` folds only ASCII letters in SQLite"),
        (
            "SELECT id FROM customers WHERE name ILIKE 'a%b_c'",
            "refused: `ILIKE` folds the case of other letters in SQLite",
        ),
        ("SELECT qty / customer_id FROM orders", "refused: `/` by zero is NULL in SQLite and an error here"),
        ("SELECT row_number() OVER (ORDER BY 'a') FROM orders", "refused: a window by a constant is computed here"),
        (
            "SELECT stddev(amount) OVER (PARTITION BY paid) FROM orders",
            "refused: `stddev` over a window is not known to be the same in SQLite",
        ),
        (
            "SELECT count(*) OVER (ORDER BY qty RANGE 2 PRECEDING) FROM orders",
            "refused: the frame `RANGE BETWEEN 2 PRECEDING AND CURRENT ROW` is computed here",
        ),
        (
            "SELECT sum(amount) OVER (ORDER BY id ROWS 2 PRECEDING) FROM orders",
            "refused: `sum` of floats over a frame that moves on is rounded in its own order here",
        ),
        (
            "SELECT lag(qty) IGNORE NULLS OVER (ORDER BY id) FROM orders",
            "refused: `lag` that passes over nulls is computed here",
        ),
    ])
    .await;
}
