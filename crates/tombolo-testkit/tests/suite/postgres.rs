//! What is PostgreSQL's own: its types, its text, its network, its ways to end.

use std::net::SocketAddr;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::util::pretty::pretty_format_batches;
use tombolo_connector::{Collation, Options, Retry};
use tombolo_engine::{Engine, ErrorCode, KeyShipping, QueryOptions, Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::harness::{Harness, PostgresHarness, PostgresSite, RemoteLog, Site};
use tombolo_testkit::proxy::{Direction, FaultProxy, LinkFault, ProxyPlan};
use tombolo_testkit::{Lab, ask, rows};

/// A database of its own on each server that is there.
pub(super) async fn databases() -> Vec<PostgresSite> {
    let mut databases = Vec::new();
    for harness in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        match harness.missing() {
            Some(missing) => println!("skipped: {missing}"),
            None => databases.push(harness.empty("own").await.unwrap_or_else(|error| panic!("{error}"))),
        }
    }
    databases
}

pub(super) fn engine(options: Options) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("pg", "postgres", options);
    let engine = lab.engine();
    (lab, engine)
}

async fn shown(engine: &Engine, sql: &str) -> String {
    let answer = ask(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
    pretty_format_batches(&answer.batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_of_type_come_as_they_are() {
    for database in databases().await {
        database
            .run(
                "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN cents AS numeric(9, 2); \
                 CREATE TYPE pair AS (a int, b text); \
                 CREATE TABLE kinds (id int, mood mood, cents cents, fixed char(4), name name, one \"char\", number oid, \
                 money money, any_number numeric, wide numeric(60, 5), round numeric(4, -2), raw bytea, at timestamptz, \
                 lapse interval, net inet, mac macaddr, bits bit(3), doc jsonb, tags text[], days date[], span int4range, \
                 point point, pair pair, id_ uuid, xml xml, time_tz timetz); \
                 INSERT INTO kinds VALUES (1, 'happy', 1.5, 'ab', 'n', 'c', 4294967295, 12.34, 123.4567890123, \
                 -1234567890123456789012345678901234567890123456789012345.00001, 1234, '\\x00ff', '2024-03-31 01:30:00+00', \
                 '1 year 2 days 3.5 seconds', '10.0.0.1/24', '08:00:2b:01:02:03', '101', '{\"b\": 1, \"a\": null}', \
                 '{a,NULL,\"\"}', '{2024-02-29,NULL}', '[1,5)', '(1,2)', '(1,x)', \
                 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '<a/>', '12:00:00+02'); INSERT INTO kinds (id) VALUES (2)",
            )
            .await;
        let (_lab, engine) = engine(database.options());
        let text = shown(
            &engine,
            "SELECT mood, cents, '[' || fixed || ']' AS fixed, name, one, number, money, any_number FROM pg.kinds ORDER BY id",
        )
        .await;
        assert_eq!(
            text,
            "\
+-------+-------+-------+------+-----+------------+-------+----------------+
| mood  | cents | fixed | name | one | number     | money | any_number     |
+-------+-------+-------+------+-----+------------+-------+----------------+
| happy | 1.50  | [ab]  | n    | c   | 4294967295 | 12.34 | 123.4567890123 |
|       |       |       |      |     |            |       |                |
+-------+-------+-------+------+-----+------------+-------+----------------+"
        );
        let text =
            shown(&engine, "SELECT wide, round, raw, at, lapse, net, bits, doc FROM pg.kinds WHERE id = 1").await;
        for part in [
            "-1234567890123456789012345678901234567890123456789012345.00001",
            "| 1200 ",
            "| 00ff ",
            "2024-03-31T01:30:00Z",
            "12 mons 2 days 3.500000000 secs",
            "10.0.0.1/24",
            "| 101 ",
            "{\"a\": null, \"b\": 1}",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let text =
            shown(&engine, "SELECT tags, days, span, point, pair, id_, xml, time_tz, mac FROM pg.kinds WHERE id = 1")
                .await;
        for part in [
            "[a, , ]",
            "[2024-02-29, ]",
            "[1,5)",
            "(1,2)",
            "(1,x)",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "<a/>",
            "12:00:00+02",
            "08:00:2b:01:02:03",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_is_refused_by_its_column_and_not_rounded() {
    for database in databases().await {
        database
            .run(
                "CREATE TABLE odd (nan numeric(9, 2), fine numeric, far date, ever timestamp, midnight time, grid int[]); \
                 INSERT INTO odd VALUES ('NaN', 0.12345678901, 'infinity', '-infinity', '24:00:00', '{{1,2},{3,4}}')",
            )
            .await;
        let (_lab, engine) = engine(database.options());
        for column in ["nan", "fine", "far", "ever", "midnight", "grid"] {
            let error = ask(&engine, &format!("SELECT {column} FROM pg.odd")).await.expect_err(column);
            assert_eq!(error.code(), ErrorCode::InvalidValue, "{column}: {error}");
            assert!(error.message().contains(column), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("columns_as_text")), "{:?}", error.hint());
        }
        let all = ["nan", "fine", "far", "ever", "midnight", "grid"].map(|column| format!("odd.{column}")).join(",");
        let (_lab, engine) = self::engine(database.options().with("columns_as_text", all));
        let text = shown(&engine, "SELECT nan, fine, far, ever, midnight, grid FROM pg.odd").await;
        for part in ["NaN", "0.12345678901", "infinity", "-infinity", "24:00:00", "{{1,2},{3,4}}"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_of_postgis_come_as_well_known_binary() {
    for database in databases().await {
        let (_lab, engine) = engine(database.options());
        let extensions = "SELECT name FROM pg_available_extensions WHERE name LIKE ''postgis''";
        if ask(&engine, &format!("SELECT name FROM query('pg', '{extensions}')")).await.unwrap().rows() == 0 {
            println!("without PostGIS");
            continue;
        }
        database
            .run(
                "CREATE EXTENSION postgis; \
                 CREATE TABLE places (id int, bare geometry, here geometry(Point, 4326), far geography(Point)); \
                 INSERT INTO places VALUES (1, ST_MakePoint(1, 2), ST_SetSRID(ST_MakePoint(1, 2), 4326), ST_MakePoint(1, 2)), \
                 (2, NULL, NULL, NULL), (3, ST_GeomFromText('POLYGON EMPTY'), NULL, NULL)",
            )
            .await;
        // Its documentation on ST_AsEWKB: byte order, kind, and with 20000000 in the kind a system of coordinates.
        let point = "000000000000f03f0000000000000040";
        let (bare, here) = (format!("0101000000{point}"), format!("0101000020e6100000{point}"));
        let text = shown(&engine, "SELECT id, bare, here, far FROM pg.places ORDER BY id").await;
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = text.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect();
        assert_eq!(rows[0][1..5], ["1", &bare, &here, &here], "{text}");
        assert_eq!(rows[1][1..5], ["2", "", "", ""], "{text}");
        assert_eq!(rows[2][1..5], ["3", "010300000000000000", "", ""], "{text}");
        // By its bytes, and not as the server does, to which shapes of the same points may be equal.
        for (condition, rows) in [
            (format!("bare = X'{bare}' OR far IS NULL"), 3),
            (format!("bare IN (X'{bare}', X'{here}')"), 1),
            (format!("here <> X'{bare}'"), 1),
            ("bare = here".to_owned(), 0),
            ("bare IS NOT DISTINCT FROM far".to_owned(), 1),
            ("bare IN (SELECT far FROM pg.places)".to_owned(), 0),
        ] {
            let answer = ask(&engine, &format!("SELECT id FROM pg.places WHERE {condition} ORDER BY id")).await;
            assert_eq!(answer.unwrap_or_else(|error| panic!("{condition}: {error}")).rows(), rows, "{condition}");
        }
        for sql in [
            "SELECT here, count(*) AS n FROM pg.places GROUP BY here",
            "SELECT DISTINCT bare FROM pg.places ORDER BY bare",
            "SELECT min(bare) AS a, max(far) AS b, count(DISTINCT here) AS n FROM pg.places",
            "SELECT a.id FROM pg.places a JOIN pg.places b ON a.here = b.far",
            "SELECT bare FROM pg.places UNION SELECT here FROM pg.places",
            "SELECT coalesce(bare, here) AS s, CASE WHEN id = 1 THEN here ELSE bare END AS c FROM pg.places",
            "SELECT bare, row_number() OVER (PARTITION BY bare ORDER BY id) AS n FROM pg.places",
        ] {
            assert!(ask(&engine, sql).await.is_ok_and(|answer| answer.rows() > 0), "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_compared_by_its_bytes_whatever_the_collation() {
    for database in databases().await {
        database
            .run(
                "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
                 CREATE TABLE words (id int, plain text, blind text COLLATE blind, c text COLLATE \"C\", fixed char(4)); \
                 INSERT INTO words SELECT at, word, word, word, word FROM \
                 unnest(ARRAY['a', 'A', 'b', 'B', 'ä', 'Z', '_', 'a ']) WITH ORDINALITY AS w(word, at)",
            )
            .await;
        let (_lab, engine) = engine(database.options());
        let unpushed = {
            let mut lab = Lab::new();
            lab.source("pg", "postgres", database.options());
            let settings = lab.settings();
            lab.engine_with(tombolo_engine::Settings { pushdown: tombolo_engine::PushdownRules::NONE, ..settings })
        };
        for column in ["plain", "blind", "c", "fixed"] {
            for sql in [
                format!("SELECT id FROM pg.words WHERE {column} = 'a' ORDER BY id"),
                format!("SELECT id FROM pg.words WHERE {column} = 'a ' ORDER BY id"),
                format!("SELECT id FROM pg.words WHERE {column} > 'Z' ORDER BY id"),
                format!("SELECT id FROM pg.words WHERE {column} LIKE 'a%' ORDER BY id"),
                format!("SELECT {column}, id FROM pg.words ORDER BY {column}, id"),
                format!("SELECT {column}, count(*) AS n FROM pg.words GROUP BY {column} ORDER BY {column}"),
                format!("SELECT min({column}) AS a, max({column}) AS b, count(DISTINCT {column}) AS n FROM pg.words"),
                format!("SELECT {column} || 'x' AS x FROM pg.words EXCEPT SELECT 'Zx' FROM pg.words ORDER BY x"),
                format!(
                    "SELECT ({column} IN ('a', 'b', 'Z')) OR min(true) AS x FROM pg.words \
                     GROUP BY {column} IN ('a', 'b', 'Z') HAVING ({column} IN ('a', 'b', 'Z')) OR count(*) > 1"
                ),
                format!("SELECT a.id, b.id AS other FROM pg.words a JOIN pg.words b ON a.{column} = b.c ORDER BY 1, 2"),
            ] {
                assert_eq!(shown(&engine, &sql).await, shown(&unpushed, &sql).await, "{sql}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_is_an_error_and_never_fewer_rows() {
    for database in databases().await {
        database.run("CREATE TABLE big AS SELECT id, md5(id::text) AS word FROM generate_series(1, 20000) AS id").await;
        let options = database.options();
        let port = options.integer("port").unwrap();
        let server: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        let proxy = FaultProxy::start(server).await.unwrap();
        let (_lab, engine) = engine(options.with("port", i64::from(proxy.address().port())));
        let sql = "SELECT id, word FROM pg.big";
        assert_eq!(ask(&engine, sql).await.unwrap().rows(), 20_000);
        let before = proxy.counts().to_client;
        assert_eq!(ask(&engine, sql).await.unwrap().rows(), 20_000);
        let bytes = proxy.counts().to_client - before;
        for tenth in 0..10 {
            let at = bytes * tenth / 10 + 1;
            proxy.set(ProxyPlan::default().on(
                Direction::ToClient,
                if tenth % 2 == 0 { LinkFault::TruncateAt(at) } else { LinkFault::ResetAt(at) },
            ));
            let error = ask(&engine, sql).await.expect_err("rows that were cut off");
            assert_eq!(error.code(), ErrorCode::SourceUnavailable, "cut at {at}: {error}: {:?}", error.detail());
            assert_eq!(error.retry(), Retry::Safe, "cut at {at}: {error}");
            assert!(error.hint().is_some(), "cut at {at}: {error}");
            proxy.clear();
            proxy.reset_connections();
            let again = ask(&engine, sql).await.unwrap_or_else(|error| panic!("after {at}: {error}"));
            assert_eq!(again.rows(), 20_000);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_table_read_one_snapshot() {
    for database in databases().await {
        database
            .run(
                "CREATE TABLE big AS SELECT id, repeat(md5(id::text), 10) AS word FROM generate_series(1, 50000) AS id",
            )
            .await;
        let (_lab, engine) = engine(database.options().with("stream_bytes", "1MB"));
        let log = RemoteLog::listen("pg");
        let mut running = engine.query("SELECT id, word FROM pg.big", QueryOptions::default()).await.unwrap();
        let mut rows = running.next_batch().await.unwrap().unwrap().num_rows();
        database.run("UPDATE big SET word = 'changed'; DELETE FROM big WHERE id % 2 = 0").await;
        while let Some(batch) = running.next_batch().await.unwrap() {
            let words = batch.column(1).as_string::<i32>();
            assert!(words.iter().flatten().all(|word| word != "changed"));
            rows += batch.num_rows();
        }
        assert_eq!(rows, 50_000);
        let copies: Vec<String> = database.remote_log(&log).await.into_iter().map(|event| event.text).collect();
        assert_eq!(copies.iter().filter(|text| text.contains("ctid >= ")).count(), 2, "{copies:?}");
        // The next query sees what was changed, also where a filter goes along.
        let answer = ask(&engine, "SELECT id FROM pg.big WHERE word = 'changed' AND id > 100").await.unwrap();
        assert_eq!(answer.rows(), 24_950);
        // They do so too where sub-queries are not to.
        let log = RemoteLog::listen("pg");
        let (_lab, apart) = self::engine(database.options().with("stream_bytes", "1MB").with("one_snapshot", "false"));
        assert_eq!(ask(&apart, "SELECT id FROM pg.big").await.unwrap().rows(), 25_000);
        let copies = database.remote_log(&log).await;
        assert_eq!(copies.iter().filter(|event| event.text.contains("ctid >= ")).count(), 2, "{copies:?}");
        // With one connection there is none to hold the snapshot: one stream reads all.
        let (_lab, engine) = self::engine(database.options().with("stream_bytes", "1MB").with("max_connections", "1"));
        assert_eq!(ask(&engine, "SELECT id FROM pg.big").await.unwrap().rows(), 25_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_a_session_or_a_statement_says_why() {
    for database in databases().await {
        // More than is read ahead.
        database
            .run(
                "CREATE TABLE big AS SELECT id, repeat(md5(id::text), 30) AS word FROM generate_series(1, 200000) AS id",
            )
            .await;
        let (_lab, engine) = engine(database.options());
        let mut running = engine.query("SELECT id, word FROM pg.big", QueryOptions::default()).await.unwrap();
        let mut rows = running.next_batch().await.unwrap().unwrap().num_rows();
        database
            .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tombolo' AND datname = current_database()")
            .await;
        let error = loop {
            match running.next_batch().await {
                Ok(Some(batch)) => rows += batch.num_rows(),
                Ok(None) => panic!("a session that was ended has sent {rows} rows"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{error}: {:?}", error.detail());
        assert!(error.message().contains("administrator command"), "{error}: {:?}", error.detail());
        assert_eq!(error.retry(), Retry::Safe);
        // The connections that were idle are gone too, and found out before they are lent.
        assert_eq!(ask(&engine, "SELECT id FROM pg.big WHERE id < 3").await.unwrap().rows(), 2);
        let options = QueryOptions { timeout: Some(std::time::Duration::from_millis(300)), ..QueryOptions::default() };
        let sql = "SELECT count(*) AS n FROM pg.big a JOIN pg.big b ON a.word < b.word";
        let error = tombolo_testkit::ask_with(&engine, sql, options).await.expect_err("there is not the time");
        assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_postgres_has_set_for_the_user_is_neither_lifted_nor_lengthened() {
    for database in databases().await {
        database.run("CREATE TABLE big AS SELECT id, md5(id::text) AS word FROM generate_series(1, 50000) AS id").await;
        let name = database.options().text("database").unwrap().to_owned();
        let slow = "SELECT count(*) AS n FROM pg.big a JOIN pg.big b ON a.word < b.word";
        let within = |seconds| QueryOptions {
            timeout: Some(std::time::Duration::from_secs(seconds)),
            ..QueryOptions::default()
        };
        let mut settings = vec![("statement_timeout", ErrorCode::Timeout)];
        let version =
            "SELECT v >= 170000 AS new FROM query('pg', 'SELECT current_setting(''server_version_num'')::int4 AS v')";
        if shown(&engine(database.options()).1, version).await.contains("true") {
            settings.push(("transaction_timeout", ErrorCode::Timeout));
        }
        for (setting, code) in settings {
            database.run(&format!("ALTER DATABASE \"{name}\" SET {setting} = '400ms'")).await;
            let (_lab, engine) = engine(database.options());
            for options in [within(60), QueryOptions::default()] {
                let begun = std::time::Instant::now();
                let error = tombolo_testkit::ask_with(&engine, slow, options).await.expect_err("there is not the time");
                assert_eq!(error.code(), code, "{setting}: {error}: {:?}", error.detail());
                assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{setting}: {:?}", begun.elapsed());
                assert!(error.hint().is_some_and(|hint| hint.contains("the server sets")), "{:?}", error.hint());
            }
            database.run(&format!("ALTER DATABASE \"{name}\" RESET {setting}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_connection_takes_a_certificate_that_is_trusted() {
    for database in databases().await {
        let Some(authority) = database.certificate_authority() else {
            println!("skipped: the server has no certificate of a known authority");
            continue;
        };
        database.run("CREATE TABLE one AS SELECT 1 AS id").await;
        let secure = database.options().with("tls", "verify");
        let (_lab, engine) = engine(secure.clone().with("tls_ca", authority.as_str()));
        assert_eq!(ask(&engine, "SELECT id FROM pg.one").await.unwrap().rows(), 1);
        let (_lab, engine) = self::engine(secure.with("connect_timeout", "5s"));
        let error = ask(&engine, "SELECT id FROM pg.one").await.expect_err("nobody knows the authority");
        assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("tls_ca")), "{:?}", error.hint());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_with_the_collation_of_the_database_says_which_that_is() {
    for harness in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        if let Some(missing) = harness.missing() {
            println!("skipped: {missing}");
            continue;
        }
        for (database, wanted) in [
            ("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'", Some("de-AT of ICU")),
            ("TEMPLATE template0 LOCALE 'C.UTF-8'", Some("C.UTF-8")),
            ("TEMPLATE template0 LOCALE 'C'", None),
        ] {
            let place = PostgresHarness { database, ..harness }.empty("collation").await.unwrap();
            place
                .run("CREATE TABLE words (usual text, bytes text COLLATE \"C\", special text COLLATE \"de-x-icu\")")
                .await;
            let (_lab, engine) = engine(place.options());
            let (_, words) = engine.describe_table("pg.words").await.unwrap();
            let told = |at: usize| match &words.columns[at].collation {
                Collation::Binary => None,
                Collation::Other(name) => Some(name.clone()),
            };
            assert_eq!(told(0).as_deref(), wanted, "{database}");
            assert_eq!((told(1).as_deref(), told(2).as_deref()), (Some("C"), Some("de-x-icu")), "{database}");
            // An order of another kind is not left to the server, whatever it is called.
            let (plan, _) = engine
                .explain("SELECT usual FROM pg.words ORDER BY usual", false, QueryOptions::default())
                .await
                .unwrap();
            assert_eq!(format!("{plan:?}").contains("COLLATE"), wanted.is_some(), "{database}: {plan:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_analyze_has_seen_is_known_of_tables_and_partitioned_ones() {
    for database in databases().await {
        database
            .run(
                "CREATE TABLE skewed (id int, a int, b text); \
                 INSERT INTO skewed SELECT n, CASE WHEN n % 2 = 0 THEN 7 WHEN n % 10 <> 1 THEN n END, 'b' || n % 4 \
                 FROM generate_series(1, 10000) n; \
                 CREATE TABLE parted (id int, a int) PARTITION BY RANGE (id); \
                 CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000); \
                 CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (9000); \
                 INSERT INTO parted SELECT n, n FROM generate_series(0, 2999) n; ANALYZE",
            )
            .await;
        let (_lab, engine) = engine(database.options());
        let (_, skewed) = engine.describe_table("pg.skewed").await.unwrap();
        let a = &skewed.statistics.columns["a"];
        assert_eq!(a.common.first().map(|(value, _)| value.as_str()), Some("7"), "{a:?}");
        assert!((a.common[0].1 - 0.5).abs() < 0.05 && (a.null_fraction.unwrap() - 0.1).abs() < 0.05, "{a:?}");
        assert!(a.bounds.len() > 10, "{a:?}");
        assert_eq!(skewed.statistics.columns["b"].common.len(), 4);
        let (_, parted) = engine.describe_table("pg.parted").await.unwrap();
        assert_eq!(parted.statistics.rows.value(), Some(3000));
        assert!(parted.statistics.bytes.unwrap() > 100_000 && !parted.statistics.columns["a"].bounds.is_empty());
        for (condition, least, most) in [
            ("a = 7", 4_500, 5_500),
            ("a = 8", 1, 100),
            ("a > 5000", 1_500, 2_500),
            ("a IS NULL", 800, 1_200),
            ("b IN ('b0', 'b1') AND a IS NOT NULL", 3_500, 5_000),
        ] {
            let sql = format!("SELECT id FROM pg.skewed WHERE {condition}");
            let (plan, _) = engine.explain(&sql, false, QueryOptions::default()).await.unwrap();
            let rows = plan.root.estimated_rows.unwrap_or(0);
            assert!((least..=most).contains(&rows), "{condition}: {rows} rows");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_row_can_have_are_not_asked_for() {
    for database in databases().await {
        database
            .run(
                "CREATE TABLE things (id uuid PRIMARY KEY, code char(4), word text); \
                 INSERT INTO things SELECT md5(n::text)::uuid, 'c' || n % 100, 'w' || n FROM generate_series(1, 5000) n; \
                 CREATE INDEX ON things (code); CREATE INDEX ON things (word); ANALYZE things",
            )
            .await;
        let mut lab = Lab::new();
        lab.source("pg", "postgres", database.options());
        // The uuid of 1 as the server writes it, in capitals, and what is none; a blank at the end; a NUL within.
        let keys = "SELECT * FROM (VALUES ('c4ca4238-a0b9-2382-0dcc-509a6f75849b', 'c1', 'w1'),
                        ('C4CA4238-A0B9-2382-0DCC-509A6F75849B', 'c2 ', 'w2' || chr(0)), ('no uuid', 'c3', 'w3')) AS t(id, code, word)";
        lab.memory("crm", "main", "keys", rows(keys).await);
        let engine = |strategy| {
            let key_shipping = KeyShipping { strategy, ..KeyShipping::default() };
            lab.engine_with(Settings { key_shipping, ..lab.settings() })
        };
        for (column, requests, moved) in [("id", 1, 1), ("code", 1, 100), ("word", 1, 2)] {
            let sql = format!("SELECT k.{column} FROM crm.keys k JOIN pg.things t ON t.{column} = k.{column}");
            let never = ask(&engine(Strategy::Never), &sql).await.unwrap();
            let shipped = ask(&engine(Strategy::Adaptive), &sql).await.unwrap();
            let columns = (shipped.schema.as_ref(), &shipped.batches[..]);
            same(&sql, columns, (&never.schema, &never.batches), Rules::default()).unwrap();
            let query = shipped.receipt.sub_queries.iter().find(|query| query.source == "pg").unwrap();
            assert_eq!((query.keys[0].requests, query.rows), (Some(requests), moved), "{sql}: {:?}", query.keys);
        }
    }
}

/// A large table of orders beside few and many customers in another source.
async fn orders(database: &PostgresSite) -> Lab {
    database
        .run(
            "CREATE TABLE orders AS SELECT i AS id, i / 10 AS customer_id FROM generate_series(1, 50000) AS i; \
             CREATE VIEW recent AS SELECT * FROM orders WHERE id > 49990; \
             CREATE VIEW most AS SELECT * FROM orders WHERE id > 10; ANALYZE orders",
        )
        .await;
    let mut lab = Lab::new();
    lab.source("pg", "postgres", database.options());
    lab.memory("crm", "main", "customers", rows("SELECT i AS id FROM generate_series(101, 300) AS t(i)").await);
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_keys_is_asked_for_where_the_source_knows_that_it_is_less() {
    for database in databases().await {
        let lab = orders(&database).await;
        let mut settings = lab.settings();
        settings.key_shipping = KeyShipping { strategy: Strategy::Always, max_keys: 50, ..settings.key_shipping };
        let engine = lab.engine_with(settings);
        let join = |least: i32| {
            format!("SELECT o.id FROM crm.customers c JOIN pg.orders o ON o.customer_id = c.id WHERE c.id > {least}")
        };
        let answer = ask(&engine, &join(0)).await.unwrap();
        let [asked] = answer.receipt.sub_queries.iter().filter(|query| query.source == "pg").collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", answer.receipt.sub_queries)
        };
        assert_eq!((answer.rows(), asked.rows, asked.keys[0].range), (2000, 2000, true), "{:?}", asked.keys);
        // Of the same range in a table that has hardly anything else, nothing is gained.
        database.run("DELETE FROM orders WHERE customer_id NOT BETWEEN 101 AND 301; ANALYZE orders").await;
        engine.refresh("pg").await.unwrap();
        let answer = ask(&engine, &join(1)).await.unwrap();
        let asked = answer.receipt.sub_queries.iter().find(|query| query.source == "pg").unwrap();
        assert_eq!((answer.rows(), asked.rows, asked.keys[0].range), (2000, 2010, false), "{:?}", asked.keys);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_view_are_counted_where_its_size_is_needed() {
    for database in databases().await {
        let lab = orders(&database).await;
        let expected = async |engine: &Engine, sql: &str| {
            let running = engine.query(sql, QueryOptions::default()).await.unwrap();
            running.progress().sub_queries.iter().map(|query| query.estimated_rows).collect::<Vec<_>>()
        };
        let join = |view: &str| format!("SELECT r.id FROM pg.{view} r JOIN crm.customers c ON c.id = r.customer_id");
        let patient = Settings { counting_time: Duration::from_secs(60), ..lab.settings() };
        let engine = lab.engine_with(patient);
        // One source alone needs no order.
        assert_eq!(expected(&engine, "SELECT id FROM pg.recent").await, [None]);
        let found = expected(&engine, &join("recent")).await;
        assert!(found.contains(&Some(10)), "{found:?}");
        // More than are counted.
        let found = expected(&engine, &join("most")).await;
        assert!(!found.contains(&Some(10_001)), "{found:?}");
        let unlearned = lab.engine_with(Settings { observed_statistics: false, ..lab.settings() });
        let found = expected(&unlearned, &join("recent")).await;
        assert!(!found.contains(&Some(10)), "{found:?}");
    }
}
