//! Below a limit one side of a join is read part by part, and its partners are looked up; what is not needed is not read.

use tombolo_engine::check::Receipt;
use tombolo_engine::{KeyShipping, Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask};

/// 60,000 events, half of them of one of 30,000 devices; a tenth of the devices has no owner.
pub(crate) async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers =
        |count: usize| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    lab.sqlite("log").execute(&format!(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, device INTEGER, kind TEXT);
         {} INSERT INTO events SELECT i, CASE WHEN i % 50 = 0 THEN NULL WHEN i % 2 = 0 THEN i % 30000 ELSE -i END, 'k' || (i % 5) FROM n;
         ANALYZE;",
        numbers(60_000)
    ));
    lab.sqlite("park").execute(&format!(
        "CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT, owner INTEGER);
         {} INSERT INTO devices SELECT i, 'd' || i, CASE WHEN i % 10 > 0 THEN i % 100 END FROM n;
         ANALYZE;",
        numbers(30_000)
    ));
    lab
}

pub(crate) fn settings(lab: &Lab, lookup: Strategy) -> Settings {
    Settings { key_shipping: KeyShipping { lookup, ..KeyShipping::default() }, ..lab.settings() }
}

pub(crate) async fn answer(lab: &Lab, lookup: Strategy, sql: &str) -> Answer {
    ask(&lab.engine_with(settings(lab, lookup)), sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

pub(crate) fn rows_of(receipt: &Receipt, source: &str) -> u64 {
    receipt.sub_queries.iter().filter(|query| query.source == source).map(|query| query.rows).sum()
}

#[tokio::test]
async fn part_by_part_the_rows_are_those_of_the_whole() {
    let lab = lab().await;
    for sql in [
        "SELECT e.id, d.name FROM log.events e JOIN park.devices d ON d.id = e.device",
        "SELECT e.id, d.name FROM log.events e LEFT JOIN park.devices d ON d.id = e.device AND d.owner > e.id % 60",
        "SELECT e.id, d.name FROM park.devices d RIGHT JOIN log.events e ON d.id = e.device",
        "SELECT e.id FROM log.events e WHERE EXISTS (SELECT 1 FROM park.devices d WHERE d.id = e.device AND d.owner IS NULL)",
        "SELECT e.id FROM log.events e WHERE NOT EXISTS (SELECT 1 FROM park.devices d WHERE d.id = e.device)",
        // Each device has several events, and comes once.
        "SELECT d.id FROM park.devices d WHERE EXISTS (SELECT 1 FROM log.events e WHERE e.device = d.id)",
        "SELECT d.id FROM park.devices d WHERE d.owner IN (SELECT e.device FROM log.events e)",
        "SELECT e.id, d.id FROM log.events e FULL JOIN park.devices d ON d.id = e.device",
        "SELECT e.kind, count(*), count(d.owner) FROM log.events e LEFT JOIN park.devices d ON d.id = e.device GROUP BY e.kind",
        "SELECT e.id FROM log.events e WHERE EXISTS (SELECT 1 FROM park.devices d WHERE d.id = e.device) OR e.kind = 'k1'",
    ] {
        let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
        same(sql, (&parts.schema, &parts.batches), (&whole.schema, &whole.batches), Rules::default())
            .unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[tokio::test]
async fn a_limit_ends_the_reading() {
    let lab = lab().await;
    for sql in [
        "SELECT e.id, d.name FROM log.events e LEFT JOIN park.devices d ON d.id = e.device WHERE e.id > 0 LIMIT 10",
        "SELECT e.id, d.name FROM log.events e JOIN park.devices d ON d.id = e.device LIMIT 10 OFFSET 3",
        "SELECT e.id FROM log.events e WHERE EXISTS (SELECT 1 FROM park.devices d WHERE d.id = e.device) LIMIT 10",
    ] {
        let found = answer(&lab, Strategy::Adaptive, sql).await;
        assert_eq!(found.batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10, "{sql}");
        let devices = rows_of(&found.receipt, "park");
        assert!(devices < 300, "{sql}: {devices} devices were read");
        let keys = &found.receipt.sub_queries.iter().find(|query| query.source == "park").unwrap().keys;
        assert_eq!(keys.len(), 1, "{sql}: {keys:?}");
        assert!(keys[0].requests.is_some_and(|requests| requests > 0), "{sql}: {keys:?}");
        // Of the events that were read and not looked up, it is not known whether they have a device. A left join needs ten.
        let [join] = found.receipt.joins.as_slice() else { panic!("{:?}", found.receipt.joins) };
        assert_eq!(join.complete, join.kind == "left", "{sql}: {join:?}");
        assert_eq!(join.left.matched.or(join.right.matched).is_some(), join.complete, "{sql}: {join:?}");
    }
}

#[tokio::test]
async fn nothing_is_looked_up_for_an_empty_side_and_each_row_found_is_asked_for_once_a_part() {
    let lab = lab().await;
    let sql = "SELECT e.id, d.name FROM log.events e LEFT JOIN park.devices d ON d.id = e.device WHERE e.kind = 'none'";
    let empty = answer(&lab, Strategy::Always, sql).await;
    assert_eq!(rows_of(&empty.receipt, "park"), 0);
    // Parts of 2, 8, 32, 128 … rows: as many requests, and each device once in each.
    let sql = "SELECT e.id, d.name FROM log.events e LEFT JOIN park.devices d ON d.id = e.device WHERE e.id <= 1000";
    let all = answer(&lab, Strategy::Always, sql).await;
    let keys = &all.receipt.sub_queries.iter().find(|query| query.source == "park").unwrap().keys;
    assert_eq!(keys[0].requests, Some(6), "{keys:?}");
}

#[tokio::test]
async fn a_side_that_is_rather_read_whole_is_read_once() {
    let mut lab = lab().await;
    // Of few rows without an index: the keys of a later part cost more than to read them all.
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)";
    lab.sqlite("small").execute(&format!(
        "CREATE TABLE kinds (kind TEXT, rank INTEGER); {numbers} INSERT INTO kinds SELECT 'k' || (i % 100), i FROM n; ANALYZE;"
    ));
    let sql =
        "SELECT e.id, k.rank FROM log.events e JOIN small.kinds k ON k.kind = 'k' || (e.id % 150) WHERE e.id <= 5000";
    let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
    same(sql, (&parts.schema, &parts.batches), (&whole.schema, &whole.batches), Rules::default())
        .unwrap_or_else(|difference| panic!("{difference}"));
    let keys = &parts.receipt.sub_queries.iter().find(|query| query.source == "small").unwrap().keys;
    assert!(keys[0].reason.is_some(), "{keys:?}");
    // Some keys before it was, and all rows once.
    let rows = rows_of(&parts.receipt, "small");
    assert!((400..800).contains(&rows), "{rows}");
    let [join] = parts.receipt.joins.as_slice() else { panic!("{:?}", parts.receipt.joins) };
    assert_eq!(join.output_rows, whole.receipt.joins[0].output_rows);
}

#[tokio::test]
async fn a_first_part_without_keys_does_not_end_the_parts() {
    let mut lab = lab().await;
    // The first hundred have no device; the other rows have.
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
    lab.sqlite("late").execute(&format!(
        "CREATE TABLE marks (id INTEGER PRIMARY KEY, device INTEGER);
         {numbers} INSERT INTO marks SELECT i, CASE WHEN i > 100 THEN i END FROM n; ANALYZE;"
    ));
    let sql = "SELECT m.id, d.name FROM late.marks m JOIN park.devices d ON d.id = m.device LIMIT 10";
    let found = answer(&lab, Strategy::Adaptive, sql).await;
    assert_eq!(found.rows(), 10);
    assert!(rows_of(&found.receipt, "park") < 1_000, "{:?}", found.receipt.sub_queries);
    let sql = "SELECT m.id, d.name FROM late.marks m JOIN park.devices d ON d.id = m.device";
    let (parts, whole) = (answer(&lab, Strategy::Always, sql).await, answer(&lab, Strategy::Never, sql).await);
    same(sql, (&parts.schema, &parts.batches), (&whole.schema, &whole.batches), Rules::default())
        .unwrap_or_else(|difference| panic!("{difference}"));
}

#[tokio::test]
async fn of_the_side_that_is_looked_up_no_share_is_told() {
    let lab = lab().await;
    let sql = "SELECT e.id, d.name FROM log.events e LEFT JOIN park.devices d ON d.id = e.device";
    let parts = answer(&lab, Strategy::Always, sql).await;
    let [join] = parts.receipt.joins.as_slice() else { panic!("{:?}", parts.receipt.joins) };
    let whole = answer(&lab, Strategy::Never, sql).await;
    let [wanted] = whole.receipt.joins.as_slice() else { panic!("{:?}", whole.receipt.joins) };
    assert!(join.complete);
    assert_eq!((join.left.rows, join.left.matched), (wanted.left.rows, wanted.left.matched));
    // Devices come for each part that has them.
    assert!(join.right.matched.is_none() && wanted.right.matched.is_some(), "{join:?} {wanted:?}");
    assert_eq!(join.fan_out, wanted.fan_out);
}

#[tokio::test]
async fn a_source_is_not_asked_while_it_is_read_for_the_same_join() {
    let lab = lab().await;
    // SQLite refuses the condition, so that the join is done here.
    let sql = "SELECT a.id, b.id FROM log.events a LEFT JOIN log.events b ON a.device = b.id AND reverse(a.kind) < b.kind LIMIT 10";
    for lookup in [Strategy::Adaptive, Strategy::Always] {
        let found = answer(&lab, lookup, sql).await;
        assert_eq!(found.rows(), 10);
        let [join] = found.receipt.joins.as_slice() else { panic!("{:?}", found.receipt.joins) };
        assert_eq!(join.left.tables, join.right.tables);
        let steps = format!(
            "{:?}",
            lab.engine_with(settings(&lab, lookup)).explain(sql, false, Default::default()).await.unwrap().0.root
        );
        assert!(!steps.contains("lookup"), "{steps}");
    }
}
