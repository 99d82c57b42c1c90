//! One large table of MariaDB, read over several streams in one snapshot, and where that cannot be, over one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tokio::task::JoinSet;
use tombolo_connector::{ErrorCode, Options, Parallelism, Retry};
use tombolo_engine::{Engine, QueryOptions, Settings};
use tombolo_testkit::harness::{Harness, MysqlHarness, RemoteLog, Site};
use tombolo_testkit::{Answer, Lab, ask};

/// MariaDB with a binary log, if it is there.
async fn mariadb() -> Option<MysqlHarness> {
    let server = MysqlHarness::MARIADB;
    if let Some(missing) = server.missing() {
        println!("skipped: {missing}");
        return None;
    }
    let log_bin = server.rows("SELECT @@log_bin").await.unwrap();
    if log_bin[0][0].as_deref() != Some("1") {
        assert!(std::env::var_os("CI").is_none(), "the test server has no binary log");
        println!("skipped: the server at {} has no binary log", server.variable);
        return None;
    }
    Some(server)
}

async fn database(server: MysqlHarness, statements: &[&str]) -> Box<dyn Site> {
    let site = server.open("parts", &[]).await.unwrap();
    let settings = ["SET sql_mode = 'ANSI_QUOTES', time_zone = '+00:00'".to_owned()];
    let statements = statements.iter().map(|statement| statement.replace("{db}", site.schema()));
    server.run(&settings.into_iter().chain(statements).collect::<Vec<_>>()).await.unwrap();
    site
}

fn engine(options: Options, parallel: usize) -> Engine {
    let mut lab = Lab::new();
    lab.source("s", "mysql", options.with("stream_bytes", "256KB"));
    lab.engine_over(tombolo_connectors::registry(), Settings { parallel, ..lab.settings() })
}

/// An engine that reads little ahead.
fn slow_engine(options: Options) -> Engine {
    let mut lab = Lab::new();
    lab.source("s", "mysql", options);
    lab.engine_over(tombolo_connectors::registry(), Settings { parallel: 2, batch_size: 256, ..lab.settings() })
}

/// A table of four megabytes, of 40,000 rows.
const BIG: [&str; 3] = [
    "CREATE TABLE {db}.big (id int PRIMARY KEY, n bigint NOT NULL, word varchar(200) NOT NULL) ENGINE = InnoDB",
    "INSERT INTO {db}.big SELECT seq, 100, repeat('w', 80) FROM {db}.seq_1_to_40000",
    "ANALYZE TABLE {db}.big",
];

/// What the receipt says the big table was read by.
fn told(answer: &Answer) -> String {
    answer.receipt.sub_queries[0].streams.clone().unwrap_or_default()
}

