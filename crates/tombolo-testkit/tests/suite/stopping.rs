use std::time::{Duration, Instant};

use tombolo_engine::{ErrorCode, QueryOptions};
use tombolo_testkit::{Lab, SqliteFile, ask};

/// A table that SQLite can join with itself for a long time.
fn lab() -> (Lab, SqliteFile) {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    shop.execute(
        "CREATE TABLE t (a INTEGER NOT NULL, b TEXT NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO t SELECT i, printf('a text that takes some room %d', i) FROM n",
    );
    (lab, shop)
}

/// Millions of pairs, all found in SQLite.
const SLOW_THERE: &str = "SELECT count(*) AS pairs FROM shop.t x JOIN shop.t y ON x.a < y.a AND x.a + y.a <> 7";

/// Minutes of work, all done here.
const SLOW_HERE: &str = "SELECT max(md5(cast(value AS varchar))) AS hash FROM generate_series(1, 1000000000)";

fn within(timeout: Duration) -> QueryOptions {
    QueryOptions { timeout: Some(timeout), ..QueryOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_times_out() {
    let (lab, _shop) = lab();
    let engine = lab.engine();
    for sql in [SLOW_THERE, SLOW_HERE] {
        let begun = Instant::now();
        let error = match engine.query(sql, within(Duration::from_millis(300))).await {
            Ok(mut running) => running.next_batch().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), ErrorCode::Timeout, "{sql}: {error}");
        assert!(error.hint().is_some());
        assert!(begun.elapsed() < Duration::from_secs(3), "{sql} took {:?}", begun.elapsed());
    }
    assert_eq!(ask(&engine, "SELECT a FROM shop.t WHERE a = 7").await.unwrap().rows(), 1, "the engine goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_names_the_source_that_it_waited_for() {
    let (lab, _shop) = lab();
    let mut running = lab.engine().query(SLOW_THERE, within(Duration::from_millis(300))).await.unwrap();
    let error = running.next_batch().await.unwrap_err();
    assert!(error.detail().is_some_and(|detail| detail.contains("`shop`")), "{:?}", error.detail());
    let receipt = running.receipt();
    assert!(!receipt.complete);
    assert!(running.next_batch().await.unwrap().is_none(), "after an error the query is over");
}

/// A reader holds a lock on the file, so that a writer gets through only when the reader's work has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_work_in_the_source() {
    let (lab, shop) = lab();
    let mut running = lab.engine().query(SLOW_THERE, within(Duration::from_millis(300))).await.unwrap();
    running.next_batch().await.unwrap_err();
    shop.try_execute("INSERT INTO t VALUES (0, 'written')").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_query_in_mid_stream_ends_the_work_in_the_source() {
    let (lab, shop) = lab();
    let engine = lab.engine();
    for sql in ["SELECT a, b FROM shop.t", "SELECT x.a, y.b FROM shop.t x JOIN shop.t y ON x.a < y.a"] {
        let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
        assert!(running.next_batch().await.unwrap().is_some());
        let monitor = running.monitor();
        drop(running);
        shop.try_execute("INSERT INTO t VALUES (0, 'written')").unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!monitor.receipt().complete);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_query_in_mid_stream_leaves_no_temporary_file() {
    let (lab, _shop) = lab();
    let settings = tombolo_engine::Settings { max_memory: 16 << 20, ..lab.settings() };
    let engine = lab.engine_with(settings);
    let sql = "SELECT value, md5(cast(value AS varchar)) AS hash FROM generate_series(1, 1000000) ORDER BY hash";
    let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
    assert!(running.next_batch().await.unwrap().is_some());
    assert!(lab.temp_files() > 0, "the sort was to spill");
    drop(running);
    lab.temp_files_gone().await;
}
