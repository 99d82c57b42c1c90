//! All that a query reads of a PostgreSQL server is read in one snapshot, and what a snapshot does not hold is found out.

use std::net::SocketAddr;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tombolo_connector::{Error, Options, ReadSnapshot, Retry};
use tombolo_engine::{Engine, ErrorCode, KeyShipping, PushdownRule, PushdownRules, QueryOptions, Settings, Strategy};
use tombolo_testkit::harness::{PostgresSite, RemoteLog, Site};
use tombolo_testkit::{Answer, Lab, ask, rows};

use super::postgres::{databases, engine as engine_of};

/// A table, and a view that takes some time.
async fn table_and_gate(database: &PostgresSite) {
    let made = "SELECT id, 1 AS one, repeat(md5(id::text), 30) AS word FROM generate_series(1, 50000) AS id";
    let gate = "CREATE VIEW gate AS SELECT 1 AS id FROM pg_sleep(1.5)";
    database.run(&format!("CREATE TABLE big AS {made}; {gate}; ANALYZE big")).await;
}

/// Reads the view to its end, and the table then.
const GATED: &str = "SELECT b.one, b.word FROM pg.gate g JOIN pg.big b ON b.one = g.id";

/// Two sub-queries, where there could be one.
fn apart(options: Options) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("pg", "postgres", options);
    let pushdown = PushdownRules::ALL.without(PushdownRule::Join);
    let key_shipping = KeyShipping { strategy: Strategy::Never, ..KeyShipping::default() };
    let engine = lab.engine_with(Settings { pushdown, key_shipping, ..lab.settings() });
    (lab, engine)
}

/// The processes of other connections in the database, as another engine sees them.
async fn processes(watcher: &Engine, condition: &str) -> Vec<i32> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tombolo' \
         AND pid <> pg_backend_pid() AND {condition}"
    );
    let sql = format!("SELECT pid FROM query('pg', '{}') ORDER BY pid", sql.replace('\'', "''"));
    let answer = ask(watcher, &sql).await.unwrap();
    answer.batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect()
}

