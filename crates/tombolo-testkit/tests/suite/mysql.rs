//! What only MySQL and MariaDB have: types of their own, and ways to be reached.

use std::time::{Duration, Instant};

use tombolo_connector::{ErrorCode, Options, RowCount};
use tombolo_engine::{Engine, QueryOptions};
use tombolo_testkit::harness::{Harness, MysqlHarness, RemoteLog, Site};
use tombolo_testkit::{Lab, ask, ask_with};

/// Those of the servers that are there.
fn servers() -> Vec<MysqlHarness> {
    MysqlHarness::ALL
        .into_iter()
        .filter(|server| server.missing().map(|missing| println!("skipped: {missing}")).is_none())
        .collect()
}

/// A database in which these statements were run, in each of which `{db}` stands for its name.
async fn database(server: MysqlHarness, statements: &[&str]) -> Box<dyn Site> {
    let site = server.open("own", &[]).await.unwrap();
    // Values are taken that no strict server would take.
    let settings = ["SET sql_mode = '', time_zone = '+00:00'".to_owned()];
    let statements = statements.iter().map(|statement| statement.replace("{db}", site.schema()));
    server.run(&settings.into_iter().chain(statements).collect::<Vec<_>>()).await.unwrap();
    site
}

fn engine(options: Options) -> Engine {
    let mut lab = Lab::new();
    lab.source("s", "mysql", options);
    lab.engine_over(tombolo_connectors::registry(), lab.settings())
}

/// The rows as text, a line each.
async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    let answer = ask(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
    let table = answer.table();
    let cells = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.join(" ").trim_end().to_owned()
    };
    table.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect()
}

