//! The first rows of an order by columns of a join's one side: that side comes from its source in the order, its partners are looked
//! up as it comes, and the rest is not read.

use tombolo_engine::check::Receipt;
use tombolo_engine::{JoinOrder, Settings, Strategy};
use tombolo_testkit::{Answer, Lab, ask};

use crate::key_shipping::assert_same;
use crate::lookup::{rows_of, settings};

/// 40,000 orders of 20,000 customers, two thirds of whom are there; some orders have no moment, and several the same.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers =
        |count: usize| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    lab.sqlite("shop").execute(&format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, moment INTEGER, paid INTEGER NOT NULL, amount INTEGER, note TEXT);
         {} INSERT INTO orders SELECT i, CASE WHEN i % 11 > 0 THEN (i * 7919) % 20000 END,
                CASE WHEN i % 97 > 0 THEN (i * 31) % 13001 END, (i * 17) % 40009, (i * 13) % 500, 'n' || (i % 100) FROM n;
         CREATE INDEX by_moment ON orders (moment); CREATE INDEX by_paid ON orders (paid, amount); CREATE INDEX by_note ON orders (note);
         ANALYZE;",
        numbers(40_000)
    ));
    lab.sqlite("crm").execute(&format!(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, region INTEGER);
         {} INSERT INTO customers SELECT i, 'c' || i, i % 50 FROM n WHERE i % 3 > 0;
         CREATE TABLE phones (customer INTEGER, phone TEXT);
         {} INSERT INTO phones SELECT i % 5000, 'p' || i FROM n;
         CREATE INDEX by_customer ON phones (customer); ANALYZE;",
        numbers(20_000),
        numbers(20_000)
    ));
    lab
}

