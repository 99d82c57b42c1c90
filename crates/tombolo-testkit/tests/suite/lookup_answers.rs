//! What the source of a looked-up side was asked for is not asked for again, as far as memory holds the answers.

use tombolo_engine::check::KeyReceipt;
use tombolo_engine::{KeyShipping, Settings, Strategy};
use tombolo_testkit::{Answer, Lab, ask};

use crate::key_shipping::assert_same;
use crate::lookup::{rows_of, settings};

/// Looks up in parts from two rows on, and always by keys; or reads both sides.
fn always(lab: &Lab, lookup: Strategy) -> Settings {
    Settings {
        key_shipping: KeyShipping { strategy: lookup, lookup, ..KeyShipping::default() },
        ..settings(lab, lookup)
    }
}

async fn answer(lab: &Lab, lookup: Strategy, sql: &str) -> Answer {
    ask(&lab.engine_with(always(lab, lookup)), sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

/// 20,000 visits of 2,000 pages that come again and again, a seventh of them of none; a quarter of the pages is not there, and each of
/// the others has three texts.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers =
        |count: usize| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    lab.sqlite("log").execute(&format!(
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, page INTEGER, kind INTEGER);
         {} INSERT INTO visits SELECT i, CASE WHEN i % 7 > 0 THEN i % 2000 END, i % 3 FROM n; ANALYZE;",
        numbers(20_000)
    ));
    lab.sqlite("site").execute(&format!(
        "CREATE TABLE texts (id INTEGER PRIMARY KEY, page INTEGER, kind INTEGER, body TEXT);
         {} INSERT INTO texts SELECT i, i / 3, i % 3, 't' || i || printf('%0200d', i) FROM n WHERE (i / 3) % 4 > 0;
         CREATE INDEX by_page ON texts (page); ANALYZE;",
        numbers(5_999)
    ));
    lab
}

fn keys_of<'a>(answer: &'a Answer, source: &str) -> &'a KeyReceipt {
    let query = answer.receipt.sub_queries.iter().find(|query| query.source == source).unwrap();
    let [keys] = query.keys.as_slice() else { panic!("{:?}", query.keys) };
    keys
}

const STATEMENTS: [&str; 7] = [
    "SELECT v.id, t.body FROM log.visits v JOIN site.texts t ON t.page = v.page",
    "SELECT v.id, t.id FROM log.visits v LEFT JOIN site.texts t ON t.page = v.page AND t.kind = v.kind",
    "SELECT v.id, t.id FROM site.texts t RIGHT JOIN log.visits v ON t.page = v.page AND t.id % 5 < v.id % 4",
    "SELECT v.id FROM log.visits v WHERE EXISTS (SELECT 1 FROM site.texts t WHERE t.page = v.page)",
    "SELECT v.id FROM log.visits v WHERE NOT EXISTS (SELECT 1 FROM site.texts t WHERE t.page = v.page)",
    "SELECT v.id FROM log.visits v WHERE v.kind = 1 OR EXISTS (SELECT 1 FROM site.texts t WHERE t.page = v.page)",
    "SELECT v.id, t.body FROM log.visits v LEFT JOIN site.texts t ON t.page = v.page WHERE v.id < 0",
];

#[tokio::test]
async fn keys_that_come_again_are_not_asked_for_again() {
    let lab = lab().await;
    for sql in STATEMENTS {
        let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
        assert_same(sql, &parts, &whole);
    }
    // Of pages that are there, and of those that are not.
    for sql in &STATEMENTS[..5] {
        let parts = answer(&lab, Strategy::Always, sql).await;
        let keys = keys_of(&parts, "site");
        let distinct = if sql.contains("t.kind = v.kind") { 6_000 } else { 2_000 };
        assert_eq!(keys.collected, Some(distinct), "{sql}: {keys:?}");
        assert!(keys.from_before > distinct / 2, "{sql}: {keys:?}");
        // In parts of 2, 8, 32, 128 … rows, of which the last has no new ones.
        assert!((5..=8).contains(&keys.requests.unwrap()), "{sql}: {keys:?}");
        let rows = rows_of(&parts.receipt, "site");
        assert!(rows <= 4_500, "{sql}: {rows} texts came");
    }
}

