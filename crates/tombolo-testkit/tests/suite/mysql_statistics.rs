//! What MySQL and MariaDB know of the values of columns, in estimates and in ranges of keys.

use std::time::Duration;

use tombolo_connector::{ColumnStatistics, Options, TableDescription};
use tombolo_engine::{Engine, JoinOrder, KeyShipping, QueryOptions, Settings, Strategy};
use tombolo_testkit::harness::{Harness, MysqlHarness, RemoteLog, Site};
use tombolo_testkit::{Lab, ask};

use crate::key_shipping::{assert_same, shipped};

/// 10,000 rows: in half of them `a` is 7, in a tenth nothing; `word` differs in case and in blanks at its end. Nothing but `id` has
/// an index.
const SKEWED: &[&str] = &[
    "CREATE TABLE digits (n int)",
    "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
    "CREATE TABLE skewed (id int PRIMARY KEY, a int, share decimal(9,2), kind enum('open', 'it''s'), day date, \
     word varchar(20) COLLATE utf8mb4_general_ci, bytes varbinary(9)) ENGINE = InnoDB",
    "INSERT INTO skewed SELECT n, CASE WHEN n % 2 = 0 THEN 7 WHEN n % 10 <> 1 THEN n END, n / 100, \
     CASE WHEN n % 4 = 0 THEN 'open' ELSE 'it''s' END, DATE '2024-01-01' + INTERVAL n % 1000 DAY, \
     concat(CASE WHEN n % 2 = 0 THEN 'W' ELSE 'w' END, n, CASE WHEN n % 3 = 0 THEN ' ' ELSE '' END), unhex('fffe') \
     FROM (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS n FROM digits a, digits b, digits c, digits d) all_of_them",
    "ANALYZE TABLE skewed",
];

/// The site with that table, and with statistics of its columns where the server can keep them; each server that is there, and
/// each kind of histogram that MariaDB has.
async fn sites() -> Vec<(MysqlHarness, &'static str, Box<dyn Site>)> {
    let mut sites = Vec::new();
    for (server, kind) in [
        (MysqlHarness::MARIADB, "JSON_HB"),
        (MysqlHarness::MARIADB, "DOUBLE_PREC_HB"),
        (MysqlHarness::MYSQL57, ""),
        (MysqlHarness::MYSQL9, "histogram"),
    ] {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.open("seen", &[]).await.unwrap();
        let mut statements = vec![format!("USE {}", site.schema())];
        statements.extend(SKEWED.iter().map(|statement| (*statement).to_owned()));
        match kind {
            "" => {}
            "histogram" => {
                let analyze =
                    "ANALYZE TABLE skewed UPDATE HISTOGRAM ON a, share, kind, day, word, bytes WITH 100 BUCKETS";
                statements.push(analyze.to_owned());
            }
            kind => {
                statements.push(format!("SET histogram_type = '{kind}', histogram_size = 200"));
                statements.push("ANALYZE TABLE skewed PERSISTENT FOR ALL".to_owned());
            }
        }
        server.run(&statements).await.unwrap();
        sites.push((server, kind, site));
    }
    sites
}

fn engine(options: Options) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("s", "mysql", options);
    let engine = lab.engine();
    (lab, engine)
}

async fn described(site: &dyn Site) -> TableDescription {
    let (_lab, engine) = engine(site.options());
    let (_, table) = engine.describe_table("s.skewed").await.unwrap();
    TableDescription::clone(&table)
}

/// The table that MariaDB keeps its statistics in is to be read by those whom it is granted to.
async fn grant(server: MysqlHarness, site: &dyn Site) {
    if server.name == MysqlHarness::MARIADB.name {
        let user = site.options().text("user").unwrap_or_default().to_owned();
        server.run(&[format!("GRANT SELECT ON mysql.column_stats TO {user}@'%'")]).await.unwrap();
    }
}

