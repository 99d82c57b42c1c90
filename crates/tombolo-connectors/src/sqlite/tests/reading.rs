use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tempfile::TempDir;
use tombolo_connector::{ErrorCode, KeyBatch, Retry, ScanInput};

use super::support::{Bench, connect, context, database, lines, read, whole};
use crate::sqlite::client::{Client, Stop};
use crate::sqlite::config::{Config, OPTIONS};
use crate::sqlite::{Sqlite, capability::capabilities};

#[tokio::test]
async fn files_that_cannot_be_read_say_why() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("none.db");
    assert_eq!(connect(&missing, &[]).await.unwrap_err().code(), ErrorCode::SourceUnavailable);
    assert!(!missing.exists(), "the file is never created");
    assert_eq!(connect(folder.path(), &[]).await.unwrap_err().code(), ErrorCode::SourceUnavailable);
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is not a database, though it is long enough to have a header".repeat(20)).unwrap();
    assert_eq!(connect(&text, &[]).await.unwrap_err().code(), ErrorCode::CorruptData);
    let path = database(
        &folder,
        "CREATE TABLE t (x); INSERT INTO t SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 5000) SELECT value FROM n);",
    );
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000..9000].fill(0xA5);
    let cut = folder.path().join("cut.db");
    std::fs::write(&cut, bytes).unwrap();
    let connector = connect(&cut, &[]).await.unwrap();
    let table = connector.list_tables("main").await.unwrap().remove(0);
    assert_eq!(connector.describe_table(&table).await.unwrap_err().code(), ErrorCode::CorruptData);
}

#[tokio::test]
async fn a_locked_file_is_busy_and_may_be_tried_again() {
    let folder = TempDir::new().unwrap();
    let path = database(&folder, "CREATE TABLE t (x INTEGER)");
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = connect(&path, &[("busy_timeout", "50ms")]).await.unwrap_err();
    assert_eq!((error.code(), error.retry()), (ErrorCode::SourceBusy, Retry::Safe));
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_names_it() {
    let sql = "CREATE TABLE orders (qty INTEGER); INSERT INTO orders VALUES (1), ('abc');";
    let bench = Bench::new(sql).await;
    let scan = whole(bench.table("orders"));
    let error = read(bench.connector.as_ref(), &scan, &context(), None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidValue);
    assert_eq!(error.message(), "column `qty` of `orders` is read as Int64 but a row holds text 'abc'");
    let bench = Bench::with_options(sql, &[("columns_as_text", "orders.qty")]).await;
    let rows = read(bench.connector.as_ref(), &whole(bench.table("orders")), &context(), None).await.unwrap();
    assert_eq!(lines(&rows, true), ["(1)", "(abc)"]);
}

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let bench = Bench::new("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2), (NULL);").await;
    let description = Arc::clone(bench.table("t"));
    let schema = Arc::new(datafusion::common::DFSchema::empty());
    let scan = tombolo_connector::Scan::Table(tombolo_connector::ScanTable { description, columns: vec![], schema });
    let rows = read(bench.connector.as_ref(), &scan, &context(), None).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}

#[tokio::test]
async fn keys_that_arrive_at_run_time_limit_the_rows() {
    let bench = Bench::new("CREATE TABLE t (i INTEGER, s TEXT COLLATE NOCASE); INSERT INTO t VALUES (1, 'a'), (2, 'A'), (3, 'b'), (NULL, NULL);").await;
    let scan = bench.accepted("SELECT i, s FROM t ORDER BY i LIMIT 3").await.unwrap();
    let fields = [("i", DataType::Int64), ("s", DataType::Utf8)].map(|(name, kind)| Field::new(name, kind, true));
    let keys = RecordBatch::try_new(
        Arc::new(Schema::new(fields.to_vec())),
        vec![
            Arc::new(Int64Array::from(vec![Some(2), Some(3), None])),
            Arc::new(StringArray::from(vec!["A", "B", "a"])),
        ],
    )
    .unwrap();
    let both = KeyBatch { columns: vec![0, 1], keys: keys.clone() };
    let rows = read(bench.connector.as_ref(), &scan, &context(), Some(&both)).await.unwrap();
    assert_eq!(lines(&rows, true), ["(2|A)"]);
    let one = KeyBatch { columns: vec![1], keys: keys.project(&[1]).unwrap() };
    let rows = read(bench.connector.as_ref(), &scan, &context(), Some(&one)).await.unwrap();
    assert_eq!(lines(&rows, false), ["(1|a)", "(2|A)"]);
}