#[tokio::test]
async fn the_counts_of_a_join_are_those_of_the_whole() {
    let lab = lab().await;
    for sql in &STATEMENTS[..3] {
        let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
        let ([parts], [whole]) = (parts.receipt.joins.as_slice(), whole.receipt.joins.as_slice()) else {
            panic!("{:?}", parts.receipt.joins)
        };
        assert!(parts.complete, "{sql}");
        assert_eq!(parts.output_rows, whole.output_rows, "{sql}");
        if parts.left.tables == ["log.visits"] {
            assert_eq!(parts.fan_out, whole.fan_out, "{sql}");
        }
        let of = |side: usize| if side == 0 { (&parts.left, &whole.left) } else { (&parts.right, &whole.right) };
        for (parts, whole) in [of(0), of(1)] {
            if parts.tables == ["log.visits"] {
                assert_eq!((parts.rows, parts.matched), (whole.rows, whole.matched), "{sql}");
            } else {
                // Each text came once, as it does when all are read.
                assert!(parts.reduced && parts.rows <= whole.rows, "{sql}: {parts:?} {whole:?}");
            }
        }
    }
}

#[tokio::test]
async fn where_memory_ends_keys_are_asked_for_again_and_the_rows_are_the_same() {
    let lab = lab().await;
    for sql in STATEMENTS {
        let whole = answer(&lab, Strategy::Never, sql).await;
        for max_memory in [6 << 20, 3 << 20] {
            let limited = Settings { max_memory, ..always(&lab, Strategy::Always) };
            let engine = lab.engine_with(limited);
            let parts = ask(&engine, sql).await.unwrap_or_else(|error| panic!("{sql} with {max_memory}: {error:?}"));
            assert_same(sql, &parts, &whole);
            assert_eq!(engine.reserved_memory_bytes(), 0, "{sql}");
        }
    }
    let engine = lab.engine_with(Settings { max_memory: 6 << 20, ..always(&lab, Strategy::Always) });
    let parts = ask(&engine, STATEMENTS[0]).await.unwrap();
    let keys = keys_of(&parts, "site");
    assert!(keys.collected.unwrap() > 2_000 && keys.from_before > 0, "{keys:?}");
}

#[tokio::test]
async fn what_an_answer_of_another_key_has_is_not_taken_for_its_own() {
    let mut lab = Lab::new();
    // To the source `a` and `A` are one.
    lab.sqlite("names").execute(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);
         INSERT INTO people VALUES (1, 'a'), (2, 'A'), (3, 'b'), (4, 'B'), (5, 'a'); CREATE INDEX by_name ON people (name); ANALYZE;",
    );
    lab.sqlite("log").execute(
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, name TEXT);
         INSERT INTO calls VALUES (1, 'a'), (2, 'b'), (3, 'A'), (4, 'a'), (5, 'B'), (6, 'b'), (7, 'c'), (8, 'A'); ANALYZE;",
    );
    for sql in [
        "SELECT c.id, p.id FROM log.calls c JOIN names.people p ON p.name = c.name",
        "SELECT c.id, p.id FROM log.calls c LEFT JOIN names.people p ON p.name = c.name",
    ] {
        let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
        assert_same(sql, &parts, &whole);
    }
}

#[tokio::test]
async fn keys_of_every_kind_are_remembered_or_asked_for_again_alike() {
    let mut lab = Lab::new();
    for (source, shift) in [("one", 0), ("two", 3)] {
        lab.sqlite(source).execute(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, number REAL, text TEXT, flag BOOLEAN, day DATE, price DECIMAL(10, 2));
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                INSERT INTO t SELECT i, CASE (i + {shift}) % 5 WHEN 0 THEN 0.0 WHEN 1 THEN -0.0 WHEN 2 THEN NULL ELSE (i % 9) / 2.0 END,
                    'x' || ((i + {shift}) % 11), i % 2, '2024-01-' || printf('%02d', 1 + (i * 7 + {shift}) % 28), (i + {shift}) % 13
                FROM n;
             ANALYZE;"
        ));
    }
    for column in ["number", "text", "flag", "day", "price"] {
        for join in ["JOIN", "LEFT JOIN"] {
            let sql = format!("SELECT a.id, b.id FROM one.t a {join} two.t b ON b.{column} = a.{column}");
            let (parts, whole) =
                (answer(&lab, Strategy::Always, &sql).await, answer(&lab, Strategy::Never, &sql).await);
            assert_same(&sql, &parts, &whole);
        }
    }
    let sql = "SELECT a.id, b.id FROM one.t a JOIN two.t b ON b.text = a.text AND b.day = a.day";
    let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
    assert_same(sql, &parts, &whole);
}