fn common(column: &ColumnStatistics, value: &str) -> f64 {
    column.common.iter().filter(|(text, _)| text == value).map(|(_, share)| share).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_analyze_has_seen_is_known_of_columns_of_mysql() {
    for (server, kind, site) in sites().await {
        let (site, title) = (&*site, format!("{} {kind}", server.title));
        let before = described(site).await;
        let of = |table: &TableDescription, name: &str| table.statistics.columns.get(name).cloned().unwrap_or_default();
        if kind.is_empty() || server.name == MysqlHarness::MARIADB.name {
            // There are none, or this user may not read them.
            assert_eq!(of(&before, "a"), ColumnStatistics::default(), "{title}");
        }
        if kind.is_empty() {
            continue;
        }
        grant(server, site).await;
        let table = described(site).await;
        let (a, day, word, bytes) = (of(&table, "a"), of(&table, "day"), of(&table, "word"), of(&table, "bytes"));
        assert!((a.null_fraction.unwrap() - 0.1).abs() < 0.001, "{title}: {a:?}");
        assert!((common(&a, "7") - 0.5).abs() < 0.03, "{title}: {a:?}");
        assert!((3_700..=4_400).contains(&a.distinct.unwrap()) && a.bounds.len() > 20, "{title}: {a:?}");
        assert!((900..=1_100).contains(&day.distinct.unwrap()), "{title}: {day:?}");
        assert_eq!(word.width.is_some(), server.name == MysqlHarness::MARIADB.name, "{title}: {word:?}");
        // Bytes are no text that could be told.
        assert!(bytes.distinct == Some(1) && bytes.common.is_empty() && bytes.bounds.is_empty(), "{title}: {bytes:?}");
        if kind != "DOUBLE_PREC_HB" {
            assert!(day.bounds.len() > 20 && word.bounds.len() > 20, "{title}: {day:?}");
            let kind = of(&table, "kind");
            assert!((common(&kind, "open") - 0.25).abs() < 0.02, "{title}: {kind:?}");
            assert!((common(&kind, "it's") - 0.75).abs() < 0.02, "{title}: {kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_mysql_are_estimated_by_what_it_knows_of_the_columns() {
    for (server, kind, site) in sites().await.into_iter().filter(|(_, kind, _)| !kind.is_empty()) {
        grant(server, &*site).await;
        let (_lab, engine) = engine(site.options());
        let text = kind != "DOUBLE_PREC_HB";
        // What InnoDB tells of the number of rows is off by a tenth and more, so shares are compared.
        let (_, table) = engine.describe_table("s.skewed").await.unwrap();
        let total = table.statistics.rows.value().unwrap() as f64;
        for (condition, share, is_known) in [
            ("a = 7", 0.5, true),
            ("a = 8", 0.0, true),
            ("a > 5000", 0.2, true),
            ("a <= 5000", 0.7, true),
            ("a IS NULL", 0.1, true),
            ("share < CAST(10.5 AS DECIMAL(9, 2))", 0.105, true),
            ("kind = 'open'", 0.25, text),
            ("kind = 'it''s'", 0.75, text),
            ("day >= DATE '2026-01-01'", 0.269, text),
        ] {
            let sql = format!("SELECT id FROM s.skewed WHERE {condition}");
            let (plan, _) = engine.explain(&sql, false, QueryOptions::default()).await.unwrap();
            let found = plan.root.estimated_rows.unwrap() as f64 / total;
            assert!(!is_known || (found - share).abs() < 0.03, "{} {kind}: {condition}: {found}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_keys_is_asked_for_where_mysql_knows_a_columns_values() {
    for (server, kind, site) in sites().await {
        let mut lab = Lab::new();
        lab.source("s", "mysql", site.options());
        lab.sqlite("keys").execute(
            "CREATE TABLE few (a INTEGER, word TEXT);
             INSERT INTO few VALUES (101, 'W10'), (103, 'w103'), (105, 'w105 '), (107, 'W1000'), (109, 'w11'), (111, 'W1');",
        );
        let settings = |strategy, ranges| Settings {
            key_shipping: KeyShipping {
                strategy,
                ranges,
                lookup: Strategy::Never,
                max_keys: 3,
                ..KeyShipping::default()
            },
            join_order: JoinOrder::Written,
            ..lab.settings()
        };
        let asked = async |column: &str, ranges| {
            let sql = format!("SELECT k.{column}, o.id FROM keys.few k JOIN s.skewed o ON o.{column} = k.{column}");
            let found = ask(&lab.engine_with(settings(Strategy::Always, ranges)), &sql).await.unwrap();
            let without = ask(&lab.engine_with(settings(Strategy::Never, Strategy::Never)), &sql).await.unwrap();
            assert_same(&sql, &found, &without);
            (found.rows(), shipped(&found.receipt).join("; "))
        };
        let title = format!("{} {kind}", server.title);
        // Nothing is known, so nothing is guessed.
        let (rows, told) = asked("a", Strategy::Adaptive).await;
        let is_known = server.name == MysqlHarness::MYSQL9.name;
        assert_eq!((rows, told.contains("as a range")), (4, is_known), "{title}: {told}");
        grant(server, &*site).await;
        let (_, told) = asked("a", Strategy::Adaptive).await;
        assert_eq!(told.contains("as a range"), !kind.is_empty(), "{title}: {told}");
        // From W10 to w11 as bytes, whatever the column's collation.
        let known = asked("word", Strategy::Adaptive).await;
        let (rows, told) = asked("word", Strategy::Always).await;
        assert!(told.contains("as a range"), "{title}: {told}");
        assert_eq!(known.0, rows);
        assert_eq!(rows, 5, "{title}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_tells_how_much_of_it_the_server_has_room_for() {
    for server in [MysqlHarness::MARIADB, MysqlHarness::MYSQL57, MysqlHarness::MYSQL9] {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.open("room", &[]).await.unwrap();
        let statements = [
            format!("USE {}", site.schema()),
            "CREATE TABLE pooled (id int PRIMARY KEY) ENGINE = InnoDB".to_owned(),
            "CREATE TABLE apart (id int PRIMARY KEY) ENGINE = MyISAM".to_owned(),
            "INSERT INTO apart VALUES (1)".to_owned(),
        ];
        server.run(&statements).await.unwrap();
        let (_lab, engine) = engine(site.options());
        for (table, wanted) in [("s.pooled", Some(1.0)), ("s.apart", None)] {
            let (_, description) = engine.describe_table(table).await.unwrap();
            assert_eq!(description.statistics.cached, wanted, "{table} of {}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_joins_by_an_index_where_that_is_expected_to_find_what_it_takes_in_less_time() {
    let server = MysqlHarness::MARIADB;
    if let Some(missing) = server.missing() {
        println!("skipped: {missing}");
        return;
    }
    let site = server.open("joined", &[]).await.unwrap();
    let schema = site.schema();
    let statements = [
        format!("CREATE TABLE {schema}.parts (id int PRIMARY KEY, name varchar(40) NOT NULL) ENGINE = InnoDB"),
        format!("INSERT INTO {schema}.parts SELECT seq, concat('part number ', seq) FROM {schema}.seq_1_to_10000"),
        format!(
            "CREATE TABLE {schema}.pairs (part int, supplier int, n int, PRIMARY KEY (part, supplier)) ENGINE = InnoDB"
        ),
        format!("INSERT INTO {schema}.pairs SELECT seq DIV 4, seq, seq % 1000 FROM {schema}.seq_1_to_40000"),
        format!("ANALYZE TABLE {schema}.parts, {schema}.pairs"),
    ];
    server.run(&statements).await.unwrap();
    let (_lab, engine) = engine(site.options());
    for (sql, rows, by_index) in [
        (
            "SELECT supplier FROM s.pairs WHERE part IN (SELECT id FROM s.parts WHERE name LIKE 'part number 777%')",
            44,
            true,
        ),
        ("SELECT supplier FROM s.pairs JOIN s.parts ON part = id WHERE name LIKE 'part number 777%'", 44, true),
        ("SELECT supplier FROM s.pairs JOIN s.parts ON part = id", 39_997, false),
        ("SELECT supplier FROM s.pairs JOIN s.parts ON n = id AND id < 3", 80, false),
        ("SELECT id FROM s.parts", 10_000, false),
    ] {
        // What was asked before is before it in the server's log too.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let log = RemoteLog::listen("s");
        let answer = ask(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
        let asked: Vec<String> = site.remote_log(&log).await.into_iter().map(|event| event.text).collect();
        assert_eq!(answer.rows(), rows, "{sql}");
        assert_eq!(answer.receipt.sub_queries.len(), 1, "{sql}");
        let is_set = asked.iter().any(|text| text.contains("join_cache_level = 2 FOR SELECT"));
        assert_eq!(is_set, by_index, "{sql}: {asked:?}");
    }
}