/// Whether a query that was planned against the old contents gives the answer for the new ones, or says that it cannot.
#[tokio::test]
async fn a_file_that_changed_is_looked_at_again() {
    for journal in ["DELETE", "WAL"] {
        let bench = Bench::new(&format!(
            "PRAGMA journal_mode = {journal}; CREATE TABLE t (i INTEGER, s TEXT); INSERT INTO t VALUES (1, 'a');"
        ))
        .await;
        let scan = bench.accepted("SELECT s FROM t WHERE i >= 1").await.unwrap();
        let description = bench.table("t");
        assert!(bench.connector.is_current(description).await, "{journal}");
        let writer = rusqlite::Connection::open(bench.path()).unwrap();
        writer.execute_batch("INSERT INTO t VALUES (1, 'b')").unwrap();
        assert!(!bench.connector.is_current(description).await, "{journal}");
        let rows = read(bench.connector.as_ref(), &scan, &context(), None).await.unwrap();
        assert_eq!(lines(&rows, false), ["(a)", "(b)"], "{journal}");
        writer.execute_batch("INSERT INTO t VALUES ('x', 'c')").unwrap();
        let error = read(bench.connector.as_ref(), &scan, &context(), None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SchemaChanged, "{journal}");
    }
}

/// What a query that was planned before a change does after it.
async fn after(before: &str, sql: &str, change: &str) -> Result<Vec<String>, ErrorCode> {
    let bench = Bench::new(before).await;
    let scan = bench.accepted(sql).await.unwrap();
    rusqlite::Connection::open(bench.path()).unwrap().execute_batch(change).unwrap();
    let rows = read(bench.connector.as_ref(), &scan, &context(), None).await;
    rows.map(|rows| lines(&rows, false)).map_err(|error| error.code())
}

#[tokio::test]
async fn a_form_that_was_unknown_is_not_any_form() {
    let sql = "SELECT id FROM t WHERE ts = TIMESTAMP '2024-01-01 10:00:00'";
    let before = "CREATE TABLE t (id INTEGER PRIMARY KEY, ts DATETIME); INSERT INTO t VALUES (1, NULL);";
    let change = "INSERT INTO t VALUES (2, '2024-01-01T10:00:00')";
    assert_eq!(after(before, sql, change).await, Err(ErrorCode::SchemaChanged));
    assert_eq!(after(before, sql, "INSERT INTO t VALUES (2, NULL)").await, Ok(vec![]));
}

#[tokio::test]
async fn ids_that_grow_change_nothing_that_was_concluded() {
    let before = "CREATE TABLE t (id INTEGER PRIMARY KEY, f REAL); INSERT INTO t VALUES (1, 0.5);";
    let sql = "SELECT id + 1 FROM t WHERE f < 9";
    assert_eq!(after(before, sql, "INSERT INTO t VALUES (2, 3.5)").await, Ok(vec!["(2)".to_owned(), "(3)".to_owned()]));
    let outgrown = "INSERT INTO t VALUES (9000000000000000000, 1)";
    assert_eq!(after(before, sql, outgrown).await, Err(ErrorCode::SchemaChanged));
}

#[tokio::test]
async fn a_table_that_was_made_anew_is_compared_with_its_description() {
    let before = "CREATE TABLE t (k INTEGER NOT NULL UNIQUE, s TEXT); INSERT INTO t VALUES (1, 'a');";
    for table in [
        "(k INTEGER NOT NULL UNIQUE, s TEXT COLLATE NOCASE)",
        "(k INTEGER UNIQUE, s TEXT)",
        "(k INTEGER NOT NULL, s TEXT)",
        "(k INTEGER NOT NULL UNIQUE, s TEXT PRIMARY KEY)",
    ] {
        let change = format!("DROP TABLE t; CREATE TABLE t {table}; INSERT INTO t VALUES (1, 'a');");
        let rows = after(before, "SELECT k FROM t WHERE s = 'a'", &change).await;
        assert_eq!(rows, Err(ErrorCode::SchemaChanged), "{table}");
    }
    let change = "CREATE TABLE another (x); CREATE INDEX t_s ON t (s);";
    assert_eq!(after(before, "SELECT k FROM t WHERE s = 'a'", change).await, Ok(vec!["(1)".to_owned()]));
}

/// Checks that statements are pushed, and answered as by the engine over the same rows.
async fn check_answers(tables: &str, statements: &[&str]) {
    let bench = Bench::new(tables).await;
    for sql in statements {
        let scan = bench.accepted(sql).await.unwrap_or_else(|reasons| panic!("{sql}: {reasons:?}"));
        let pushed = read(bench.connector.as_ref(), &scan, &context(), None).await.unwrap();
        let expected = bench.session.sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(lines(&pushed, false), lines(&expected, false), "{sql}");
    }
}

#[tokio::test]
async fn casts_that_lose_digits_are_not_pushed() {
    let bench = Bench::new(
        "CREATE TABLE t (ts DATETIME, m DECIMAL(6,2)); INSERT INTO t VALUES ('2024-01-01 10:00:00.123456', 1234.56);",
    )
    .await;
    for sql in [
        "SELECT arrow_cast(ts, 'Timestamp(Millisecond, None)') FROM t",
        "SELECT arrow_cast(ts, 'Timestamp(Second, None)') FROM t",
        "SELECT CAST(m AS DECIMAL(4,2)) FROM t",
        "SELECT CAST(m AS DECIMAL(6,3)) FROM t",
        "SELECT CAST(sum(m) AS DECIMAL(5,2)) FROM t",
    ] {
        let native = bench.native(sql).await;
        assert!(native.starts_with("refused"), "{sql}: {native}");
    }
    for sql in ["SELECT arrow_cast(ts, 'Timestamp(Nanosecond, None)') FROM t", "SELECT CAST(m AS DECIMAL(8,3)) FROM t"]
    {
        let native = bench.native(sql).await;
        assert!(native.starts_with("SELECT"), "{sql}: {native}");
    }
}

