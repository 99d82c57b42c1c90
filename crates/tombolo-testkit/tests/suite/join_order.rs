//! Joins are done in the order that costs least, whatever the order of the statement; the answer is the same in any order.

use tombolo_engine::check::Receipt;
use tombolo_engine::{JoinOrder, PushdownRules, QueryOptions, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, ask_with, rows};

/// Two servers' worth of tables and one in memory: customers of regions with orders, payments of orders, a few people.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)";
    lab.sqlite("shop").execute(&format!(
        "CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT);
         INSERT INTO regions SELECT value, 'r' || value FROM json_each('[0, 1, 2, 3]');
         CREATE TABLE customers (id INTEGER PRIMARY KEY, region INTEGER REFERENCES regions (id), name TEXT);
         {numbers} INSERT INTO customers SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 4 END, 'c' || i FROM n WHERE i <= 400;
         CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER);
         {numbers} INSERT INTO orders SELECT i, CASE WHEN i % 40 = 0 THEN NULL ELSE i % 500 END, i % 13 FROM n;
         CREATE INDEX by_customer ON orders (customer);
         ANALYZE;"
    ));
    lab.sqlite("bank").execute(&format!(
        "CREATE TABLE payments (id INTEGER PRIMARY KEY, orders INTEGER, paid INTEGER);
         {numbers} INSERT INTO payments SELECT i, CASE WHEN i % 9 = 0 THEN NULL ELSE 4100 - i END, i % 5 FROM n;
         CREATE INDEX by_order ON payments (orders);
         CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner INTEGER, kind TEXT);
         {numbers} INSERT INTO accounts SELECT i, i % 450, 'k' || (i % 3) FROM n WHERE i <= 900;
         ANALYZE;"
    ));
    let people =
        "SELECT * FROM (VALUES (1, 'a', 1), (2, 'b', NULL), (2, 'again', 3), (NULL, 'nobody', 4), (399, 'd', 2),
                     (5000, 'without', -1)) AS t(id, name, region)";
    lab.memory("crm", "main", "people", rows(people).await);
    lab
}