/// Asks until the table was read over several streams: other tests write into the server too.
async fn ask_in_parts(engine: &Engine, sql: &str) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = ask(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
        let told = told(&answer);
        if told.contains(" streams over ranges of ") {
            return answer;
        }
        assert!(told.contains("the server wrote so often"), "{sql}: {told:?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{sql}: {told:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The first column of all rows as text, sorted.
fn sorted(answer: &Answer) -> Vec<String> {
    let mut rows: Vec<String> =
        answer.table().lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_key_have_every_row_once() {
    let Some(server) = mariadb().await else { return };
    let far = "INSERT INTO {db}.far SELECT 9223372036854775000 + seq, seq, repeat('x', 70) FROM {db}.seq_1_to_700; \
               INSERT INTO {db}.far SELECT CAST(-9223372036854775808 AS SIGNED) + CAST(seq AS SIGNED), seq, repeat('y', 70) FROM {db}.seq_0_to_700";
    let statements = [
        BIG[0],
        BIG[1],
        // Keys from one end to the other, and nearly all of them close together.
        "CREATE TABLE {db}.far (\"the \"\"key\" bigint PRIMARY KEY, n int, word varchar(200)) ENGINE = InnoDB",
        "INSERT INTO {db}.far SELECT seq, seq, repeat('z', 70) FROM {db}.seq_1_to_15000",
        far.split("; ").next().unwrap(),
        far.split("; ").nth(1).unwrap(),
        "CREATE TABLE {db}.unsigned_keys (id bigint unsigned, at int, word varchar(200), PRIMARY KEY (id, at)) ENGINE = InnoDB",
        "INSERT INTO {db}.unsigned_keys SELECT 18446744073709551615 - seq DIV 3, seq, repeat('u', 70) FROM {db}.seq_0_to_15000",
        // No primary key, and the only key that could be one.
        "CREATE TABLE {db}.few_keys (k tinyint NOT NULL, at int NOT NULL, word varchar(200), maybe int, UNIQUE KEY kept (k, at), \
         UNIQUE KEY not_kept (maybe)) ENGINE = InnoDB",
        "INSERT INTO {db}.few_keys SELECT CAST(seq % 5 AS SIGNED) - 2, seq, repeat('f', 70), nullif(seq % 2, 0) * seq FROM {db}.seq_1_to_15000",
        "CREATE TABLE {db}.one_key (k int, at int, word varchar(200), PRIMARY KEY (k, at)) ENGINE = InnoDB",
        "INSERT INTO {db}.one_key SELECT 7, seq, repeat('o', 70) FROM {db}.seq_1_to_15000",
        "ANALYZE TABLE {db}.big, {db}.far, {db}.unsigned_keys, {db}.few_keys, {db}.one_key",
    ];
    let site = database(server, &statements).await;
    let (several, one) = (engine(site.options(), 4), engine(site.options(), 1));
    for sql in [
        "SELECT id FROM s.big",
        "SELECT upper(word) || id AS word FROM s.big WHERE n = 100 AND id % 3 = 1",
        "SELECT x.id + 1 AS next FROM s.big AS x WHERE x.word LIKE 'w%'",
        "SELECT n FROM s.big WHERE id BETWEEN 20000 AND 20010 OR id = 1 OR id = 40000",
        "SELECT \"the \"\"key\" AS k FROM s.far",
        "SELECT id, at FROM s.unsigned_keys",
        "SELECT k, at, maybe FROM s.few_keys",
        "SELECT at FROM s.one_key",
    ] {
        let (in_parts, whole) = (ask_in_parts(&several, sql).await, ask(&one, sql).await.unwrap());
        assert!(whole.rows() > 0, "{sql}");
        assert!(sorted(&in_parts) == sorted(&whole), "{sql}: {} of {} rows", in_parts.rows(), whole.rows());
        assert_eq!(told(&whole), "", "{sql}");
    }
    assert_eq!(ask_in_parts(&several, "SELECT id FROM s.big").await.rows(), 40_000);
    assert_eq!(ask_in_parts(&several, "SELECT n FROM s.far").await.rows(), 15_000 + 700 + 701);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_all_columns_that_are_read_is_read_in_ranges_of_its_own() {
    let Some(server) = mariadb().await else { return };
    let statements = [
        "CREATE TABLE {db}.pairs (a int NOT NULL, b int NOT NULL, maybe int, n int NOT NULL, word varchar(200) NOT NULL, PRIMARY KEY (a, b), \
         INDEX by_b (b), INDEX by_maybe (maybe), INDEX by_n_b (n, b)) ENGINE = InnoDB",
        "INSERT INTO {db}.pairs SELECT seq DIV 4, seq * 7919 % 40000, nullif(seq % 5, 0), seq % 10, repeat('w', 80) \
         FROM {db}.seq_1_to_40000",
        "ANALYZE TABLE {db}.pairs",
    ];
    let site = database(server, &statements).await;
    let (several, one) = (engine(site.options(), 4), engine(site.options(), 1));
    for (sql, key) in [
        ("SELECT a, b FROM s.pairs", "b"),
        ("SELECT b FROM s.pairs WHERE a % 3 = 1", "b"),
        ("SELECT n, a FROM s.pairs", "n"),
        // One that may be null leaves rows out of every range, and one that lacks a column is no help.
        ("SELECT maybe FROM s.pairs", "a"),
        ("SELECT b, maybe FROM s.pairs", "a"),
        ("SELECT b, word FROM s.pairs", "a"),
        ("SELECT b FROM s.pairs WHERE word <> ''", "a"),
    ] {
        let (in_parts, whole) = (ask_in_parts(&several, sql).await, ask(&one, sql).await.unwrap());
        assert!(told(&in_parts).contains(&format!(" streams over ranges of `{key}`")), "{sql}: {}", told(&in_parts));
        assert!(sorted(&in_parts) == sorted(&whole), "{sql}: {} of {} rows", in_parts.rows(), whole.rows());
    }
    assert_eq!(ask_in_parts(&several, "SELECT a, b FROM s.pairs").await.rows(), 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_asks_for_a_range_with_about_as_many_rows() {
    let Some(server) = mariadb().await else { return };
    let statements = [
        BIG[0],
        BIG[1],
        // One row far away, so that ranges of equal width would have all rows in one.
        "INSERT INTO {db}.big VALUES (2000000000, 1, 'far')",
        "ANALYZE TABLE {db}.big",
    ];
    let site = database(server, &statements).await;
    let engine = engine(site.options(), 4);
    let (answer, asked) = loop {
        let log = RemoteLog::listen("s");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let answer = ask(&engine, "SELECT id FROM s.big").await.unwrap();
        if told(&answer).contains("4 streams over ranges of `id`, in one snapshot") {
            break (answer, site.remote_log(&log).await);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(answer.rows(), 40_001);
    let asked: Vec<String> =
        asked.into_iter().map(|event| event.text).filter(|text| text.contains("\"id\" ")).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked.iter().filter(|text| !text.contains("\"id\" >= ")).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|text| !text.contains("\"id\" < ")).count(), 1, "{asked:?}");
    for text in &asked {
        let condition = text.split_once(" WHERE ").expect("a range").1;
        let condition = condition.replace("\"big\".", "").replace('"', "");
        let sql = format!("SELECT count(*) FROM `{}`.big WHERE {condition}", site.schema());
        let count: u64 = server.rows(&sql).await.unwrap()[0][0].as_ref().unwrap().parse().unwrap();
        assert!((4_000..=20_000).contains(&count), "{count} rows for {text}");
    }
    // With keys, an order, a limit or an aggregate there is one stream, about which there is nothing to tell.
    for sql in ["SELECT id FROM s.big ORDER BY id", "SELECT id FROM s.big LIMIT 5", "SELECT count(*) AS n FROM s.big"] {
        assert_eq!(told(&ask(&engine, sql).await.unwrap()), "", "{sql}");
    }
}

/// Moves something from a row at one end of the table to one at the other, again and again, until it is dropped.
struct Mover {
    stop: Arc<AtomicBool>,
    moved: JoinSet<usize>,
}

impl Mover {
    fn start(server: MysqlHarness, schema: &str, movers: usize, before: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut moved = JoinSet::new();
        for mover in 0..movers {
            let (stop, schema, before) = (Arc::clone(&stop), schema.to_owned(), before.to_owned());
            moved.spawn(async move {
                let mut moved = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut statements = vec![before.clone()];
                    for at in 0..100 {
                        let (from, to) = (1 + mover * 1_000 + at, 40_000 - mover * 1_000 - at);
                        statements.push("BEGIN".to_owned());
                        statements.push(format!("UPDATE `{schema}`.big SET n = n - 1 WHERE id = {from}"));
                        statements.push(format!("UPDATE `{schema}`.big SET n = n + 1 WHERE id = {to}"));
                        statements.push("COMMIT".to_owned());
                    }
                    server.run(&statements).await.unwrap();
                    moved += 100;
                }
                moved
            });
        }
        Self { stop, moved }
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.moved.join_all().await.into_iter().sum()
    }
}

/// The sum of a column, added up here.
fn sum(answer: &Answer) -> i64 {
    let columns = answer.batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().clone());
    columns.map(|column| column.iter().flatten().sum::<i64>()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_see_one_snapshot_while_others_write() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &BIG).await;
    let engine = engine(site.options(), 4);
    // In the second round past the binary log, whose place then says nothing.
    let mut is_ever_in_parts = false;
    for before in ["SET sql_log_off = 1", "SET sql_log_off = 1, sql_log_bin = 0"] {
        let mut ways = BTreeSet::new();
        // At first so that a snapshot is to be had now and then, then so that it hardly is.
        for movers in [1, 3] {
            let mover = Mover::start(server, site.schema(), movers, before);
            for _ in 0..20 {
                let answer = ask(&engine, "SELECT n FROM s.big").await.unwrap();
                assert_eq!(answer.rows(), 40_000);
                assert_eq!(sum(&answer), 4_000_000, "{before}: two snapshots, read by {}", told(&answer));
                ways.insert(told(&answer));
            }
            assert!(mover.stop().await > 0);
        }
        is_ever_in_parts |= ways.iter().any(|way| way.contains(" streams over ranges of "));
        assert!(
            ways.iter().any(|way| way.contains("one stream, since the server wrote so often")),
            "{before}: {ways:?}"
        );
    }
    assert!(is_ever_in_parts, "nothing was read in parts while others wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_later_is_not_seen() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &BIG).await;
    // More than is read ahead.
    let more = [
        format!("UPDATE `{}`.big SET word = repeat('w', 190)", site.schema()),
        format!("INSERT INTO `{0}`.big SELECT id + 100000, n, word FROM `{0}`.big", site.schema()),
        format!("INSERT INTO `{0}`.big SELECT id + 200000, n, word FROM `{0}`.big", site.schema()),
    ];
    server.run(&more).await.unwrap();
    let analyze = format!("ANALYZE TABLE `{}`.big", site.schema());
    server.run(&[analyze]).await.unwrap();
    let engine = engine(site.options(), 4);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(90), "it is never read in parts");
        let mut running =
            engine.query("SELECT n, id FROM s.big WHERE word <> 'x'", QueryOptions::default()).await.unwrap();
        let first = running.next_batch().await.unwrap().unwrap();
        let mut rows = first.num_rows();
        let double = format!("UPDATE `{}`.big SET n = n + 1", site.schema());
        server.run(&[double, format!("DELETE FROM `{}`.big WHERE id % 7 = 0", site.schema())]).await.unwrap();
        let wanted = first.column(0).as_primitive::<Int64Type>().value(0);
        while let Some(batch) = running.next_batch().await.unwrap() {
            assert!(batch.column(0).as_primitive::<Int64Type>().iter().all(|n| n == Some(wanted)));
            rows += batch.num_rows();
        }
        let left = ask(&engine, "SELECT count(*) AS n FROM s.big").await.unwrap();
        let left = left.batches[0].column(0).as_primitive::<Int64Type>().value(0);
        let in_parts = running.receipt().sub_queries[0].streams.clone().unwrap_or_default().contains(" streams over");
        if in_parts && rows == 160_000 {
            assert!(left < 160_000);
            return;
        }
        // What was deleted is gone; begin again with all rows.
        let refill = format!(
            "REPLACE INTO `{}`.big SELECT seq, 100, repeat('w', 190) FROM `{0}`.seq_1_to_160000",
            site.schema()
        );
        server.run(&[format!("DELETE FROM `{}`.big", site.schema()), refill]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_snapshots_or_an_integer_key_is_read_by_one_stream() {
    let Some(server) = mariadb().await else { return };
    let mut statements: Vec<String> = Vec::new();
    for (name, engine) in [("myisam_table", "MyISAM"), ("aria_table", "Aria")] {
        statements
            .push(format!("CREATE TABLE {{db}}.{name} (id int PRIMARY KEY, word varchar(200)) ENGINE = {engine}"));
        statements.push(format!("INSERT INTO {{db}}.{name} SELECT seq, repeat('m', 100) FROM {{db}}.seq_1_to_20000"));
    }
    for (name, key) in [("by_text", "varchar(20)"), ("by_date", "date")] {
        statements
            .push(format!("CREATE TABLE {{db}}.{name} (id {key} PRIMARY KEY, word varchar(200)) ENGINE = InnoDB"));
        statements.push(format!(
            "INSERT INTO {{db}}.{name} SELECT DATE '1980-01-01' + INTERVAL seq DAY, repeat('m', 100) FROM {{db}}.seq_1_to_20000"
        ));
    }
    statements.push(
        "CREATE TABLE {db}.heap (id int, word varchar(200), UNIQUE KEY nullable (id)) ENGINE = InnoDB".to_owned(),
    );
    statements.push("INSERT INTO {db}.heap SELECT seq, repeat('m', 100) FROM {db}.seq_1_to_20000".to_owned());
    statements.push("ANALYZE TABLE {db}.by_text, {db}.by_date, {db}.heap".to_owned());
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let site = database(server, &statements).await;
    let engine = engine(site.options(), 4);
    for (table, reason) in [
        ("myisam_table", "tables of MyISAM have no snapshots"),
        ("aria_table", "tables of Aria have no snapshots"),
        ("by_text", "its rows are not kept in the order of an integer"),
        ("by_date", "its rows are not kept in the order of an integer"),
        ("heap", "its rows are not kept in the order of an integer"),
    ] {
        let sql = format!("SELECT id, word FROM s.{table}");
        let (plan, _) = engine.explain(&sql, false, QueryOptions::default()).await.unwrap();
        let read = plan.root.details.iter().find(|(label, _)| label == "read by");
        assert_eq!(
            read.map(|(_, text)| text.as_str()),
            Some(format!("one stream, since {reason}").as_str()),
            "{table}"
        );
        let answer = ask(&engine, &sql).await.unwrap();
        assert_eq!((answer.rows(), answer.receipt.sub_queries[0].partitions), (20_000, 1), "{table}");
        assert!(told(&answer).contains(reason), "{table}: {}", told(&answer));
    }
    // It was of InnoDB when it was described.
    let was =
        "CREATE TABLE {db}.was (id int PRIMARY KEY, word varchar(200)) ENGINE = InnoDB".replace("{db}", site.schema());
    let fill = format!("INSERT INTO {0}.was SELECT seq, repeat('m', 100) FROM {0}.seq_1_to_20000", site.schema());
    server.run(&[was, fill, format!("ANALYZE TABLE {}.was", site.schema())]).await.unwrap();
    ask_in_parts(&engine, "SELECT id FROM s.was").await;
    server.run(&[format!("ALTER TABLE {}.was ENGINE = Aria", site.schema())]).await.unwrap();
    let begun = Instant::now();
    loop {
        let answer = ask(&engine, "SELECT id FROM s.was").await.unwrap();
        assert_eq!(answer.rows(), 20_000);
        if told(&answer).contains("no table of InnoDB any more") || told(&answer).contains("tables of Aria") {
            break;
        }
        assert!(
            told(&answer).contains("wrote so often") && begun.elapsed() < Duration::from_secs(60),
            "{}",
            told(&answer)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_not_free_leave_one_stream() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &BIG).await;
    for (most, reason) in [("1", "`max_connections` leaves no second"), ("2", "`max_connections` leaves no second")] {
        let answer =
            ask(&engine(site.options().with("max_connections", most), 4), "SELECT id FROM s.big").await.unwrap();
        assert_eq!(answer.rows(), 40_000);
        assert!(told(&answer).contains(reason), "{}", told(&answer));
    }
    // Two scans, for which there are not the connections: the second waits for nobody.
    let engine = engine(site.options().with("max_connections", "4"), 4);
    let sql = "SELECT a.id FROM s.big a WHERE a.id > 5 UNION ALL SELECT b.id + 1 FROM s.big b JOIN (VALUES (1), (2)) v(x) ON b.n + v.x > 5";
    let answer = ask(&engine, sql).await.unwrap();
    assert_eq!(answer.rows(), 39_995 + 80_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recursive_query_reads_a_table_in_parts_each_time() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &BIG).await;
    let engine = engine(site.options(), 4);
    // Each round reads the table, for the local function stays here.
    let sql = "WITH RECURSIVE r AS (SELECT 1 AS level, CAST(0 AS INT) AS found UNION ALL \
               SELECT level + 1, id FROM r JOIN s.big ON id = level * 10000 AND md5(word) <> 'x') \
               SELECT level FROM r ORDER BY level";
    let answer = ask(&engine, sql).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.detail()));
    assert_eq!(answer.rows(), 5, "{}", answer.table());
}

async fn ours(server: MysqlHarness, site: &dyn Site) -> Vec<Vec<Option<String>>> {
    let user = site.options().text("user").unwrap_or_default().to_owned();
    let sql = format!(
        "SELECT p.id, p.command, t.trx_state FROM information_schema.processlist p LEFT JOIN information_schema.innodb_trx t \
         ON t.trx_mysql_thread_id = p.id WHERE p.user = '{user}'"
    );
    server.rows(&sql).await.unwrap()
}

/// A table of which more comes than lies in buffers on the way: sockets alone may hold 32 MB.
const HUGE: [&str; 3] = [
    "CREATE TABLE {db}.huge (id int PRIMARY KEY, word varchar(2000) NOT NULL) ENGINE = InnoDB",
    "INSERT INTO {db}.huge SELECT seq, repeat('h', 1500) FROM {db}.seq_1_to_80000",
    "ANALYZE TABLE {db}.huge",
];

/// Runs a query until its streams are under way in one snapshot.
async fn under_way(engine: &Engine) -> tombolo_engine::RunningQuery {
    let begun = Instant::now();
    loop {
        let mut running = engine.query("SELECT id, word FROM s.huge", QueryOptions::default()).await.unwrap();
        running.next_batch().await.unwrap().unwrap();
        if running.receipt().sub_queries[0].streams.clone().unwrap_or_default().contains(" streams over") {
            return running;
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_query_ends_all_of_its_streams() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &HUGE).await;
    let engine = slow_engine(site.options());
    let running = under_way(&engine).await;
    let in_transactions = |rows: &[Vec<Option<String>>]| rows.iter().filter(|row| row[2].is_some()).count();
    assert!(in_transactions(&ours(server, &*site).await) >= 2);
    drop(running);
    let begun = Instant::now();
    loop {
        let rows = ours(server, &*site).await;
        let busy = rows.iter().filter(|row| row[1].as_deref() != Some("Sleep")).count();
        if busy == 0 && in_transactions(&rows) == 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "still there: {rows:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask(&engine, "SELECT id FROM s.huge WHERE id <= 3").await.unwrap().rows(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_killed_is_an_error_and_never_fewer_rows() {
    let Some(server) = mariadb().await else { return };
    let site = database(server, &HUGE).await;
    let engine = slow_engine(site.options());
    for victim in 0..3 {
        let mut running = under_way(&engine).await;
        let connections = ours(server, &*site).await;
        let busy: Vec<&String> = connections
            .iter()
            .filter(|row| row[1].as_deref() == Some("Query") || row[1].as_deref() == Some("Execute"))
            .filter_map(|row| row[0].as_ref())
            .collect();
        assert!(busy.len() >= 2, "{connections:?}");
        server.run(&[format!("KILL CONNECTION {}", busy[victim % busy.len()])]).await.unwrap();
        let mut rows = 0;
        let error = loop {
            match running.next_batch().await {
                Ok(Some(batch)) => rows += batch.num_rows(),
                Ok(None) => panic!("a stream that was killed has left {rows} rows"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{error}: {:?}", error.detail());
        assert_eq!(error.retry(), Retry::Safe, "{error}");
    }
    let answer = ask(&engine, "SELECT id FROM s.huge").await.unwrap();
    assert_eq!(answer.rows(), 80_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_say_whether_they_read_a_table_over_several_streams() {
    for server in MysqlHarness::ALL {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let log_bin = server.rows("SELECT @@log_bin").await.unwrap()[0][0].as_deref() == Some("1");
        let shares = log_bin && server.name == MysqlHarness::MARIADB.name;
        let statements = [
            "CREATE TABLE {db}.wide (id int PRIMARY KEY, word varchar(2000)) ENGINE = InnoDB",
            "INSERT INTO {db}.wide SELECT help_topic_id, repeat('w', 1900) FROM mysql.help_topic LIMIT 600",
            "ANALYZE TABLE {db}.wide",
        ];
        let site = database(server, &statements).await;
        let connector = site.registry().factory("mysql").unwrap().connect("s", &site.options()).await.unwrap();
        let declared = connector.capabilities().parallelism;
        assert_eq!(declared == Parallelism::Partitioned, shares, "{}", server.title);
        let answer = ask(&engine(site.options(), 4), "SELECT id, word FROM s.wide").await.unwrap();
        assert_eq!(answer.rows(), 600);
        if !shares {
            assert_eq!(answer.receipt.sub_queries[0].partitions, 1);
            let reason = "one stream, since MySQL does not let two connections read one snapshot without a lock";
            assert_eq!(told(&answer), reason, "{}", server.title);
        }
    }
}