#[tokio::test]
async fn a_literal_that_nullif_gives_back_has_the_form_of_the_other_side() {
    let tables = "CREATE TABLE t (m DECIMAL(6,2)); INSERT INTO t VALUES (1.25), (2);";
    let statements = [
        "SELECT nullif(CAST(5.00 AS DECIMAL(16,2)), sum(m)) FROM t",
        "SELECT nullif(CAST(3.25 AS DECIMAL(16,2)), sum(m)) FROM t",
        "SELECT nullif(sum(m), CAST(5.00 AS DECIMAL(16,2))) FROM t",
    ];
    check_answers(tables, &statements).await;
}

#[tokio::test]
async fn floats_that_are_stored_as_integers_are_computed_as_floats() {
    let tables = "CREATE TABLE t (n NUMERIC); INSERT INTO t VALUES (0.5);
        INSERT INTO t SELECT 9007199254740990 FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1100) SELECT value FROM n);";
    let statements = [
        "SELECT sum(n) FROM t",
        "SELECT sum(abs(n)) FROM t",
        "SELECT n + n FROM t",
        "SELECT n * n - n FROM t",
        "SELECT coalesce(n, 1.0) + 1.0 FROM t",
        "SELECT n FROM t WHERE n > 1.0",
    ];
    check_answers(tables, &statements).await;
}

/// Run as another process by the test that follows; by itself it does nothing.
#[test]
fn writer_in_another_process() {
    let Some(path) = std::env::var_os("TOMBOLO_TEST_WRITE_TO") else { return };
    let writer = rusqlite::Connection::open(path).unwrap();
    writer.busy_timeout(Duration::ZERO).unwrap();
    let error = writer.execute_batch("UPDATE n SET i = i + 1").unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
}

/// Locks are the process's: closing another descriptor of the file would give them up, and the rows read could be torn.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_cannot_write_while_rows_are_read() {
    let bench = Bench::new(
        "CREATE TABLE n (i INTEGER); INSERT INTO n SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 5000) SELECT value FROM n);",
    )
    .await;
    let scan = bench.accepted("SELECT i FROM n WHERE i > 0").await.unwrap();
    let planned = bench.connector.plan_scan(&scan, &context()).await.unwrap();
    let ScanInput::Reader(reader) = planned.input else { panic!() };
    let mut stream = reader.open(0, None, &SessionContext::new().task_ctx()).unwrap();
    stream.next().await.unwrap().unwrap();
    // Another connection of this process looks at the file and ends, and so does a source of its own.
    assert!(bench.connector.is_current(bench.table("n")).await);
    drop(connect(&bench.path(), &[]).await.unwrap());
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::reading::writer_in_another_process"])
        .env("TOMBOLO_TEST_WRITE_TO", bench.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let mut rows = 100;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_stops_the_query() {
    let bench = Bench::new(
        "CREATE TABLE n (i INTEGER); INSERT INTO n SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 2000) SELECT value FROM n);",
    )
    .await;
    // Eight thousand million rows are joined before the first one comes out.
    let sql = "SELECT count(*) FROM n AS a JOIN n AS b ON a.i <> b.i JOIN n AS c ON b.i < c.i";
    let scan = bench.accepted(sql).await.unwrap();
    let client = Arc::new(Client::new("test", &config(&bench)));
    let connector = Sqlite { client: Arc::clone(&client), config: config(&bench), capabilities: capabilities() };
    let planned = tombolo_connector::Connector::plan_scan(&connector, &scan, &context()).await.unwrap();
    let ScanInput::Reader(reader) = planned.input else { panic!() };
    let mut stream = reader.open(0, None, &SessionContext::new().task_ctx()).unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), stream.next()).await.is_err(),
        "the query is still running"
    );
    assert_eq!(client.lent(), 1);
    drop(stream);
    let dropped = Instant::now();
    while client.lent() > 0 {
        assert!(dropped.elapsed() < Duration::from_secs(2), "the query went on after its stream was dropped");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let writer = rusqlite::Connection::open(bench.path()).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE; COMMIT").unwrap();
    // The connection is whole again: a deadline that has passed stops it in the same way, as a timeout.
    let mut late = context();
    late.deadline = Some(Instant::now() + Duration::from_millis(50));
    assert_eq!(read(&connector, &scan, &late, None).await.unwrap_err().code(), ErrorCode::Timeout);
    assert!(client.with(&Stop::default(), Client::size).is_ok());
}

fn config(bench: &Bench) -> Config {
    let options = tombolo_connector::Options::default().with("path", bench.path().to_str().unwrap());
    Config::try_new(&options.checked(OPTIONS).unwrap()).unwrap()
}