async fn answer(lab: &Lab, join_order: JoinOrder, sql: &str) -> Answer {
    let options = QueryOptions { allow_cartesian: true, ..QueryOptions::default() };
    let settings = Settings { join_order, ..lab.settings() };
    ask_with(&lab.engine_with(settings), sql, options).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

fn moved(receipt: &Receipt) -> u64 {
    receipt.sub_queries.iter().map(|query| query.rows).sum()
}

#[tokio::test]
async fn any_order_gives_the_same_rows() {
    let lab = lab().await;
    for sql in [
        // Inner joins alone, with columns in the order of the statement.
        "SELECT * FROM shop.orders o JOIN bank.payments p ON p.orders = o.id JOIN crm.people c ON c.id = o.customer",
        "SELECT * FROM bank.payments p, shop.orders o, shop.customers c, crm.people e
         WHERE p.orders = o.id AND o.customer = c.id AND e.id = c.id AND p.paid < o.amount",
        // Equal columns of four relations: any two of them may be joined.
        "SELECT c.name, e.name, a.kind, o.amount FROM shop.customers c JOIN crm.people e ON e.id = c.id
         JOIN bank.accounts a ON a.owner = e.id JOIN shop.orders o ON o.customer = a.owner",
        // Two columns of one relation that are equal because both are joined with one.
        "SELECT c.id, p.id, o.id FROM shop.customers c JOIN bank.payments p ON p.id = c.id AND p.paid = c.id
         JOIN shop.orders o ON o.amount = c.id",
        // Joins that are not inner ones, among others.
        "SELECT e.name, o.id, p.paid FROM crm.people e LEFT JOIN shop.orders o ON o.customer = e.id
         LEFT JOIN bank.payments p ON p.orders = o.id",
        "SELECT e.name, o.id, p.paid FROM crm.people e LEFT JOIN shop.orders o ON o.customer = e.id AND o.amount > 5
         LEFT JOIN bank.payments p ON p.orders = o.id AND e.region = 1 WHERE p.id IS NULL",
        "SELECT e.name, r.name, p.paid FROM shop.customers c LEFT JOIN shop.regions r ON r.id = c.region
         JOIN crm.people e ON e.id = c.id LEFT JOIN bank.payments p ON p.id = c.id WHERE r.name IS NULL OR p.paid > 1",
        "SELECT e.name, r.name FROM crm.people e JOIN (shop.customers c LEFT JOIN shop.regions r ON r.id = c.region)
         ON e.id = c.id JOIN bank.accounts a ON a.owner = c.id WHERE coalesce(r.name, 'none') <> 'r1'",
        "SELECT o.id, e.name FROM shop.orders o JOIN crm.people e ON e.id = o.customer
         WHERE EXISTS (SELECT 1 FROM bank.payments p WHERE p.orders = o.id AND p.paid < o.amount)
           AND o.customer NOT IN (SELECT id FROM shop.customers WHERE region = 2)",
        "SELECT o.id, e.name FROM shop.orders o JOIN crm.people e ON e.id = o.customer JOIN shop.customers c ON c.id = e.id
         WHERE NOT EXISTS (SELECT 1 FROM bank.payments p WHERE p.orders = o.id AND p.paid = c.region)",
        "SELECT e.name, count(*) FROM crm.people e FULL JOIN shop.orders o ON o.customer = e.id
         JOIN bank.payments p ON p.orders = o.id JOIN shop.customers c ON c.id = e.id GROUP BY e.name",
        "SELECT e.name, o.id FROM shop.orders o RIGHT JOIN crm.people e ON o.customer = e.id
         JOIN shop.customers c ON c.id = e.id JOIN bank.accounts a ON a.owner = c.id",
        // Derived tables with names of their own, and the same table twice.
        "SELECT x.who, x.n, p.paid FROM (SELECT o.id AS n, c.name AS who FROM shop.orders o JOIN shop.customers c ON c.id = o.customer) x
         JOIN bank.payments p ON p.orders = x.n JOIN crm.people e ON e.name || '' = 'd' AND e.id = x.n",
        "SELECT a.id, b.id, e.name FROM shop.orders a JOIN shop.orders b ON b.customer = a.customer AND b.id < a.id
         JOIN crm.people e ON e.id = a.customer",
        "SELECT x.id, y.id FROM (SELECT o.id FROM shop.orders o JOIN crm.people e ON e.id = o.id) x
         JOIN (SELECT o.id FROM shop.orders o JOIN crm.people e ON e.id = o.id) y ON x.id = y.id
         JOIN bank.payments p ON p.id = y.id",
        // Conditions over three, expressions as keys, an order and a limit above, groups below.
        "SELECT e.name, o.id FROM crm.people e JOIN shop.orders o ON o.customer = e.id + 1
         JOIN bank.payments p ON p.orders + 0 = o.id WHERE e.region + p.paid < o.amount OR e.region IS NULL",
        "SELECT e.name, g.n, p.paid FROM crm.people e
         JOIN (SELECT customer, count(*) AS n, min(id) AS first FROM shop.orders GROUP BY customer) g ON g.customer = e.id
         JOIN bank.payments p ON p.orders = g.first ORDER BY e.name, g.n, p.paid LIMIT 2",
        // A product with one row, and one of two that nothing joins.
        "SELECT e.name, o.id, m.most FROM crm.people e JOIN shop.orders o ON o.customer = e.id
         CROSS JOIN (SELECT max(paid) AS most FROM bank.payments) m JOIN bank.payments p ON p.orders = o.id AND p.paid < m.most",
        "SELECT r.name, e.name, a.id FROM shop.regions r CROSS JOIN crm.people e JOIN bank.accounts a ON a.id = e.id",
        // More of them than are tried in every order.
        "SELECT count(*) FROM crm.people e JOIN shop.customers c ON c.id = e.id JOIN shop.regions r ON r.id = c.region
         JOIN shop.orders o1 ON o1.customer = c.id JOIN bank.payments p1 ON p1.orders = o1.id
         JOIN bank.accounts a1 ON a1.owner = c.id JOIN shop.orders o2 ON o2.id = p1.id JOIN bank.payments p2 ON p2.orders = o2.id
         JOIN bank.accounts a2 ON a2.id = a1.id JOIN shop.regions r2 ON r2.id = r.id LEFT JOIN crm.people f ON f.region = r2.id",
    ] {
        let written = answer(&lab, JoinOrder::Written, sql).await;
        for order in [JoinOrder::Cost, JoinOrder::Worst] {
            let other = answer(&lab, order, sql).await;
            same(sql, (&other.schema, &other.batches), (&written.schema, &written.batches), Rules::default())
                .unwrap_or_else(|difference| panic!("{order:?}: {difference}"));
        }
    }
}

#[tokio::test]
async fn what_is_small_comes_first_and_one_source_joins_its_own() {
    let lab = lab().await;
    // As written, all orders and payments meet before anybody is asked for.
    let sql = "SELECT e.name, c.name, p.paid FROM bank.payments p JOIN shop.orders o ON p.orders = o.id
               JOIN shop.customers c ON c.id = o.customer JOIN crm.people e ON e.id = c.id";
    let (cost, written) = (answer(&lab, JoinOrder::Cost, sql).await, answer(&lab, JoinOrder::Written, sql).await);
    let (less, more) = (moved(&cost.receipt), moved(&written.receipt));
    assert!(less * 10 < more, "{less} rows are moved, and {more} as written");
    let together = |query: &&tombolo_engine::check::SubQueryReceipt| query.tables.len() == 2 && query.source == "shop";
    assert_eq!(cost.receipt.sub_queries.iter().filter(together).count(), 1, "{:#?}", cost.receipt.sub_queries);
    assert_eq!(written.receipt.sub_queries.iter().filter(together).count(), 0);
}

#[tokio::test]
async fn explain_tells_the_strategies_of_a_join_with_what_they_cost() {
    let lab = lab().await;
    let sql = "SELECT e.name, o.id FROM crm.people e JOIN shop.orders o ON o.customer = e.id";
    let (explained, _) = lab.engine().explain(sql, false, QueryOptions::default()).await.unwrap();
    let join = &explained.root;
    assert_eq!(join.strategy.as_deref(), Some("key shipping"));
    let (_, strategies) = join.details.iter().find(|(label, _)| label == "strategies").unwrap();
    let strategies: Vec<&str> = strategies.split("; ").collect();
    assert_eq!(strategies.len(), 2, "{strategies:?}");
    let cost = |text: &str, name: &str| -> f64 {
        let cost = text.strip_prefix(name).unwrap_or_else(|| panic!("{text}")).trim();
        cost.strip_suffix(" ms").unwrap().parse().unwrap()
    };
    assert!(
        cost(strategies[0], "key shipping from people.id") < cost(strategies[1], "read both sides"),
        "{strategies:?}"
    );
}

#[tokio::test]
async fn an_equality_that_follows_from_two_brings_a_sources_tables_together() {
    let lab = lab().await;
    let sql = "SELECT e.name, o.id FROM shop.customers c JOIN crm.people e ON e.id = c.id JOIN shop.orders o ON o.customer = e.id";
    let found = answer(&lab, JoinOrder::Cost, sql).await;
    let shop: Vec<_> = found.receipt.sub_queries.iter().filter(|query| query.source == "shop").collect();
    assert_eq!(shop.len(), 1, "{shop:#?}");
    assert_eq!(shop[0].tables.len(), 2, "{shop:#?}");
}

#[tokio::test]
async fn without_push_down_the_order_is_by_cost_too() {
    let lab = lab().await;
    let sql = "SELECT e.name, p.paid FROM bank.payments p JOIN shop.orders o ON p.orders = o.id JOIN crm.people e ON e.id = o.customer";
    let settings = Settings { pushdown: PushdownRules::NONE, ..lab.settings() };
    let plain = ask(&lab.engine_with(settings), sql).await.unwrap();
    let pushed = answer(&lab, JoinOrder::Written, sql).await;
    same(sql, (&plain.schema, &plain.batches), (&pushed.schema, &pushed.batches), Rules::default())
        .unwrap_or_else(|difference| panic!("{difference}"));
}

#[tokio::test]
async fn the_first_rows_are_taken_before_a_join_that_keeps_them() {
    let lab = lab().await;
    // The order is of every row, so that the first ones are certain.
    for (sql, limited) in [
        ("SELECT o.id, e.name FROM shop.orders o LEFT JOIN crm.people e ON e.id = o.customer ORDER BY o.id DESC LIMIT 5", true),
        ("SELECT o.id AS n, e.name FROM crm.people e RIGHT JOIN shop.orders o ON e.id = o.customer ORDER BY n LIMIT 3 OFFSET 4", true),
        (
            "SELECT x.n, x.paid FROM (SELECT o.id AS n, p.paid FROM shop.orders o LEFT JOIN bank.payments p ON p.orders = o.id
             LEFT JOIN crm.people e ON e.id = o.id) x ORDER BY x.n DESC LIMIT 4",
            true,
        ),
        // Customer 2 is two people, so that the fourth row is of the second order.
        ("SELECT o.id, e.name FROM shop.orders o LEFT JOIN crm.people e ON e.id = o.customer WHERE o.customer = 2
          ORDER BY o.id, e.name LIMIT 4", false),
        ("SELECT o.id, e.name FROM shop.orders o JOIN crm.people e ON e.id = o.customer ORDER BY o.id, e.name LIMIT 4", false),
        ("SELECT o.id, e.name FROM shop.orders o FULL JOIN crm.people e ON e.id = o.customer ORDER BY o.id, e.name LIMIT 4", false),
    ] {
        let plain = Settings { pushdown: PushdownRules::NONE, ..lab.settings() };
        let (found, wanted) = (answer(&lab, JoinOrder::Cost, sql).await, ask(&lab.engine_with(plain), sql).await.unwrap());
        same(sql, (&found.schema, &found.batches), (&wanted.schema, &wanted.batches), Rules::default())
            .unwrap_or_else(|difference| panic!("{difference}"));
        let orders = found.receipt.sub_queries.iter().find(|query| query.tables == ["main.orders"]).unwrap();
        assert_eq!(orders.rows < 8, limited, "{sql}: {orders:#?}");
    }
}