const ODD: &[&str] = &[
    "CREATE TABLE {db}.odd (id int PRIMARY KEY, flag tinyint(1), u tinyint unsigned, big bigint unsigned, bits bit(5), \
     every bit(64), y year, kind enum('b', 'a', ''), tags set('x', 'y'), doc json, old varchar(20) CHARACTER SET latin1, \
     wide decimal(65, 30), pad char(5), at time, d date NULL, dt datetime(3) NULL, ts timestamp(6) NULL, place point) \
     COMMENT 'odd types'",
    "INSERT INTO {db}.odd VALUES (1, 1, 255, 18446744073709551615, b'10101', ~0, 2024, 'b', 'x,y', '{\"a\": 1}', 'Gr\u{fc}n', \
     12345678901234567890123456789012345.000000000000000000000000000001, 'ab', '23:59:59', '2024-02-29', \
     '2024-02-29 12:00:00.123', '2024-02-29 12:00:00.123456', ST_GeomFromText('POINT(1 2)'))",
    "INSERT INTO {db}.odd VALUES (2, 0, 0, 0, b'0', 0, 1901, 'a', '', '[]', 'GR\u{dc}N', -0.5, '', '00:00:00', '0001-01-01', \
     '9999-12-31 23:59:59.999', NULL, NULL)",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_types_of_mysql_come_back() {
    for server in servers() {
        let site = database(server, ODD).await;
        let engine = engine(site.options());
        let first =
            "SELECT flag, u, big, bits, every, y, kind, tags, old, wide, pad, at, d, dt, ts FROM s.odd ORDER BY id";
        assert_eq!(
            rows(&engine, first).await,
            [
                "true 255 18446744073709551615 21 18446744073709551615 2024 b x,y Gr\u{fc}n \
                 12345678901234567890123456789012345.000000000000000000000000000001 ab 23:59:59 2024-02-29 \
                 2024-02-29T12:00:00.123 2024-02-29T12:00:00.123456Z",
                "false 0 0 0 0 1901 a  GR\u{dc}N -0.500000000000000000000000000000  00:00:00 0001-01-01 \
                 9999-12-31T23:59:59.999"
            ],
            "{}",
            server.title
        );
        for (condition, wanted) in [
            ("flag", "1"),
            ("NOT flag", "2"),
            ("u = 255", "1"),
            ("big > 5", "1"),
            ("bits - 22 = -1", "1"),
            ("y - 1902 < 0", "2"),
            // By their text, not by their place in the list.
            ("kind < 'b'", "2"),
            ("tags = 'x,y'", "1"),
            ("old = 'Gr\u{fc}n'", "1"),
            ("octet_length(old) = 5 AND old LIKE 'G__n'", "1"),
            ("pad = 'ab'", "1"),
            ("at > arrow_cast('12:00:00', 'Time64(Microsecond)')", "1"),
            ("ts = TIMESTAMP '2024-02-29T12:00:00.123456Z'", "1"),
            ("dt < TIMESTAMP '2024-02-29T12:00:00.124'", "1"),
            ("wide > 1", "1"),
        ] {
            assert_eq!(
                rows(&engine, &format!("SELECT id FROM s.odd WHERE {condition}")).await,
                [wanted],
                "{condition}"
            );
        }
        // Well-known binary: little-endian, a point, 1 and 2.
        let place = rows(&engine, "SELECT encode(place, 'hex') FROM s.odd WHERE id = 1").await;
        assert_eq!(place, ["0101000000000000000000f03f0000000000000040"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_by_like_named_columns_of_two_tables_are_told_apart() {
    for server in servers() {
        let site = database(
            server,
            &[
                "CREATE TABLE {db}.a (k int, at int)",
                "CREATE TABLE {db}.b (k int, at int)",
                "INSERT INTO {db}.a VALUES (1, 1), (1, 2), (2, 1), (2, 1)",
                "INSERT INTO {db}.b VALUES (1, 5), (1, 6), (2, 5)",
            ],
        )
        .await;
        let engine = engine(site.options());
        // MariaDB brings a condition on groups into them, and looked for their keys among its output columns.
        let sql = "SELECT n, at FROM (SELECT b.at, count(DISTINCT a.k) AS n, max(b.k) AS m FROM s.a JOIN s.b ON a.k = b.k \
                   GROUP BY b.at, a.at) d WHERE at <> m ORDER BY at, n";
        assert_eq!(rows(&engine, sql).await, ["1 5", "2 5", "1 6", "1 6"], "{}", server.title);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rows_of_an_order_of_text_are_taken_before_a_condition_above() {
    for server in servers() {
        let site = database(
            server,
            &[
                "CREATE TABLE {db}.notes (id int PRIMARY KEY, note varchar(20))",
                "INSERT INTO {db}.notes VALUES (1, 'b'), (2, 'B'), (3, NULL), (4, 'a'), (5, 'c')",
            ],
        )
        .await;
        let engine = engine(site.options());
        // The order goes on outside, by bytes as inside.
        let sql = "SELECT id FROM (SELECT id, note FROM s.notes ORDER BY note, id LIMIT 3) d WHERE id <> 4";
        assert_eq!(rows(&engine, sql).await, ["2", "1"], "{}", server.title);
    }
}

const WRONG: &[&str] = &[
    "CREATE TABLE {db}.wrong_values (id int PRIMARY KEY, flag tinyint(1), zero date NOT NULL, part datetime, length time)",
    "INSERT INTO {db}.wrong_values VALUES (1, 2, '0000-00-00', '2024-00-00', '25:00:00'), (2, 1, '2024-01-01', NULL, '-1:00:00')",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_mysql_keeps_and_arrow_has_not_is_refused_by_name() {
    for server in servers() {
        let site = database(server, WRONG).await;
        let strict = engine(site.options());
        for (column, hint) in [
            ("flag", "tinyint1_as_boolean"),
            ("zero", "zero_dates"),
            ("part", "zero_dates"),
            ("length", "columns_as_text"),
        ] {
            let error = ask(&strict, &format!("SELECT {column} FROM s.wrong_values")).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidValue, "{column}: {error}");
            assert!(error.message().contains(column), "{error}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{error}: {:?}", error.hint());
        }
        let error = ask(&strict, "SELECT id FROM s.wrong_values WHERE flag").await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidValue, "{error}");
        let options = site.options().with("tinyint1_as_boolean", false).with("zero_dates", "null");
        let lenient = engine(options.with("columns_as_text", "wrong_values.length"));
        let all = rows(&lenient, "SELECT flag, zero, part, length FROM s.wrong_values ORDER BY id").await;
        assert_eq!(all, ["2   25:00:00", "1 2024-01-01  -01:00:00"], "{}", server.title);
        let none = rows(&lenient, "SELECT id FROM s.wrong_values WHERE zero IS NULL AND part IS NULL").await;
        assert_eq!(none, ["1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_mysql_are_described() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.parents (a int, b int, PRIMARY KEY (a, b)) ENGINE = InnoDB",
            "CREATE TABLE {db}.children (id bigint unsigned PRIMARY KEY COMMENT 'its number', a int, b int, \
             name varchar(20) COLLATE utf8mb4_unicode_ci NOT NULL, UNIQUE KEY by_name (name), KEY begins (name(3)), \
             CONSTRAINT up FOREIGN KEY (a, b) REFERENCES {db}.parents (a, b)) ENGINE = InnoDB COMMENT 'all of them'",
            "CREATE VIEW {db}.names AS SELECT name FROM {db}.children",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        let (_, children) = engine.describe_table("s.children").await.unwrap();
        assert_eq!(children.comment.as_deref(), Some("all of them"));
        assert_eq!(children.primary_key, ["id"]);
        assert_eq!(children.unique_keys, [["name"]]);
        assert_eq!(children.columns[0].comment.as_deref(), Some("its number"));
        assert!(format!("{:?}", children.columns[3].collation).contains("utf8mb4_unicode_ci"));
        let [up] = children.foreign_keys.as_slice() else { panic!("{:?}", children.foreign_keys) };
        assert_eq!((up.columns.join(" "), up.references.table.as_str()), ("a b".to_owned(), "parents"));
        let (_, names) = engine.describe_table("s.names").await.unwrap();
        assert_eq!((names.kind.to_string(), names.comment.clone()), ("view".to_owned(), None));
    }
}

const ALIKE: &[&str] = &[
    "CREATE TABLE {db}.one (id int PRIMARY KEY, k int, word varchar(9)) \
     CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "INSERT INTO {db}.one VALUES (1, 1, 'a'), (2, 2, 'A'), (3, 3, 'a '), (4, 4, 'a'), (5, 5, 'A')",
    "CREATE TABLE {db}.two (word varchar(9)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "INSERT INTO {db}.two VALUES ('a'), ('b'), ('c')",
];

/// MariaDB keeps the answers of sub-queries by what its collation holds to be equal, unless that is switched off.
#[tokio::test(flavor = "multi_thread")]
async fn a_sub_query_is_not_answered_for_a_text_that_is_only_alike() {
    for server in servers() {
        let site = database(server, ALIKE).await;
        let engine = engine(site.options());
        let sql = "SELECT id FROM s.one WHERE id IN (SELECT x.k FROM s.one x JOIN s.two USING (word)) ORDER BY id";
        assert_eq!(rows(&engine, sql).await, ["1", "4"], "{}", server.title);
        let (plan, _) = engine.explain(sql, false, QueryOptions::default()).await.unwrap();
        assert!(format!("{plan:?}").contains("EXISTS (SELECT"), "not asked of the server: {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_left_join_of_mysql_is_on_a_sub_query_that_has_rows() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.parts (k int PRIMARY KEY)",
            "INSERT INTO {db}.parts SELECT help_topic_id FROM mysql.help_topic ORDER BY help_topic_id LIMIT 15",
            "CREATE TABLE {db}.names (k int PRIMARY KEY, word varchar(25) COLLATE utf8mb4_general_ci)",
            "INSERT INTO {db}.names SELECT help_topic_id, 'x' FROM mysql.help_topic LIMIT 60",
            "ANALYZE TABLE {db}.parts, {db}.names",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for (word, matches) in [("a", "0"), ("x", "15")] {
            let sql = format!(
                "SELECT count(b.k) AS n FROM s.parts a \
                 LEFT JOIN (SELECT k FROM s.parts WHERE '{word}' IN (SELECT word FROM s.names)) b ON a.k = b.k"
            );
            assert_eq!(rows(&engine, &sql).await, [matches], "{}", server.title);
            let (plan, _) = engine.explain(&sql, false, QueryOptions::default()).await.unwrap();
            assert!(format!("{plan:?}").contains("ON EXISTS (SELECT"), "not asked of the server: {plan:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_null_empties_not_in_for_every_row_of_mysql() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.words (id int PRIMARY KEY, word varchar(9) NULL)",
            "INSERT INTO {db}.words VALUES (1, 'a'), (2, 'b'), (3, NULL)",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for tested in [
            "SELECT CAST(NULL AS VARCHAR) FROM s.words",
            "SELECT n FROM s.words v LEFT JOIN (SELECT id, CAST(NULL AS VARCHAR) AS n FROM s.words) d ON d.id = v.id",
            "SELECT CAST(NULL AS VARCHAR) FROM s.words UNION ALL SELECT 'z' FROM s.words",
            "SELECT max(word) FROM s.words WHERE id > 2 GROUP BY id",
        ] {
            let sql = format!("SELECT count(*) AS n FROM s.words w WHERE NOT (w.word IN ({tested}))");
            assert_eq!(rows(&engine, &sql).await, ["0"], "{} {tested}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_keeps_the_fractions_of_seconds_in_nullif() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.moments (id int PRIMARY KEY, at datetime(6) NULL, other datetime(6) NULL, day date NULL)",
            "INSERT INTO {db}.moments VALUES (1, '2024-02-29 23:59:59.999999', '2024-01-01', '2024-02-29')",
            "INSERT INTO {db}.moments VALUES (2, '2024-01-01', '2024-01-01', NULL)",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for (value, wanted) in [
            ("nullif(at, other)", "2024-02-29T23:59:59.999999"),
            ("nullif(at, TIMESTAMP '2024-01-01 00:00:00')", "2024-02-29T23:59:59.999999"),
            ("nullif(day, DATE '2024-01-01')", "2024-02-29"),
        ] {
            let sql = format!("SELECT {value} AS n FROM s.moments WHERE id = 1");
            assert_eq!(rows(&engine, &sql).await, [wanted], "{} {value}", server.title);
        }
        let sql = "SELECT nullif(max(at), min(other)) AS n FROM s.moments";
        assert_eq!(rows(&engine, sql).await, ["2024-02-29T23:59:59.999999"], "{}", server.title);
        let sql = "SELECT id FROM s.moments WHERE nullif(at, other) IS NULL";
        assert_eq!(rows(&engine, sql).await, ["2"], "{}", server.title);
        let (plan, _) = engine.explain(sql, false, QueryOptions::default()).await.unwrap();
        assert!(format!("{plan:?}").contains("IF("), "not asked of the server: {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_of_mysql_has_its_type_in_an_aggregate() {
    for server in servers() {
        let site =
            database(server, &["CREATE TABLE {db}.one (id int PRIMARY KEY)", "INSERT INTO {db}.one VALUES (1)"]).await;
        let engine = engine(site.options());
        for (kind, value, shown) in [
            ("DOUBLE", "1.5e0", "1.5"),
            ("BIGINT", "7", "7"),
            ("DECIMAL(10, 2)", "CAST('1.50' AS DECIMAL(10, 2))", "1.50"),
            ("DATE", "DATE '2024-02-29'", "2024-02-29"),
            ("BOOLEAN", "TRUE", "true"),
            ("VARCHAR", "'x'", "x"),
        ] {
            let sql = format!(
                "SELECT CASE WHEN max(id) = 1 THEN {value} ELSE min(CAST(NULL AS {kind})) END AS a, \
                 coalesce(min(CAST(NULL AS {kind})), {value}) AS b FROM s.one"
            );
            assert_eq!(rows(&engine, &sql).await, [format!("{shown} {shown}")], "{} {kind}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_of_a_null_safe_comparison_of_mysql_is_not_null() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.truths (id int PRIMARY KEY, a int NULL)",
            "INSERT INTO {db}.truths VALUES (1, 1), (2, NULL)",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for value in ["a IS NOT DISTINCT FROM 1", "a IS DISTINCT FROM 1", "(a IS NOT DISTINCT FROM 1) = (id = 9)"] {
            let sql = format!("SELECT count(*) AS n FROM s.truths WHERE ({value}) IS NOT NULL");
            assert_eq!(rows(&engine, &sql).await, ["2"], "{} {value}", server.title);
            let sql = format!("SELECT count(*) AS n FROM s.truths WHERE ({value}) IS NULL");
            assert_eq!(rows(&engine, &sql).await, ["0"], "{} {value}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_row_of_mysql_is_ordered_by_an_aggregate() {
    for server in servers() {
        let statements =
            ["CREATE TABLE {db}.days (d date NULL)", "INSERT INTO {db}.days VALUES ('2024-02-29'), (NULL), (NULL)"];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        let sql = "SELECT 7 AS x FROM (SELECT min(d) AS m FROM s.days) AS t ORDER BY nullif(t.m, DATE '2030-01-01')";
        assert_eq!(rows(&engine, sql).await, ["7"], "{}", server.title);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_left_join_of_mysql_keeps_rows_of_which_a_condition_is_not_true() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.days (id int PRIMARY KEY, d date NULL)",
            "INSERT INTO {db}.days VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, NULL)",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for (condition, wanted) in [
            ("(b.d <= DATE '2024-01-07') IS NOT TRUE", "3"),
            ("(b.d <= DATE '2024-01-07') IS NOT FALSE", "5"),
            ("(b.d > DATE '2024-01-07') IS NOT FALSE", "3"),
            ("((b.d <= DATE '2024-01-07') IS TRUE) = (a.id = 9)", "3"),
            ("(b.d > DATE '2024-01-01') IS FALSE", "1"),
            ("(b.d > DATE '2024-01-01') IS TRUE", "1"),
            ("(b.d > DATE '2024-01-01') IS UNKNOWN", "3"),
        ] {
            let sql = format!("SELECT count(*) AS n FROM s.days a LEFT JOIN s.days b ON a.id = 1 WHERE {condition}");
            assert_eq!(rows(&engine, &sql).await, [wanted], "{} {condition}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_of_mysql_that_are_compared_in_two_ways_are_not_equal() {
    for server in servers() {
        let numbers = "SELECT help_topic_id FROM mysql.help_topic ORDER BY help_topic_id LIMIT 50";
        let statements = [
            "CREATE TABLE {db}.a (id int NULL, k int NULL, KEY (k))",
            "CREATE TABLE {db}.b (id int NULL, k int NULL, KEY (k))",
            &format!("INSERT INTO {{db}}.a (k) {numbers}"),
            &format!("INSERT INTO {{db}}.b (k) {numbers}"),
            "INSERT INTO {db}.a (k) VALUES (NULL)",
            "INSERT INTO {db}.b (k) VALUES (NULL)",
            "ANALYZE TABLE {db}.a, {db}.b",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        for join in [
            "s.a JOIN s.b ON a.k = b.k AND a.k IS NOT DISTINCT FROM b.k",
            "s.a JOIN s.b ON b.k IS NOT DISTINCT FROM a.k WHERE a.k = b.k",
            "s.a WHERE EXISTS (SELECT 1 FROM s.b WHERE a.k = b.k AND a.k IS NOT DISTINCT FROM b.k)",
        ] {
            assert_eq!(
                rows(&engine, &format!("SELECT count(*) AS n FROM {join}")).await,
                ["50"],
                "{} {join}",
                server.title
            );
        }
        let sql = "SELECT count(b.k) AS n FROM s.a LEFT JOIN s.b ON a.k = b.k AND a.k IS NOT DISTINCT FROM b.k";
        assert_eq!(rows(&engine, sql).await, ["50"], "{}", server.title);
        let sql = "SELECT count(*) AS n FROM s.a JOIN s.b ON a.k IS NOT DISTINCT FROM b.k";
        assert_eq!(rows(&engine, sql).await, ["51"], "{}", server.title);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_text_of_mysql_is_compared_with_a_column_of_any_collation() {
    for server in servers() {
        for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"] {
            let create = format!("CREATE TABLE {{db}}.words (id int, word varchar(9) COLLATE {collation} NULL)");
            let site =
                database(server, &[&create, "INSERT INTO {db}.words VALUES (1, 'a'), (2, 'A'), (3, NULL)"]).await;
            let engine = engine(site.options());
            let sql = "SELECT w.id FROM s.words w JOIN (SELECT min(word) AS least FROM s.words) m ON w.word = m.least";
            assert_eq!(rows(&engine, sql).await, ["2"], "{} {collation}", server.title);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_mysql_that_has_just_been_filled_does_not_seem_empty() {
    for server in servers() {
        let site = database(server, &["CREATE TABLE {db}.filled (id int PRIMARY KEY) ENGINE = InnoDB"]).await;
        let estimated = async || {
            let (_, table) = engine(site.options()).describe_table("s.filled").await.unwrap();
            table.statistics.rows
        };
        let before = estimated().await;
        let fill = "INSERT INTO {db}.filled SELECT help_topic_id FROM mysql.help_topic LIMIT 500";
        server.run(&[fill.replace("{db}", site.schema())]).await.unwrap();
        let after = estimated().await;
        assert!(matches!(before, RowCount::Estimated(..=10)), "{}: {before:?}", server.title);
        assert!(matches!(after, RowCount::Estimated(100..)), "{}: {after:?}", server.title);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_and_years_of_mysql_9_are_computed_with() {
    let server = MysqlHarness::MYSQL9;
    if let Some(missing) = server.missing() {
        println!("skipped: {missing}");
        return;
    }
    let statements = [
        "CREATE TABLE {db}.new (id int PRIMARY KEY, v vector(3), hidden int INVISIBLE, d date)",
        "INSERT INTO {db}.new (id, v, hidden, d) VALUES (1, string_to_vector('[1,2,3]'), 7, '2024-02-29'), (2, NULL, NULL, NULL)",
    ];
    let site = database(server, &statements).await;
    let engine = engine(site.options());
    let vector = "X'0000803F0000004000004040'";
    assert_eq!(
        rows(&engine, "SELECT encode(v, 'hex'), hidden FROM s.new WHERE id = 1").await,
        ["0000803f0000004000004040 7"]
    );
    for (condition, wanted) in [
        (format!("v = {vector}"), vec!["1"]),
        (format!("v IN ({vector}, X'00')"), vec!["1"]),
        ("v > X'00'".to_owned(), vec!["1"]),
        ("v IS NULL".to_owned(), vec!["2"]),
        // It has no sign there, and is less than nothing here.
        ("id - date_part('year', d) = -2023".to_owned(), vec!["1"]),
    ] {
        assert_eq!(rows(&engine, &format!("SELECT id FROM s.new WHERE {condition}")).await, wanted, "{condition}");
    }
    let grouped = rows(&engine, "SELECT count(*) AS n, encode(v, 'hex') AS v FROM s.new GROUP BY v ORDER BY v").await;
    assert_eq!(grouped, ["1 0000803f0000004000004040", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_more_than_a_packet_comes_whole() {
    for server in servers() {
        // Connections take it from the next one on.
        server.run(&["SET GLOBAL max_allowed_packet = 67108864".to_owned()]).await.unwrap();
        let statements = [
            "CREATE TABLE {db}.long_text (id int PRIMARY KEY, t longtext)",
            // One packet less a byte, exactly one, and more than two.
            "INSERT INTO {db}.long_text VALUES (1, repeat('a', 16777200)), (2, repeat('b', 16777215)), (3, repeat('c', 40000000))",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        let found = rows(&engine, "SELECT id, length(concat(t, id)) AS n FROM s.long_text ORDER BY id").await;
        assert_eq!(found, ["1 16777201", "2 16777216", "3 40000001"], "{}", server.title);
        let whole = ask(&engine, "SELECT t FROM s.long_text").await.unwrap();
        let bytes: usize = whole.batches.iter().map(|batch| batch.get_array_memory_size()).sum();
        assert!(bytes > 73_554_415, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_the_statement_in_mysql() {
    for server in servers() {
        let statements = [
            "CREATE TABLE {db}.n (id int PRIMARY KEY)",
            "INSERT INTO {db}.n SELECT help_topic_id FROM mysql.help_topic LIMIT 400",
        ];
        let site = database(server, &statements).await;
        let engine = engine(site.options());
        let log = RemoteLog::listen("s");
        let sql = "SELECT count(*) FROM s.n a JOIN s.n b ON a.id < b.id + 5 JOIN s.n c ON a.id + b.id <> c.id JOIN s.n d ON d.id <> c.id + a.id";
        let options = QueryOptions { timeout: Some(Duration::from_millis(700)), ..QueryOptions::default() };
        let error = ask_with(&engine, sql, options).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
        let begun = Instant::now();
        while site.running(&log).await > 0 {
            assert!(begun.elapsed() < Duration::from_secs(1), "it still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the server has been told of limits by a site's user.
async fn limits_told(server: MysqlHarness, site: &dyn Site, log: &RemoteLog) -> Vec<String> {
    let user = site.options().text("user").unwrap_or_default().to_owned();
    let sql = format!(
        "SELECT convert(argument USING utf8mb4) FROM mysql.general_log WHERE event_time >= from_unixtime({:.3}) \
         AND user_host LIKE '{user}%' AND argument LIKE '%SET max\\_%\\_time = %' ORDER BY event_time",
        log.since()
    );
    let rows = server.rows(&sql).await.unwrap();
    let told = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    // Several statements that were sent at once may stand in one row or in several.
    told.flat_map(|text| text.split("; ").map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|text| text.split_once("_time = ").map(|(_, limit)| limit.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_mysql_has_set_for_the_user_is_neither_lifted_nor_lengthened() {
    for server in servers() {
        let one = ["CREATE TABLE {db}.one (id int PRIMARY KEY)", "INSERT INTO {db}.one VALUES (1)"];
        let site = database(server, &one).await;
        let (is_mariadb, seconds) = (server.name == MysqlHarness::MARIADB.name, Duration::from_secs);
        let asked = async |timeout: Option<Duration>| {
            let log = RemoteLog::listen("s");
            let options = QueryOptions { timeout, ..QueryOptions::default() };
            assert_eq!(ask_with(&engine(site.options()), "SELECT id FROM s.one", options).await.unwrap().rows(), 1);
            limits_told(server, &*site, &log).await
        };
        // The limit goes with the query that had it.
        let told = asked(Some(seconds(7))).await;
        let none = if is_mariadb { "0.000" } else { "0" };
        assert_eq!((told.len(), told.last().map(String::as_str)), (2, Some(none)), "{}: {told:?}", server.title);
        assert!(told[0].starts_with('6') || told[0] == "7.000" || told[0] == "7000", "{}: {told:?}", server.title);
        if is_mariadb {
            let user = site.options().text("user").unwrap_or_default().to_owned();
            server.run(&[format!("ALTER USER {user}@'%' WITH MAX_STATEMENT_TIME 2.5")]).await.unwrap();
            assert_eq!(asked(Some(seconds(7))).await, ["2.500", "2.500"]);
            assert!(asked(Some(seconds(1))).await[0].starts_with("0."));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_is_read_through_tls_that_is_verified() {
    for server in servers() {
        let Ok(authority) = std::env::var(server.authority) else { continue };
        let site =
            database(server, &["CREATE TABLE {db}.one (id int PRIMARY KEY)", "INSERT INTO {db}.one VALUES (1)"]).await;
        let verified = engine(site.options().with("tls", "verify").with("tls_ca", authority.as_str()));
        let answer = ask(&verified, "SELECT id FROM s.one").await;
        match answer {
            Ok(answer) => assert_eq!(answer.rows(), 1),
            // OpenSSL in MySQL 5.7 has no newer version.
            Err(error) => panic!("{}: {error}: {:?}", server.title, error.detail()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_is_told_a_password_in_the_clear_by_nobody() {
    let server = MysqlHarness::MYSQL9;
    if let Some(missing) = server.missing() {
        println!("skipped: {missing}");
        return;
    }
    let asked = async |site: &dyn Site, tls: &str| {
        let engine = engine(site.options().with("tls", tls));
        ask(&engine, "SELECT id FROM s.one").await.map(|answer| answer.rows())
    };
    let one = ["CREATE TABLE {db}.one (id int PRIMARY KEY)", "INSERT INTO {db}.one VALUES (1)"];
    let site = database(server, &one).await;
    // The server does not know this user from earlier, and wants the password itself.
    let error = asked(&*site, "off").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthenticationFailed, "{error}");
    assert!(error.message().contains("wants the password itself"), "{error}");
    assert_eq!(asked(&*site, "auto").await.unwrap(), 1);
    // Now it does.
    assert_eq!(asked(&*site, "off").await.unwrap(), 1);
    server.run(&["SET GLOBAL require_secure_transport = 1".to_owned()]).await.unwrap();
    let (off, auto) = (asked(&*site, "off").await, asked(&*site, "auto").await);
    server.run(&["SET GLOBAL require_secure_transport = 0".to_owned()]).await.unwrap();
    let error = off.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthenticationFailed, "{error}");
    assert_eq!(auto.unwrap(), 1);
}
