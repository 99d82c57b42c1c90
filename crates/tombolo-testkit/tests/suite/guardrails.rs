//! What queries may not do to a source: which are refused before they run, which while they run, and which are not.

mod limits;

use std::sync::Arc;

use tombolo_connector::{Capabilities, ErrorCode, Options};
use tombolo_connectors::memory::{MemoryConnector, MemoryFactory};
use tombolo_engine::{
    Engine, EngineConfig, Error, Guardrails, PushdownRules, QueryOptions, ScanLimits, Settings, SourceConfig,
    TableGuardrails,
};
use tombolo_testkit::tampered::{Tamper, TamperedFactory};
use tombolo_testkit::{Lab, ask, ask_with, rows};

/// A shop in SQLite with 1,000 events of 100 users and 10 days; the same as a source that does not know what a view has; the events of
/// another shop; days in memory, and files.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let shop = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, born TEXT);
         CREATE TABLE events (id INTEGER PRIMARY KEY, user_id INTEGER, day TEXT, kind TEXT, size INTEGER);
         CREATE TABLE few (id INTEGER PRIMARY KEY, day TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO users SELECT i, 'user ' || i, '2024-01-01' FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO events SELECT i, i % 100 + 1, '2024-01-' || printf('%02d', i % 10 + 1), 'k' || i % 3, i FROM n;
         INSERT INTO few SELECT id, day FROM events WHERE id <= 10;
         CREATE VIEW seen AS SELECT * FROM events;";
    let file = lab.sqlite("shop");
    file.execute(shop);
    let options = Options::default().with("path", file.path().to_str().unwrap()).with("verify_types", "never");
    lab.source("blind", "sqlite", options);
    lab.sqlite("other").execute(shop);
    let days = "SELECT '2024-01-0' || value AS day, value FROM generate_series(1, 3)";
    lab.memory("mem", "main", "days", rows(days).await);
    lab.memory("mem", "main", "numbers", rows("SELECT value AS n FROM generate_series(1, 500)").await);
    let lake = lab.files("lake");
    lake.csv("lines", &rows("SELECT value AS n, 'text ' || value AS words FROM generate_series(1, 300)").await);
    lake.parquet("blocks", 100, &rows("SELECT value AS n, value % 7 AS m FROM generate_series(1, 300)").await);
    lab
}

fn of_table(table: &str) -> TableGuardrails {
    TableGuardrails { table: table.to_owned(), ..TableGuardrails::default() }
}

fn requires(table: &str, columns: &[&str]) -> Guardrails {
    let require = columns.iter().map(|&column| column.to_owned()).collect();
    Guardrails { tables: vec![TableGuardrails { require, ..of_table(table) }], ..Guardrails::default() }
}

fn at_most(rows: u64) -> ScanLimits {
    ScanLimits { rows: Some(rows), bytes: None }
}

fn scanning(rows: u64) -> Guardrails {
    Guardrails { max_scanned: at_most(rows), ..Guardrails::default() }
}

/// Reads a query to its end or its error.
async fn outcome(engine: &Engine, sql: &str) -> Result<usize, Error> {
    ask(engine, sql).await.map(|answer| answer.rows())
}

async fn assert_allowed(engine: &Engine, statements: &[&str]) {
    for sql in statements {
        if let Err(error) = outcome(engine, sql).await {
            panic!("{sql} is refused: {error}: {:?}", error.detail());
        }
    }
}

async fn assert_refused(engine: &Engine, statements: &[&str]) {
    for sql in statements {
        match outcome(engine, sql).await {
            Ok(rows) => panic!("{sql} is not refused, and has {rows} rows"),
            Err(error) => assert_eq!(error.code(), ErrorCode::GuardrailRefused, "{sql}: {error}"),
        }
        // Whoever explains it is told the same, unless it shows only when it runs.
        if let Err(error) = engine.query(sql, QueryOptions::default()).await {
            let explained = engine.explain(sql, false, QueryOptions::default()).await.map(|_| ()).unwrap_err();
            assert_eq!((explained.code(), explained.message()), (error.code(), error.message()), "{sql}");
        }
    }
}

/// What an error says, part by part.
async fn said(engine: &Engine, sql: &str) -> String {
    let error = match outcome(engine, sql).await {
        Ok(rows) => panic!("{sql} is not refused, and has {rows} rows"),
        Err(error) => error,
    };
    assert!(error.source_name().is_some(), "{error}");
    let code = error.code().name();
    format!("{code}: {error}\n{}\n{}", error.detail().unwrap_or_default(), error.hint().unwrap_or_default())
}

