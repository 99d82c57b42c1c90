//! What queries have seen of sources corrects what is expected of later ones, and no answer.

use tombolo_engine::{Engine, QueryOptions, Settings, Strategy};
use tombolo_testkit::{Lab, ask, rows};

async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, note TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
            INSERT INTO orders SELECT i, i % 500, 'note ' || i FROM n;
         ANALYZE;",
    );
    lab.memory("crm", "main", "customers", rows("SELECT i AS id FROM generate_series(1, 2000) AS t(i)").await);
    lab
}

/// How many rows are expected of each sub-query.
async fn expected(engine: &Engine, sql: &str) -> Vec<Option<u64>> {
    let running = engine.query(sql, QueryOptions::default()).await.unwrap();
    running.progress().sub_queries.iter().map(|query| query.estimated_rows).collect()
}

#[tokio::test]
async fn rows_that_a_sub_query_gave_are_expected_of_it_the_next_time() {
    let mut lab = lab().await;
    lab.keep_state();
    let sql = "SELECT id FROM shop.orders WHERE note LIKE '%7777'";
    let engine = lab.engine();
    let guess = expected(&engine, sql).await;
    assert!(guess[0].is_some_and(|rows| rows > 1000), "{guess:?}");
    assert_eq!(ask(&engine, sql).await.unwrap().rows(), 3);
    assert_eq!(expected(&engine, sql).await, [Some(3)]);
    // Columns make no difference, conditions do, and it is known to the next program too.
    assert_eq!(expected(&engine, "SELECT id, note FROM shop.orders WHERE note LIKE '%7777'").await, [Some(3)]);
    assert_eq!(expected(&engine, "SELECT id FROM shop.orders WHERE note LIKE '%8888'").await, guess);
    assert_eq!(expected(&lab.engine(), sql).await, [Some(3)]);
    let unlearned = lab.engine_with(Settings { observed_statistics: false, ..lab.settings() });
    assert_eq!(expected(&unlearned, sql).await, guess);
}

#[tokio::test]
async fn a_sub_query_that_was_not_read_whole_says_nothing() {
    let lab = lab().await;
    let engine = lab.engine();
    let sql = "SELECT id FROM shop.orders WHERE note LIKE '%7'";
    let guess = expected(&engine, sql).await;
    let mut running = engine.query(sql, QueryOptions { limit: Some(5), ..QueryOptions::default() }).await.unwrap();
    while running.next_batch().await.unwrap().is_some() {}
    drop(running);
    assert_eq!(expected(&engine, sql).await, guess);
    // Nor does one that was read by keys.
    let join = "SELECT o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id WHERE c.id < 3 AND o.note LIKE '%7'";
    let mut settings = lab.settings();
    settings.key_shipping.strategy = Strategy::Always;
    let engine = lab.engine_with(settings);
    ask(&engine, join).await.unwrap();
    assert_eq!(expected(&engine, sql).await, guess);
}
