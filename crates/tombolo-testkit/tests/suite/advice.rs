//! Explain names indexes that would serve, in the source's own language, and none that the source has already.

use tombolo_engine::QueryOptions;
use tombolo_engine::check::PlanStep;
use tombolo_testkit::{Lab, rows};

async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, state TEXT, \"at hour\" INTEGER);
         CREATE TABLE served (id INTEGER PRIMARY KEY, customer_id INTEGER, state TEXT);
         CREATE TABLE few (id INTEGER PRIMARY KEY, customer_id INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO orders SELECT i, i % 1000, 's' || i % 3, i % 24 FROM n;
         INSERT INTO served SELECT id, customer_id, state FROM orders;
         INSERT INTO few SELECT id, customer_id FROM orders WHERE id < 100;
         CREATE INDEX by_customer ON served (customer_id, state);
         CREATE VIEW seen AS SELECT * FROM orders;
         ANALYZE;",
    );
    lab.memory("crm", "main", "customers", rows("SELECT 1 AS id UNION ALL SELECT 2").await);
    lab
}

fn advice(step: &PlanStep) -> Vec<String> {
    let own = step.details.iter().filter(|(label, _)| label == "index").map(|(_, text)| text.clone());
    step.inputs.iter().flat_map(advice).chain(own).collect()
}

#[tokio::test]
async fn an_index_is_advised_where_none_serves() {
    let lab = lab().await;
    let engine = lab.engine();
    let of_keys =
        "CREATE INDEX \"orders_customer_id_idx\" ON \"orders\" (\"customer_id\") would serve the keys of customers.id";
    let of_hours =
        "CREATE INDEX \"orders_at hour_idx\" ON \"orders\" (\"at hour\") would serve the filter, if it leaves few rows";
    for (sql, wanted) in [
        ("SELECT o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id", &[of_keys][..]),
        ("SELECT id FROM shop.orders WHERE \"at hour\" = 7", &[of_hours]),
        ("SELECT id FROM shop.orders WHERE \"at hour\" = 7 AND state <> 's1'", &[of_hours]),
        // There is one, whatever comes beside it.
        ("SELECT o.id FROM crm.customers c JOIN shop.served o ON o.customer_id = c.id", &[]),
        ("SELECT o.id FROM crm.customers c JOIN shop.orders o ON o.id = c.id", &[]),
        ("SELECT id FROM shop.served WHERE customer_id = 7 AND state = 's1'", &[]),
        // None would help.
        ("SELECT id FROM shop.orders WHERE state <> 's1'", &[]),
        ("SELECT id FROM shop.orders WHERE state LIKE '%1'", &[]),
        ("SELECT id FROM shop.orders", &[]),
        ("SELECT o.id FROM crm.customers c JOIN shop.few o ON o.customer_id = c.id", &[]),
        ("SELECT id FROM shop.seen WHERE \"at hour\" = 7", &[]),
    ] {
        let (explanation, _) = engine.explain(sql, false, QueryOptions::default()).await.unwrap();
        assert_eq!(advice(&explanation.root), wanted, "{sql}");
    }
}