/// Whether it is refused before anything runs.
async fn refused_before(engine: &Engine, sql: &str) -> bool {
    engine.query(sql, QueryOptions::default()).await.is_err()
}

#[tokio::test]
async fn a_required_column_is_restricted_wherever_the_condition_stands() {
    let mut lab = lab().await;
    lab.guardrails("shop", requires("main.events", &["day"]));
    let engine = lab.engine();
    assert_allowed(
        &engine,
        &[
            "SELECT * FROM shop.events WHERE day = '2024-01-01'",
            "SELECT * FROM shop.events WHERE day >= '2024-01-01' AND kind <> 'k1'",
            "SELECT * FROM shop.events WHERE '2024-01-01' > day",
            "SELECT * FROM shop.events WHERE day BETWEEN '2024-01-01' AND '2024-01-03'",
            "SELECT * FROM shop.events WHERE day IN ('2024-01-01', '2024-01-03')",
            "SELECT * FROM shop.events WHERE day IN ('2024-01-01', '2024-01-03', '2024-01-04', '2024-01-05', '2024-01-06')",
            "SELECT * FROM shop.events WHERE day IN ('2024-01-01', NULL)",
            "SELECT * FROM shop.events WHERE day IS NULL",
            "SELECT * FROM shop.events WHERE day LIKE '2024-01-0%'",
            "SELECT * FROM shop.events WHERE NOT (day > '2024-01-01')",
            "SELECT * FROM shop.events WHERE day = '2024-01-01' OR day > '2024-01-05'",
            "SELECT * FROM shop.events WHERE (day = '2024-01-01' AND kind = 'k1') OR (day = '2024-01-02' AND id > 7)",
            "SELECT * FROM shop.events e WHERE e.day = '2024-01-01'",
            "SELECT count(*) FROM shop.events WHERE day = '2024-01-01'",
            "SELECT * FROM (SELECT id, day AS d FROM shop.events) x WHERE x.d = '2024-01-01'",
            "WITH w AS (SELECT id, day AS d FROM shop.events) SELECT count(*) FROM w WHERE d < '2024-01-02'",
            "SELECT day, count(*) FROM shop.events GROUP BY day HAVING day = '2024-01-01'",
            "SELECT * FROM shop.events WHERE day = '2024-01-01' ORDER BY size DESC LIMIT 3",
            "SELECT u.name FROM shop.users u JOIN shop.events e ON e.user_id = u.id WHERE e.day = '2024-01-01'",
            "SELECT u.name FROM shop.users u JOIN shop.events e ON e.user_id = u.id AND e.day = '2024-01-01'",
            "SELECT u.name FROM shop.users u LEFT JOIN shop.events e ON e.user_id = u.id AND e.day = '2024-01-01'",
            "SELECT e.id FROM shop.events e LEFT JOIN shop.users u ON e.user_id = u.id WHERE e.day = '2024-01-01'",
            "SELECT name FROM shop.users u WHERE EXISTS (SELECT 1 FROM shop.events e WHERE e.user_id = u.id AND e.day < '2024-01-02')",
            "SELECT name FROM shop.users WHERE id IN (SELECT user_id FROM shop.events WHERE day = '2024-01-01')",
            "SELECT name FROM shop.users WHERE id > (SELECT min(user_id) FROM shop.events WHERE day = '2024-01-01')",
            "SELECT id FROM shop.events WHERE day = '2024-01-01' UNION ALL SELECT id FROM shop.events WHERE day > '2024-01-09'",
            "SELECT id FROM (SELECT id, day FROM shop.events UNION ALL SELECT id, day FROM shop.few) WHERE day = '2024-01-02'",
            "SELECT d.value FROM mem.days d JOIN shop.events e ON e.day = d.day WHERE e.day = '2024-01-01'",
            // Of equal columns, what is said of one holds of the other.
            "SELECT d.value FROM mem.days d JOIN shop.events e ON e.day = d.day WHERE d.day = '2024-01-01'",
            // Other tables have no such rule, and what is known to be empty is not read.
            "SELECT * FROM shop.users",
            "SELECT * FROM shop.few",
            "SELECT * FROM other.events",
            "SELECT * FROM shop.events WHERE 1 = 2",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_required_column_that_is_not_restricted_is_refused() {
    let mut lab = lab().await;
    lab.guardrails("shop", requires("events", &["DAY"]));
    let engine = lab.engine();
    assert_refused(
        &engine,
        &[
            "SELECT * FROM shop.events",
            "SELECT count(*) FROM shop.events",
            "SELECT * FROM shop.events LIMIT 3",
            "SELECT * FROM shop.events WHERE id = 5",
            "SELECT * FROM shop.events WHERE day <> '2024-01-01'",
            "SELECT * FROM shop.events WHERE day NOT IN ('2024-01-01', '2024-01-03')",
            "SELECT * FROM shop.events WHERE day IS NOT NULL",
            "SELECT * FROM shop.events WHERE day LIKE '%-01'",
            "SELECT * FROM shop.events WHERE upper(day) = '2024-01-01'",
            "SELECT * FROM shop.events WHERE day = kind",
            "SELECT * FROM shop.events WHERE day = '2024-01-01' OR id = 7",
            "SELECT * FROM shop.events WHERE day = (SELECT max(day) FROM shop.few)",
            "SELECT * FROM shop.events WHERE day IN (SELECT day FROM shop.few)",
            "SELECT u.name FROM shop.users u JOIN shop.events e ON e.user_id = u.id WHERE u.id = 5",
            "SELECT u.name FROM shop.users u LEFT JOIN shop.events e ON e.user_id = u.id WHERE e.day IS NULL",
            "SELECT a.id FROM shop.events a JOIN shop.events b ON a.id = b.id WHERE a.day = '2024-01-01'",
            "SELECT id FROM shop.events WHERE day = '2024-01-01' UNION ALL SELECT id FROM shop.events",
            "SELECT * FROM (SELECT * FROM shop.events ORDER BY id LIMIT 5) x WHERE day = '2024-01-01'",
            "SELECT * FROM (SELECT * FROM shop.events LIMIT 5) x WHERE day = '2024-01-01'",
            "SELECT name FROM shop.users WHERE id IN (SELECT user_id FROM shop.events)",
            "SELECT name FROM shop.users WHERE id > (SELECT min(user_id) FROM shop.events)",
            "SELECT max(d) FROM (SELECT max(day) AS d FROM shop.events GROUP BY kind) x WHERE d = '2024-01-01'",
            // Keys that come at run time may be too many to be sent.
            "SELECT d.value FROM mem.days d JOIN shop.events e ON e.day = d.day",
        ],
    )
    .await;
    insta::assert_snapshot!(said(&engine, "SELECT * FROM shop.events WHERE id = 5").await, @r"
    guardrail_refused: table `main.events` of source `shop` may only be read with a predicate on `day`
    `sources.shop.tables.events.guardrails.require` asks for one that compares the column with constants; keys of a join, `<>` and conditions in only one branch of an OR are none
    Add a condition such as `day = '…'`.
    ");
    let both = "SELECT * FROM shop.events WHERE id = 5 AND upper(day) = '2024-01-01'";
    insta::assert_snapshot!(said(&engine, both).await, @r"
    guardrail_refused: table `main.events` of source `shop` may only be read with a predicate on `day`
    `sources.shop.tables.events.guardrails.require` asks for one that the source evaluates; `upper(events.day) = '2024-01-01'` is evaluated here: function `upper` folds only ASCII letters in SQLite
    Write it in a form that the source evaluates, where it has one, such as `day = '…'`.
    ");
}

#[tokio::test]
async fn every_required_column_counts_and_a_source_that_takes_no_filters_has_none() {
    let mut lab = lab().await;
    lab.guardrails("shop", requires("events", &["day", "kind"]));
    lab.guardrails("mem", requires("days", &["value"]));
    lab.guardrails("lake", requires("blocks", &["n"]));
    let engine = lab.engine();
    let day = "SELECT * FROM shop.events WHERE day = '2024-01-01'";
    let kind = "SELECT * FROM shop.events WHERE kind = 'k1'";
    assert_refused(&engine, &[day, kind, "SELECT * FROM mem.days WHERE value = 1"]).await;
    assert_allowed(&engine, &["SELECT * FROM shop.events WHERE day = '2024-01-01' AND kind = 'k1'"]).await;
    insta::assert_snapshot!(said(&engine, "SELECT * FROM mem.days WHERE value = 1").await, @r"
    guardrail_refused: table `main.days` of source `mem` may only be read with a predicate on `value`
    `sources.mem.tables.days.guardrails.require` asks for one that the source evaluates; `days.value = 1` is evaluated here: memory tables have no query engine: the filter runs in Tombolo
    Write it in a form that the source evaluates, where it has one, such as `value = 1`.
    ");
    // A file is passed over by its statistics, and the rows are checked again.
    assert_allowed(&engine, &["SELECT * FROM lake.blocks WHERE n > 290"]).await;
    assert_refused(&engine, &["SELECT * FROM lake.blocks WHERE m > 3", "SELECT * FROM lake.blocks LIMIT 1"]).await;
    let unpushed = Settings { pushdown: PushdownRules::NONE, ..lab.settings() };
    assert_refused(&lab.engine_with(unpushed), &["SELECT * FROM shop.events WHERE day = '2024-01-01' AND kind = 'k1'"])
        .await;
}

#[tokio::test]
async fn a_full_scan_is_refused_where_it_is_denied() {
    let mut lab = lab().await;
    let exempt = TableGuardrails { deny_full_scan: Some(false), ..of_table("main.users") };
    let denying =
        Guardrails { deny_full_scan: true, full_scan_rows: Some(10), tables: vec![exempt], ..Guardrails::default() };
    lab.guardrails("shop", denying.clone());
    lab.guardrails("blind", denying.clone());
    lab.guardrails("mem", Guardrails { full_scan_rows: None, tables: Vec::new(), ..denying.clone() });
    lab.guardrails("lake", Guardrails { tables: Vec::new(), ..denying.clone() });
    let engine = lab.engine();
    assert_allowed(
        &engine,
        &[
            "SELECT * FROM shop.events WHERE id = 5",
            "SELECT * FROM shop.events WHERE size > 5 OR size IS NULL",
            "SELECT * FROM shop.events LIMIT 10",
            "SELECT id + 1 FROM shop.events AS e LIMIT 10 OFFSET 3",
            "SELECT * FROM shop.events LIMIT 999",
            "SELECT * FROM blind.seen LIMIT 5000",
            "SELECT e.id FROM shop.users u JOIN shop.events e ON e.user_id = u.id WHERE e.kind = 'k1'",
            // Known to be small, or exempt.
            "SELECT * FROM shop.few",
            "SELECT * FROM shop.users",
            "SELECT * FROM other.events",
            // Reading stops where the limit is reached, wherever that is.
            "SELECT n FROM mem.numbers LIMIT 3",
            "SELECT n FROM lake.lines LIMIT 3",
            "SELECT n FROM lake.blocks WHERE n < 4",
        ],
    )
    .await;
    assert_refused(
        &engine,
        &[
            "SELECT * FROM shop.events",
            "SELECT count(*) FROM shop.events",
            "SELECT * FROM shop.events WHERE kind <> 'k1'",
            "SELECT * FROM shop.events WHERE kind LIKE '%1'",
            "SELECT * FROM shop.events WHERE size + 1 = 7",
            // All rows are looked at before the first is given, or may be.
            "SELECT * FROM shop.events ORDER BY size LIMIT 3",
            "SELECT * FROM shop.events WHERE kind <> 'k1' LIMIT 3",
            "SELECT kind, count(*) FROM shop.events GROUP BY kind LIMIT 1",
            "SELECT * FROM shop.events LIMIT 1000",
            "SELECT * FROM shop.events LIMIT 998 OFFSET 2",
            "SELECT * FROM shop.events OFFSET 2",
            "SELECT * FROM blind.seen",
            "SELECT * FROM blind.seen LIMIT 100001",
            "SELECT e.id FROM shop.users u JOIN shop.events e ON e.user_id = u.id WHERE u.name = 'x'",
            "SELECT e.id FROM shop.users u JOIN shop.events e ON e.user_id = u.id LIMIT 3",
            "SELECT name FROM shop.users WHERE id NOT IN (SELECT user_id FROM shop.events)",
            "SELECT e.id FROM mem.days d JOIN shop.events e ON e.day = d.day WHERE d.value = 1",
            "SELECT n FROM mem.numbers",
            "SELECT n FROM mem.numbers WHERE n = 3 LIMIT 3",
            "SELECT n FROM lake.lines WHERE n = 3",
        ],
    )
    .await;
    insta::assert_snapshot!(said(&engine, "SELECT count(*) FROM shop.events").await, @r"
    guardrail_refused: table `main.events` of source `shop` would be read whole
    `sources.shop.guardrails.deny_full_scan` forbids that; it has 1,000 rows
    Add a condition such as `id = 1`, or a LIMIT. Keys of a join do not count.
    ");
    insta::assert_snapshot!(said(&engine, "SELECT n FROM lake.lines WHERE n = 3").await, @r"
    guardrail_refused: table `main.lines` of source `lake` would be read whole
    `sources.lake.guardrails.deny_full_scan` forbids that; it has 300 rows; `lines.n = 3` is evaluated here: CSV files keep no statistics by which rows could be passed over
    Add a condition that the source evaluates, or a LIMIT. Keys of a join do not count.
    ");
    insta::assert_snapshot!(said(&engine, "SELECT count(*) FROM blind.seen").await, @r"
    guardrail_refused: table `main.seen` of source `blind` would be read whole
    `sources.blind.guardrails.deny_full_scan` forbids that; it has an unknown number of rows
    Add a condition such as `id = 1`, or a LIMIT of 100,000 at the most. Keys of a join do not count.
    ");
    let limited = QueryOptions { limit: Some(5), ..QueryOptions::default() };
    assert_eq!(ask_with(&engine, "SELECT * FROM shop.events", limited).await.unwrap().rows(), 5);

    lab.guardrails("shop", Guardrails { full_scan_rows: Some(1000), ..denying.clone() });
    assert_allowed(&lab.engine(), &["SELECT count(*) FROM shop.events"]).await;
    lab.guardrails("shop", Guardrails { full_scan_rows: Some(999), ..denying });
    assert_refused(&lab.engine(), &["SELECT count(*) FROM shop.events"]).await;
}

#[tokio::test]
async fn names_that_the_source_does_not_have_are_told() {
    let mut lab = lab().await;
    lab.guardrails("shop", requires("main.event", &["day"]));
    let engine = lab.engine();
    insta::assert_snapshot!(said(&engine, "SELECT * FROM shop.users").await, @r#"
    config_invalid: there are guardrails for table `main.event`, which source `shop` does not have
    they stand in [sources.shop.tables."main.event".guardrails]
    Did you mean `main.events`? A rule that guards nothing would go unseen, so the source is not read: correct the name or remove it.
    "#);
    // What does not read the source is not concerned.
    assert_allowed(&engine, &["SELECT * FROM other.users"]).await;
    assert!(engine.describe_table("shop.events").await.is_ok());
    lab.guardrails("shop", requires("events", &["dya"]));
    let engine = lab.engine();
    assert_allowed(&engine, &["SELECT * FROM shop.users"]).await;
    let wrong = said(&engine, "SELECT * FROM shop.events WHERE day = '2024-01-01'").await;
    insta::assert_snapshot!(wrong, @r"
    config_invalid: a guardrail requires column `dya`, which table `main.events` of source `shop` does not have

    Did you mean `day`? Correct `sources.shop.tables.events.guardrails.require`.
    ");
}

/// Says that it has a language of its own; a query in it is a table whose name is the text.
#[derive(Debug, Clone)]
struct Native;

impl Tamper for Native {
    fn capabilities(&self, declared: Capabilities) -> Capabilities {
        Capabilities { native_queries: true, ..declared }
    }
}

async fn native_engine(guardrails: Guardrails) -> Engine {
    let connector = MemoryConnector::builder()
        .table("main", "t", rows("SELECT value AS n FROM generate_series(1, 20)").await)
        .table("", "GIVE ALL", rows("SELECT value AS n FROM generate_series(1, 20)").await)
        .build();
    let memory = TamperedFactory::new(MemoryFactory::default().with_source("s", connector), Native);
    let (name, kind) = ("s".to_owned(), "memory".to_owned());
    let source =
        SourceConfig { name, kind, options: Options::default(), timeout: None, max_concurrency: None, guardrails };
    let registry = tombolo_connectors::registry().with(Arc::new(memory));
    let (sources, settings) = (vec![source], Settings::default());
    Engine::try_new(EngineConfig { registry, sources, settings, state_dir: None }).unwrap()
}

#[tokio::test]
async fn a_query_in_the_source_s_own_language_is_refused_where_its_predicates_count() {
    let sql = "SELECT n FROM query('s', 'GIVE ALL')";
    assert_allowed(&native_engine(Guardrails::default()).await, &[sql]).await;
    for guardrails in [Guardrails { deny_full_scan: true, ..Guardrails::default() }, requires("t", &["n"])] {
        let engine = native_engine(guardrails.clone()).await;
        assert_refused(&engine, &[sql, "SELECT n FROM query('s', 'GIVE ALL') LIMIT 1"]).await;
        assert_allowed(&native_engine(Guardrails { allow_native: true, ..guardrails }).await, &[sql]).await;
    }
    let denying = Guardrails { deny_full_scan: true, ..Guardrails::default() };
    insta::assert_snapshot!(said(&native_engine(denying).await, sql).await, @r"
    guardrail_refused: a query in the own language of source `s` cannot be checked by its guardrails
    the source has rules about predicates on its tables, which its own language hides
    Ask its tables by name; whoever keeps the config can set `sources.s.guardrails.allow_native = true`.
    ");
    // What comes of it is counted like any rows.
    assert_allowed(&native_engine(scanning(20)).await, &[sql]).await;
    let allowed = Guardrails { allow_native: true, ..scanning(19) };
    assert_refused(&native_engine(allowed).await, &[sql]).await;
}
