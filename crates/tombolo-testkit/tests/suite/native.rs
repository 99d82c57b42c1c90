//! Queries in a source's own language, read like tables.

use tombolo_connector::{ErrorCode, Options};
use tombolo_engine::{Engine, QueryOptions, Settings};
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness, Site};
use tombolo_testkit::{Lab, ask};

/// A place with a table `words`: numbers, and text by a collation that holds unlike texts to be equal.
async fn places() -> Vec<(&'static str, Lab, Engine, Box<dyn Site>)> {
    let mut places: Vec<(&'static str, &'static str, Options, Box<dyn Site>)> = Vec::new();
    for server in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.empty("native").await.unwrap();
        site.run("CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)").await;
        site.run("CREATE TABLE words (id int PRIMARY KEY, word text COLLATE blind)").await;
        site.run("INSERT INTO words VALUES (1, 'a'), (2, 'A'), (3, NULL), (4, '\u{fc}')").await;
        places.push((server.title, "postgres", site.options(), Box::new(site)));
    }
    for server in [MysqlHarness::MARIADB, MysqlHarness::MYSQL57, MysqlHarness::MYSQL9] {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.open("native", &[]).await.unwrap();
        let db = site.schema();
        let statements = [
            format!("CREATE TABLE {db}.words (id int PRIMARY KEY, word varchar(9)) CHARACTER SET latin1"),
            format!("INSERT INTO {db}.words VALUES (1, 'a'), (2, 'A'), (3, NULL), (4, '\u{fc}')"),
        ];
        server.run(&statements).await.unwrap();
        places.push((server.title, "mysql", site.options(), site));
    }
    let opened = places.into_iter().map(|(title, kind, options, site)| {
        let mut lab = Lab::new();
        lab.source("s", kind, options);
        lab.sqlite("file").execute("CREATE TABLE t (id INTEGER)");
        // Nothing is known of the size of what a query gives.
        let engine = lab.engine_with(Settings { max_cartesian_rows: None, ..lab.settings() });
        (title, lab, engine, site)
    });
    opened.collect()
}

async fn lines(engine: &Engine, sql: &str) -> Vec<String> {
    let answer = ask(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
    let table = answer.table();
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ");
    table.lines().filter(|line| line.starts_with('|')).skip(1).map(|line| cells(line).trim_end().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_source_s_own_language_is_read_like_a_table() {
    for (title, _lab, engine, _site) in places().await {
        for (sql, wanted) in [
            ("SELECT * FROM query('s', 'SELECT id, word FROM words WHERE id < 3') ORDER BY id", vec!["1 a", "2 A"]),
            // Without the source's own idea of which texts are equal, in filters, groups, joins and lists.
            ("SELECT id FROM query('s', 'SELECT * FROM words') WHERE word = 'a'", vec!["1"]),
            ("SELECT q.id FROM query('s', 'SELECT * FROM words -- all') AS q WHERE q.word = '\u{fc}'", vec!["4"]),
            ("SELECT count(DISTINCT word) FROM query('s', 'SELECT * FROM words;')", vec!["3"]),
            (
                "SELECT a.id FROM query('s', 'SELECT * FROM words') a JOIN s.words b USING (word) ORDER BY 1",
                vec!["1", "2", "4"],
            ),
            ("SELECT max(id) FROM query('s', 'SELECT id + 1 AS id FROM words') WHERE id > 2", vec!["5"]),
            ("SELECT count(*) FROM query('s', 'SELECT 1 AS one') AS a, query('s', 'SELECT 2 AS two') AS b", vec!["1"]),
            (
                "WITH w AS (SELECT * FROM query('s', 'SELECT id FROM words')) SELECT id FROM w WHERE id IN (SELECT two FROM \
              query('s', 'SELECT 2 AS two'))",
                vec!["2"],
            ),
        ] {
            assert_eq!(lines(&engine, sql).await, wanted, "{title}: {sql}");
        }
        // What stands around the text is pushed down with it.
        let sql = "SELECT count(*) FROM query('s', 'SELECT id FROM words') WHERE id > 1";
        let (plan, _) = engine.explain(sql, false, QueryOptions::default()).await.unwrap();
        let plan = format!("{plan:?}");
        assert!(plan.contains("count(*)") && plan.contains("(SELECT id FROM words"), "{title}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_query_is_refused_and_changes_nothing() {
    for (title, _lab, engine, _site) in places().await {
        for (text, code) in [
            ("selec 1", ErrorCode::SyntaxError),
            ("SELECT * FROM nowhere", ErrorCode::SyntaxError),
            ("DROP TABLE words", ErrorCode::SyntaxError),
            ("DELETE FROM words", ErrorCode::SyntaxError),
            ("SELECT 1 AS a; DELETE FROM words", ErrorCode::SyntaxError),
            ("SELECT 1 AS a) AS x; DELETE FROM words; SELECT * FROM (SELECT 1 AS a", ErrorCode::SyntaxError),
            ("SELECT 1 AS a /*", ErrorCode::SyntaxError),
            ("  ; ", ErrorCode::SyntaxError),
            ("SELECT 1 AS a, 2 AS a", ErrorCode::AmbiguousName),
        ] {
            let sql = format!("SELECT * FROM query('s', '{text}')");
            let error = ask(&engine, &sql).await.expect_err(&sql);
            // The user who reads may do nothing else, which some servers see first.
            let is_denied = error.code() == ErrorCode::PermissionDenied && text.starts_with('D');
            assert!(error.code() == code || is_denied, "{title}: {sql}: {error}");
        }
        for sql in ["SELECT * FROM query('s')", "SELECT * FROM query('s', 1)", "SELECT * FROM query(s, 'SELECT 1')"] {
            assert_eq!(ask(&engine, sql).await.expect_err(sql).code(), ErrorCode::SyntaxError, "{sql}");
        }
        let nowhere = ask(&engine, "SELECT * FROM query('nowhere', 'SELECT 1')").await.unwrap_err();
        assert_eq!(nowhere.code(), ErrorCode::SourceNotFound);
        let file = ask(&engine, "SELECT * FROM query('file', 'SELECT 1')").await.unwrap_err();
        assert_eq!(file.code(), ErrorCode::Unsupported, "{file}");
        assert_eq!(lines(&engine, "SELECT count(*) FROM s.words").await, ["4"], "{title}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_writes_is_refused_or_undone() {
    for server in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.empty("native").await.unwrap();
        site.run("CREATE TABLE words (id int)").await;
        site.run("CREATE FUNCTION put() RETURNS int LANGUAGE sql AS 'INSERT INTO words VALUES (1) RETURNING id'").await;
        let mut lab = Lab::new();
        lab.source("s", "postgres", site.options());
        let engine = lab.engine();
        let error = ask(&engine, "SELECT * FROM query('s', 'SELECT put() AS made')").await.unwrap_err();
        assert!(error.to_string().contains("read-only"), "{}: {error}", server.title);
        // Before version 16 a read-only transaction lets this through.
        let _ = ask(&engine, "SELECT * FROM query('s', 'SELECT lo_create(0) AS made')").await;
        let made = "SELECT count(*) FROM query('s', 'SELECT oid FROM pg_largeobject_metadata')";
        assert_eq!(lines(&engine, made).await, ["0"], "{}", server.title);
    }
}