async fn until_there_are(wanted: usize, watcher: &Engine, condition: &str) {
    let begun = std::time::Instant::now();
    while processes(watcher, condition).await.len() != wanted {
        assert!(begun.elapsed() < Duration::from_secs(10), "{condition}: not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads all rows; once the view is being read, and the table not yet, `meanwhile` comes.
async fn read_gated(
    engine: &Engine,
    watcher: &Engine,
    sql: &str,
    meanwhile: impl AsyncFnOnce(),
) -> Result<Answer, Error> {
    let change = async {
        until_there_are(1, watcher, "wait_event = 'PgSleep'").await;
        meanwhile().await;
    };
    tokio::join!(ask(engine, sql), change).0
}

fn snapshots(answer: &Answer) -> Vec<Option<ReadSnapshot>> {
    answer.receipt.sub_queries.iter().map(|query| query.snapshot.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sub_queries_of_a_query_read_one_snapshot() {
    for database in databases().await {
        table_and_gate(&database).await;
        let (_lab, engine) = apart(database.options());
        // One connection, which it does not see itself.
        let (_watch, watcher) = engine_of(database.options().with("max_connections", "1"));
        let change = "UPDATE big SET word = 'changed' WHERE id % 2 = 0; DELETE FROM big WHERE id < 100";
        let answer = read_gated(&engine, &watcher, GATED, async || database.run(change).await).await.unwrap();
        assert_eq!(answer.rows(), 50_000);
        for batch in &answer.batches {
            assert!(batch.column(1).as_string::<i32>().iter().flatten().all(|word| word != "changed"));
        }
        let told = snapshots(&answer);
        assert!(matches!(&told[0], Some(ReadSnapshot::Shared(name)) if !name.is_empty()), "{told:?}");
        assert_eq!(told[0], told[1]);
        assert!(answer.receipt.notices.is_empty(), "{:?}", answer.receipt.notices);

        // Whoever keeps a query's receipt does not keep its transaction, and the connection is used again.
        let idle = "state LIKE 'idle in transaction%'";
        until_there_are(0, &watcher, idle).await;
        let before = processes(&watcher, "true").await;
        let mut running = engine.query(GATED, QueryOptions::default()).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = running.next_batch().await.unwrap() {
            rows += batch.num_rows();
        }
        assert_eq!(rows, 49_901);
        assert_ne!(running.receipt().sub_queries[0].snapshot, told[0]);
        until_there_are(0, &watcher, idle).await;
        assert_eq!(processes(&watcher, "true").await, before);
        // Nor does one that is dropped.
        let monitor = {
            let mut running = engine.query(GATED, QueryOptions::default()).await.unwrap();
            running.next_batch().await.unwrap();
            running.monitor()
        };
        until_there_are(0, &watcher, idle).await;
        drop(monitor);

        // A query that reads one thing once needs no other connection.
        let log = RemoteLog::listen("pg");
        let alone = ask(&engine, "SELECT count(*) AS n FROM pg.big").await.unwrap();
        assert_eq!(snapshots(&alone), [None]);
        let events = database.remote_log(&log).await;
        assert!(events.iter().all(|event| !event.text.contains("pg_export_snapshot")), "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_for_older_snapshots_too_is_an_error_and_never_without_rows() {
    for database in databases().await {
        table_and_gate(&database).await;
        let rows = "SELECT 1, 'x' FROM generate_series(1, 20000)";
        database
            .run(&format!(
                "CREATE VIEW seen AS SELECT one, word FROM big; CREATE TABLE other (LIKE big); \
                 CREATE TABLE parts (one int, word text, k int) PARTITION BY LIST (k); \
                 CREATE TABLE first PARTITION OF parts FOR VALUES IN (1); \
                 CREATE TABLE second PARTITION OF parts FOR VALUES IN (2); \
                 INSERT INTO parts SELECT 1, 'x', 1 + i % 2 FROM generate_series(1, 40000) AS i; \
                 CREATE TABLE parent (one int, word text); INSERT INTO parent {rows}; \
                 CREATE TABLE heir () INHERITS (parent); INSERT INTO heir {rows}; ANALYZE"
            ))
            .await;
        let (_lab, engine) = apart(database.options());
        let (_watch, watcher) = engine_of(database.options());
        let made = "SELECT id, 1 AS one, 'new' AS word FROM generate_series(1, 50000) AS id";
        let swap = "INSERT INTO other SELECT * FROM big; ALTER TABLE big RENAME TO old; ALTER TABLE other RENAME TO big; \
             DROP TABLE old CASCADE";
        // The last of each is how many rows the next query finds.
        for (table, changed, change, rows) in [
            ("big", "big", format!("TRUNCATE big; INSERT INTO big {made}"), 50_000),
            ("seen", "big", format!("TRUNCATE big; INSERT INTO big {made}"), 50_000),
            ("big", "big", "ALTER TABLE big ALTER COLUMN id TYPE bigint USING id".to_owned(), 50_000),
            ("big", "public.big", swap.to_owned(), 50_000),
            ("big", "public.big and big", format!("DROP TABLE big CASCADE; CREATE TABLE big AS {made}"), 50_000),
            ("parts", "parts", "ALTER TABLE parts DETACH PARTITION first".to_owned(), 20_000),
            ("parts", "parts", "ALTER TABLE parts ATTACH PARTITION first FOR VALUES IN (1)".to_owned(), 40_000),
            (
                "parent",
                "parent",
                "ALTER TABLE heir NO INHERIT parent; INSERT INTO parent SELECT * FROM heir".to_owned(),
                40_000,
            ),
        ] {
            let sql = GATED.replace("pg.big", &format!("pg.{table}"));
            let error = read_gated(&engine, &watcher, &sql, async || database.run(&change).await).await;
            let error = error.err().unwrap_or_else(|| panic!("{change}: {table} was read in a snapshot of before"));
            assert_eq!((error.code(), error.retry()), (ErrorCode::SourceFailed, Retry::Safe), "{change}: {error}");
            let message = format!("{changed} was emptied, rewritten or replaced while the query ran");
            assert_eq!(error.message(), message, "{change}");
            let again = ask(&engine, &format!("SELECT one FROM pg.{table}")).await.unwrap();
            assert_eq!(again.rows(), rows, "{change}");
        }
        // What leaves the rows where they are is none.
        for (table, rows, change) in [
            ("big", 50_000, "DELETE FROM big; CREATE INDEX ON big (id); REINDEX TABLE big; ANALYZE big"),
            (
                "parts",
                40_000,
                "CREATE TABLE third PARTITION OF parts FOR VALUES IN (3); INSERT INTO parts SELECT 1, 'x', 3",
            ),
        ] {
            let sql = GATED.replace("pg.big", &format!("pg.{table}"));
            let answer = read_gated(&engine, &watcher, &sql, async || database.run(change).await).await;
            assert_eq!(answer.unwrap_or_else(|error| panic!("{change}: {error}")).rows(), rows, "{change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_server_is_not_told_to_be_of_the_snapshot() {
    for database in databases().await {
        table_and_gate(&database).await;
        database
            .run(
                "CREATE EXTENSION file_fdw; CREATE SERVER far FOREIGN DATA WRAPPER file_fdw; \
                 CREATE FOREIGN TABLE far (one int, word text) SERVER far OPTIONS (program 'echo 1,x', format 'csv')",
            )
            .await;
        let (_lab, engine) = apart(database.options());
        let answer = ask(&engine, &GATED.replace("pg.big", "pg.far")).await.unwrap();
        assert_eq!(answer.rows(), 1);
        let told = snapshots(&answer);
        assert!(matches!(told[0], Some(ReadSnapshot::Shared(_))), "{told:?}");
        let reason = "far is a table of another server, which takes no part in it";
        assert_eq!(told[1], Some(ReadSnapshot::Own(reason.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_of_a_recursion_reads_the_same_snapshot() {
    for database in databases().await {
        database.run("CREATE TABLE tree AS SELECT id, id / 2 AS parent FROM generate_series(1, 63) AS id").await;
        let (_lab, engine) = apart(database.options());
        let sql = "WITH RECURSIVE t AS (SELECT 1 AS id UNION ALL SELECT b.id FROM t JOIN pg.tree b ON b.parent = t.id) \
             SELECT count(*) AS n FROM t";
        let answer = ask(&engine, sql).await.unwrap();
        assert_eq!(answer.batches[0].column(0).as_primitive::<Int64Type>().value(0), 63);
        assert!(matches!(snapshots(&answer)[..], [Some(ReadSnapshot::Shared(_))]), "{:?}", snapshots(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_snapshot_is_gone_fails_and_one_that_can_have_none_says_so() {
    for database in databases().await {
        table_and_gate(&database).await;
        let (_watch, watcher) = engine_of(database.options());
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tombolo' \
             AND datname = current_database() AND state = 'idle in transaction'";
        // The table is read over several streams, and over one.
        for stream_bytes in ["16MB", "1GB"] {
            let (_lab, engine) = apart(database.options().with("stream_bytes", stream_bytes));
            let error = read_gated(&engine, &watcher, GATED, async || database.run(end).await).await.err();
            let error = error.expect("the table was read in another snapshot than the view");
            assert_eq!((error.code(), error.retry()), (ErrorCode::SourceFailed, Retry::Safe), "{error}");
            assert_eq!(error.message(), "the snapshot that the query reads is gone", "{:?}", error.detail());
            assert!(error.hint().is_some_and(|hint| hint.starts_with("Run the query again.")), "{:?}", error.hint());
            assert_eq!(ask(&engine, GATED).await.unwrap().rows(), 50_000);
        }

        // With few connections none is left to hold the snapshot.
        let (_lab, engine) = apart(database.options().with("max_connections", "2"));
        let answer = ask(&engine, GATED).await.unwrap();
        assert_eq!(answer.rows(), 50_000);
        let reason = "no connection was free to hold one for all";
        assert_eq!(snapshots(&answer), vec![Some(ReadSnapshot::Own(reason.to_owned())); 2]);
        let notices = ["gate", "big"].map(|table| {
            format!("source `pg` was not read in one snapshot, public.{table} in one of its own: {reason}")
        });
        assert_eq!(answer.receipt.notices, notices);

        // Whoever does not want it is told of none.
        let (_lab, engine) = apart(database.options().with("one_snapshot", "false"));
        let answer = ask(&engine, GATED).await.unwrap();
        assert_eq!((answer.rows(), snapshots(&answer)), (50_000, vec![None, None]));
    }
}

/// Stands before a server as what spreads connections over several: no snapshot that is asked for is known. It ends with the tasks.
async fn forgetful(server: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            connections.spawn(forget(client, server));
        }
    });
    (address, tasks)
}

async fn forget(client: TcpStream, server: SocketAddr) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
    let asked = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
            let begin = b"TRANSACTION SNAPSHOT '";
            if let Some(at) = bytes[..length].windows(begin.len()).position(|found| found == begin) {
                bytes[at + begin.len()] = b'F';
            }
            if to_server.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = asked => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_snapshot_is_not_known_each_sub_query_reads_one_of_its_own() {
    for database in databases().await {
        table_and_gate(&database).await;
        let options = database.options();
        let server: SocketAddr = format!("127.0.0.1:{}", options.integer("port").unwrap()).parse().unwrap();
        let (address, _tasks) = forgetful(server).await;
        let (_lab, engine) = apart(options.with("port", i64::from(address.port())));
        let answer = ask(&engine, GATED).await.unwrap();
        assert_eq!(answer.rows(), 50_000);
        let reason = "the server does not know the one that was exported".to_owned();
        assert_eq!(snapshots(&answer), vec![Some(ReadSnapshot::Own(reason)); 2]);
        assert_eq!(answer.receipt.notices.len(), 2, "{:?}", answer.receipt.notices);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_keys_read_one_snapshot() {
    for database in databases().await {
        let made = "CREATE TABLE big AS SELECT id, id % 7 AS n FROM generate_series(1, 20000::bigint) AS id";
        database.run(&format!("{made}; CREATE INDEX ON big (id); ANALYZE big")).await;
        let mut lab = Lab::new();
        lab.source("pg", "postgres", database.options());
        lab.memory("near", "main", "k", rows("SELECT i * 3 AS id FROM generate_series(1, 500) AS t(i)").await);
        let key_shipping = KeyShipping { strategy: Strategy::Always, batch_keys: 100, ..KeyShipping::default() };
        let engine = lab.engine_with(Settings { key_shipping, ..lab.settings() });
        let answer = ask(&engine, "SELECT k.id, b.n FROM near.k k JOIN pg.big b ON k.id = b.id").await.unwrap();
        assert_eq!(answer.rows(), 500);
        let read = answer.receipt.sub_queries.iter().find(|query| query.source == "pg").unwrap();
        assert_eq!(read.keys[0].requests, Some(5), "{read:?}");
        assert!(matches!(read.snapshot, Some(ReadSnapshot::Shared(_))), "{read:?}");
        assert!(answer.receipt.notices.is_empty(), "{:?}", answer.receipt.notices);
    }
}