async fn answer(lab: &Lab, lookup: Strategy, sql: &str) -> Answer {
    let settings = Settings { batch_size: 128, ..settings(lab, lookup) };
    ask(&lab.engine_with(settings), sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

/// What the source of the orders was asked.
fn asked(receipt: &Receipt) -> &str {
    &receipt.sub_queries.iter().find(|query| query.source == "shop").unwrap().native
}

#[tokio::test]
async fn an_order_that_would_not_come_through_the_join_is_not_asked_for() {
    let lab = lab().await;
    let sql = "SELECT o.id FROM shop.orders o JOIN crm.customers c ON c.id = o.customer + 0 ORDER BY o.id LIMIT 20";
    let (parts, whole) = (answer(&lab, Strategy::Adaptive, sql).await, answer(&lab, Strategy::Never, sql).await);
    assert_same(sql, &parts, &whole);
    assert!(!asked(&parts.receipt).contains("ORDER BY"), "{}", asked(&parts.receipt));
}

#[tokio::test]
async fn the_first_rows_of_an_order_end_the_reading() {
    let lab = lab().await;
    let joined = "FROM shop.orders o JOIN crm.customers c ON c.id = o.customer";
    for sql in [
        format!("SELECT o.moment {joined} ORDER BY o.moment DESC LIMIT 20"),
        format!("SELECT o.moment {joined} ORDER BY o.moment LIMIT 20"),
        format!("SELECT o.moment {joined} ORDER BY o.moment DESC LIMIT 10 OFFSET 200"),
        format!("SELECT o.paid, o.amount {joined} ORDER BY o.paid, o.amount LIMIT 20"),
        format!("SELECT o.paid {joined} WHERE o.amount > 5 ORDER BY o.paid DESC LIMIT 20"),
        format!("SELECT o.id, c.name || '!' AS name {joined} WHERE length(c.name || o.note) > 2 ORDER BY o.id DESC LIMIT 20"),
        "SELECT o.id, c.name FROM crm.customers c JOIN shop.orders o ON c.id = o.customer ORDER BY o.id LIMIT 20".to_owned(),
        "SELECT o.paid FROM shop.orders o WHERE EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer) ORDER BY o.paid LIMIT 20"
            .to_owned(),
        "SELECT o.paid FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer)
            ORDER BY o.paid DESC LIMIT 20"
            .to_owned(),
        // Several partners each, and none for most.
        "SELECT o.id FROM shop.orders o JOIN crm.phones p ON p.customer = o.customer ORDER BY o.id LIMIT 50".to_owned(),
    ] {
        let (parts, whole) = (answer(&lab, Strategy::Adaptive, &sql).await, answer(&lab, Strategy::Never, &sql).await);
        assert_same(&sql, &parts, &whole);
        assert!(parts.rows() > 0);
        assert!(asked(&parts.receipt).contains("ORDER BY"), "{sql}: {}", asked(&parts.receipt));
        assert!(!asked(&whole.receipt).contains("ORDER BY"), "{sql}: {}", asked(&whole.receipt));
        let (orders, partners) = (rows_of(&parts.receipt, "shop"), rows_of(&parts.receipt, "crm"));
        assert!(orders < 2_000 && partners < 2_000, "{sql}: {orders} orders, {partners} partners");
    }
}

#[tokio::test]
async fn in_any_order_the_rows_are_those_of_the_whole() {
    let lab = lab().await;
    let orders = [
        "o.moment, o.id",
        "o.moment DESC, o.id DESC",
        "o.moment NULLS FIRST, o.id",
        "o.moment DESC NULLS LAST, o.id",
        "o.note, o.id DESC",
        "o.note DESC NULLS LAST, o.amount, o.id",
        "o.amount + 1, o.id",
        "c.name, o.id",
        "o.paid, c.name, o.id",
    ];
    for order in orders {
        for (select, limit) in [
            (
                "SELECT o.id, o.moment, o.note, c.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer",
                "LIMIT 300",
            ),
            (
                "SELECT o.id, o.moment, c.name FROM shop.orders o LEFT JOIN crm.customers c ON c.id = o.customer AND c.region > o.amount % 40",
                "LIMIT 700 OFFSET 300",
            ),
            (
                "SELECT o.id, o.moment, c.id FROM crm.customers c RIGHT JOIN shop.orders o ON c.id = o.customer AND c.region < 30",
                "LIMIT 500",
            ),
            (
                "SELECT o.id, o.moment, o.amount FROM shop.orders o JOIN crm.phones c ON c.customer = o.customer",
                "LIMIT 300 OFFSET 7",
            ),
            (
                "SELECT o.id, o.moment, o.amount FROM shop.orders o WHERE EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer AND c.region <> o.amount)",
                "LIMIT 300",
            ),
            (
                "SELECT o.id, o.moment, o.amount FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer)",
                "LIMIT 300",
            ),
            (
                "SELECT o.id, o.moment, c.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer WHERE o.paid < 0",
                "LIMIT 5",
            ),
        ] {
            if order.contains("c.name") && !select.contains("c.name") {
                continue;
            }
            let sql = format!("{select} ORDER BY {order} {limit}");
            let whole = answer(&lab, Strategy::Never, &sql).await;
            for lookup in [Strategy::Always, Strategy::Adaptive] {
                assert_same(&sql, &answer(&lab, lookup, &sql).await, &whole);
            }
        }
    }
}

#[tokio::test]
async fn a_chain_of_joins_keeps_the_order_of_its_first_table() {
    let mut lab = lab().await;
    lab.sqlite("geo").execute(
        "CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO regions SELECT i, 'r' || i FROM n; ANALYZE;",
    );
    let sql = "SELECT o.id, c.name, r.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer
               JOIN geo.regions r ON r.id = c.region ORDER BY o.paid DESC, o.id LIMIT 25";
    let whole = answer(&lab, Strategy::Never, sql).await;
    for lookup in [Strategy::Always, Strategy::Adaptive] {
        assert_same(sql, &answer(&lab, lookup, sql).await, &whole);
    }
    let written = Settings { batch_size: 128, join_order: JoinOrder::Written, ..settings(&lab, Strategy::Always) };
    let always = ask(&lab.engine_with(written), sql).await.unwrap();
    assert_same(sql, &always, &whole);
    assert!(rows_of(&always.receipt, "shop") < 10_000, "{:?}", always.receipt.sub_queries);
}

#[tokio::test]
async fn an_order_that_its_source_would_have_to_sort_for_is_made_here() {
    let lab = lab().await;
    let joined = "SELECT o.id, c.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer";
    for sql in [
        // No index has it.
        format!("{joined} ORDER BY o.amount LIMIT 20"),
        // An index has the first column alone, which is alike for many rows.
        format!("{joined} ORDER BY o.note, o.amount LIMIT 20"),
        // All rows are wanted.
        format!("{joined} ORDER BY o.moment"),
        // Nearly all are needed.
        format!("{joined} ORDER BY o.moment LIMIT 20000"),
        // It is of the other side, or of both.
        format!("{joined} ORDER BY c.name LIMIT 20"),
        format!("{joined} ORDER BY o.moment, c.name LIMIT 20"),
    ] {
        let found = answer(&lab, Strategy::Adaptive, &sql).await;
        assert!(!asked(&found.receipt).contains("ORDER BY"), "{sql}: {}", asked(&found.receipt));
    }
}

#[tokio::test]
async fn few_partners_are_rather_looked_for_from_their_side() {
    let mut lab = lab().await;
    // Three customers: their orders are few, and orders are in no order of customers.
    lab.sqlite("vip")
        .execute("CREATE TABLE vips (id INTEGER PRIMARY KEY); INSERT INTO vips VALUES (7), (70), (700); ANALYZE;");
    let sql = "SELECT o.moment FROM shop.orders o JOIN vip.vips v ON v.id = o.customer ORDER BY o.moment DESC LIMIT 20";
    let (found, whole) = (answer(&lab, Strategy::Adaptive, sql).await, answer(&lab, Strategy::Never, sql).await);
    assert_same(sql, &found, &whole);
    assert!(!asked(&found.receipt).contains("ORDER BY"), "{}", asked(&found.receipt));
}

#[tokio::test]
async fn the_plan_shows_no_sort_where_the_order_comes_from_the_source() {
    let lab = lab().await;
    let sql = "SELECT o.id, c.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer ORDER BY o.moment DESC LIMIT 20";
    let engine = lab.engine_with(settings(&lab, Strategy::Adaptive));
    let (explanation, _) = engine.explain(sql, false, Default::default()).await.unwrap();
    let steps = format!("{:?}", explanation.root);
    assert!(steps.contains("lookup") && !steps.contains("operator: \"sort\""), "{steps}");
}
