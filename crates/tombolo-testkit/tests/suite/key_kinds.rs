//! Keys of different kinds are compared by a rule that is exact and told of, by an index where there is one; or they are refused.

use tombolo_engine::{ErrorCode, QueryOptions, Settings, Strategy, TypeMapping};
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness};
use tombolo_testkit::{Answer, Lab, ask, rows};

use super::key_shipping::{adaptive, assert_same, shipped, shipping};

/// In one source numbers, and in the other text that mostly is the same numbers; and dates, moments and decimals on both sides.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)";
    lab.sqlite("shop").execute(&format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, ref TEXT, number INTEGER, day TEXT, date DATE, at TIMESTAMP, mark REAL,
                              uid BLOB, price DECIMAL(10, 2), loose TEXT COLLATE NOCASE);
         {numbers} INSERT INTO orders SELECT i,
            CASE WHEN i % 40 = 0 THEN NULL WHEN i % 40 = 7 THEN '00' || (i % 400) WHEN i % 40 = 9 THEN 'x' || i ELSE i % 400 END,
            CASE WHEN i % 40 = 0 THEN NULL ELSE i % 400 END,
            date('2024-01-01', (i % 400) || ' days'), date('2024-01-01', (i % 400) || ' days'),
            datetime('2024-01-01', (i % 400) || ' days', CASE WHEN i % 2 THEN '0 hours' ELSE '6 hours' END),
            (i % 400) / 4.0, unhex(printf('%032x', i % 400)), (i % 400) / 4.0, 'Word' || (i % 400) FROM n;
         CREATE INDEX by_ref ON orders (ref); CREATE INDEX by_number ON orders (number); CREATE INDEX by_day ON orders (day);
         CREATE INDEX by_date ON orders (date); CREATE INDEX by_at ON orders (at); CREATE INDEX by_mark ON orders (mark);
         CREATE INDEX by_uid ON orders (uid);
         ANALYZE;"
    ));
    let customers = "SELECT id, ref, CAST(day AS DATE) AS day, day AS day_text, CAST(at AS TIMESTAMP) AS at, arrow_cast(at, 'Timestamp(Microsecond, Some(\"UTC\"))') AS zoned,
            CAST(price AS DECIMAL(12, 4)) AS price, CAST(price AS DECIMAL(30, 4)) AS wide, CAST(price AS DOUBLE) AS float, uid, id = 1 AS flag, CAST(word AS BYTEA) AS bytes, word
        FROM (VALUES (1, '1', '2024-01-02', '2024-01-02 00:00:00', 0.25, '00000000-0000-0000-0000-000000000001', 'Word1'),
                     (2, '2', '2024-01-03', '2024-01-03 06:00:00', 0.5, '00000000-0000-0000-0000-00000000000A', 'word2'),
                     (7, '007', '2024-01-08', '2024-01-08 00:00:00', 1.75, '{00000000000000000000000000000007}', 'Word7'),
                     (399, '+9', '2025-02-03', '2025-02-03 00:00:00', 99.75, 'no uuid', 'Word399'),
                     (NULL, '3.0', NULL, NULL, NULL, NULL, NULL),
                     (5000, ' 4', '2030-01-01', '2030-01-01 00:00:00', 0.1234, 'x', 'x'),
                     (-3, NULL, '1990-01-01', '1990-01-01 00:00:00', -1, 'y', 'y')) AS t(id, ref, day, at, price, uid, word)";
    lab.memory("crm", "main", "customers", rows(customers).await);
    lab
}

fn mapped(settings: Settings, mappings: &str) -> Settings {
    Settings { type_mappings: TypeMapping::parse_list(mappings).unwrap(), ..settings }
}

async fn answer(lab: &Lab, settings: Settings, sql: &str) -> Answer {
    ask(&lab.engine_with(settings), sql).await.unwrap_or_else(|error| panic!("{sql}: {error} {:?}", error.detail()))
}

/// Each kind of join, of `c` and `o` by a condition with `{key}` on the side of `c` and `{other}` on the side of `o`.
const JOINS: &[&str] = &[
    "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {key} = {other}",
    "SELECT c.id, o.id FROM crm.customers c, shop.orders o WHERE {other} = {key}",
    "SELECT c.id, o.id FROM crm.customers c LEFT JOIN shop.orders o ON {key} = {other}",
    "SELECT c.id, o.id FROM crm.customers c RIGHT JOIN shop.orders o ON {key} = {other}",
    "SELECT c.id, o.id FROM crm.customers c FULL JOIN shop.orders o ON {key} = {other}",
    "SELECT c.id FROM crm.customers c WHERE {key} IN (SELECT {other} FROM shop.orders o)",
    "SELECT o.id FROM shop.orders o WHERE {other} IN (SELECT {key} FROM crm.customers c)",
    "SELECT c.id FROM crm.customers c WHERE {key} NOT IN (SELECT {other} FROM shop.orders o WHERE {other} IS NOT NULL)",
    "SELECT c.id FROM crm.customers c WHERE {key} NOT IN (SELECT {other} FROM shop.orders o)",
    "SELECT o.id FROM shop.orders o WHERE {other} NOT IN (SELECT {key} FROM crm.customers c WHERE {key} IS NOT NULL)",
    "SELECT c.id FROM crm.customers c WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE {other} = {key})",
    "SELECT c.id FROM crm.customers c WHERE NOT EXISTS (SELECT 1 FROM shop.orders o WHERE {other} = {key})",
    "SELECT o.id FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.customers c WHERE {other} = {key})",
    "SELECT c.id, (SELECT count(*) FROM shop.orders o WHERE {other} = {key}) AS n FROM crm.customers c",
    "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {key} IS NOT DISTINCT FROM {other}",
    "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {key} = {other} OR o.id = 5",
    "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON o.id < 20 AND {key} <> {other}",
    "SELECT c.id, {key} = {other} AS same FROM crm.customers c JOIN shop.orders o ON o.id = c.id",
    "SELECT {key}, count(*), sum(o.number) FROM crm.customers c JOIN shop.orders o ON {key} = {other} GROUP BY {key}",
    "SELECT c.id, o.id FROM crm.customers c JOIN (SELECT id, {other} AS k FROM shop.orders o WHERE reverse(ref) <> 'x') o ON {key} = o.k",
];

/// Some of them, for what differs in its types alone.
fn few() -> Vec<&'static str> {
    [0, 2, 5, 7, 12, 19].map(|at| JOINS[at]).to_vec()
}

/// The rows of every kind of join are those of the same statement with the conversion written out, whether keys are shipped or not.
async fn check(lab: &Lab, joins: &[&str], implicit: (&str, &str), written: (&str, &str)) {
    for join in joins {
        let with = |(key, other): (&str, &str)| join.replace("{key}", key).replace("{other}", other);
        let sql = with(implicit);
        adaptive(lab, &sql).await;
        let wanted = answer(lab, shipping(lab, Strategy::Never), &with(written)).await;
        let given = answer(lab, shipping(lab, Strategy::Always), &sql).await;
        assert_eq!(given.schema.fields().len(), wanted.schema.fields().len(), "{sql}");
        // Names and types of columns differ where the conversion is written into the select list.
        if !join.contains("SELECT {key}") && !join.contains("AS same") {
            assert_same(&sql, &given, &wanted);
        }
        assert_eq!(given.rows(), wanted.rows(), "{sql}");
    }
}

#[tokio::test]
async fn a_number_is_the_text_that_it_is_written_as() {
    let lab = lab().await;
    check(&lab, JOINS, ("c.id", "o.ref"), ("CAST(c.id AS VARCHAR)", "o.ref")).await;
    check(&lab, JOINS, ("c.ref", "o.number"), ("c.ref", "CAST(o.number AS VARCHAR)")).await;
    let receipt =
        adaptive(&lab, "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON o.ref = c.id WHERE c.id <> 399")
            .await;
    // 7 is written as 007 in the orders.
    assert_eq!(shipped(&receipt), ["shop: customers.id → orders.ref, 5 keys in 1, 20 rows"]);
    let told = "crm.main.customers.id (Int64) and shop.main.orders.ref (TEXT) are compared as integers: text that no integer is \
                written as, such as 007 or +7, matches nothing; `type_mappings` can say `shop.main.orders.ref = integer`";
    assert_eq!(receipt.notices, [told]);
    let receipt = adaptive(&lab, "SELECT c.id, o.id FROM shop.orders o JOIN crm.customers c ON o.number = c.ref").await;
    assert_eq!(shipped(&receipt), ["shop: customers.ref → orders.number, 6 keys in 1, 20 rows"]);
}

#[tokio::test]
async fn explain_tells_what_keys_are_compared_as() {
    let lab = lab().await;
    let engine = lab.engine();
    for (condition, told) in [
        ("c.id = o.ref", "are compared as integers"),
        ("c.day = o.day", "crm.main.customers.day (Date32) and shop.main.orders.day (TEXT) are compared as dates"),
        ("c.day = o.at", "(TIMESTAMP) are compared as moments: a date is its midnight"),
        ("c.zoned = o.at", "shop.main.orders.at (TIMESTAMP) has no time zone and is read as UTC"),
        ("c.price = o.number", "are compared as decimals, with all their digits"),
        ("c.id = o.mark", "are compared as floats: an integer that no float is exactly"),
        ("c.price = o.mark", "are compared as floats: a decimal is the float that is nearest to it"),
        ("c.word = o.loose", "letter by letter, though its source compares it without regard to case (NOCASE)"),
    ] {
        let sql = format!("SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {condition}");
        let (explanation, receipt) = engine.explain(&sql, true, QueryOptions::default()).await.unwrap();
        for notices in [explanation.notices, receipt.unwrap().notices] {
            let notices: Vec<String> = notices.into_iter().filter(|notice| !notice.contains("requests")).collect();
            assert!(matches!(notices.as_slice(), [only] if only.contains(told)), "{condition}: {notices:?}");
        }
    }
    // Of one kind, or brought to one by the statement itself, or by literals alone.
    for condition in
        ["c.id = o.number", "c.ref = o.ref", "CAST(c.id AS VARCHAR) = o.ref", "c.id = o.number AND o.ref = 7"]
    {
        let sql = format!("SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {condition}");
        let (explanation, _) = engine.explain(&sql, false, QueryOptions::default()).await.unwrap();
        assert_eq!(explanation.notices, Vec::<String>::new(), "{condition}");
    }
}

#[tokio::test]
async fn keys_go_back_to_the_column_that_an_index_finds() {
    let lab = lab().await;
    check(&lab, &few(), ("c.day", "o.day"), ("CAST(c.day AS VARCHAR)", "o.day")).await;
    check(&lab, &few(), ("c.day_text", "o.date"), ("c.day_text", "CAST(o.date AS VARCHAR)")).await;
    check(&lab, &few(), ("c.day", "o.at"), ("CAST(c.day AS TIMESTAMP)", "o.at")).await;
    check(&lab, &few(), ("c.at", "o.date"), ("c.at", "CAST(o.date AS TIMESTAMP)")).await;
    check(&lab, &few(), ("c.zoned", "o.at"), ("c.at", "o.at")).await;
    check(&lab, JOINS, ("c.zoned", "o.date"), ("c.at", "CAST(o.date AS TIMESTAMP)")).await;
    check(&lab, &few(), ("c.price", "o.number"), ("c.price", "CAST(o.number AS DECIMAL(23, 4))")).await;
    check(&lab, &few(), ("c.wide", "o.price"), ("c.wide", "CAST(o.price AS DECIMAL(30, 4))")).await;
    check(&lab, JOINS, ("c.float", "o.number"), ("c.float", "CAST(o.number AS DOUBLE)")).await;
    check(&lab, &few(), ("c.id", "o.mark"), ("CAST(c.id AS DOUBLE)", "o.mark")).await;
    check(&lab, &few(), ("c.price", "o.mark"), ("CAST(c.price AS DOUBLE)", "o.mark")).await;
    for (condition, wanted) in [
        ("c.day = o.day", "shop: customers.day → orders.day, 6 keys in 1, 40 rows"),
        ("c.day_text = o.date", "shop: customers.day_text → orders.date, 6 keys in 1, 40 rows"),
        ("c.at = o.date", "shop: customers.at → orders.date, 6 keys in 1, 30 rows"),
        ("c.zoned = o.at", "shop: customers.zoned → orders.at, 6 keys in 1, 40 rows"),
        ("c.zoned = o.date", "shop: customers.zoned → orders.date, 6 keys in 1, 30 rows"),
        ("c.price = o.number", "shop: customers.price → orders.number, 6 keys in 1, 0 rows"),
        ("c.float = o.number", "shop: customers.float → orders.number, 6 keys in 1, 0 rows"),
        ("c.price = o.mark", "shop: customers.price → orders.mark, 6 keys in 1, 40 rows"),
    ] {
        let sql = format!("SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {condition}");
        assert_eq!(shipped(&adaptive(&lab, &sql).await), [wanted], "{condition}");
    }
}

#[tokio::test]
async fn a_conversion_that_loses_something_takes_no_keys() {
    let lab = lab().await;
    // Of an order at six in the morning the midnight is looked for; the key is no value of its column.
    for condition in [
        "c.at = CAST(CAST(o.at AS DATE) AS TIMESTAMP)",
        "c.id = CAST(CAST(o.mark AS BIGINT) AS DOUBLE)",
        "c.id = CAST(o.mark AS BIGINT)",
        "c.price = CAST(CAST(o.price AS DECIMAL(10, 1)) AS DECIMAL(10, 2))",
    ] {
        let sql = format!("SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {condition}");
        let receipt = adaptive(&lab, &sql).await;
        assert!(shipped(&receipt).is_empty(), "{condition}: {:?}", shipped(&receipt));
        assert!(answer(&lab, lab.settings(), &sql).await.rows() > 0, "{condition}");
    }
}

#[tokio::test]
async fn what_could_be_wrong_is_refused_by_name() {
    let lab = lab().await;
    for (condition, hint) in [
        ("c.price = o.ref", "'shop.main.orders.ref = decimal(12,4)'"),
        ("c.float = o.ref", "'shop.main.orders.ref = decimal(20,6)'"),
        ("c.at = o.day", "'shop.main.orders.day = timestamp'"),
        ("c.zoned = o.day", "'shop.main.orders.day = timestamp(UTC)'"),
        ("c.flag = o.number", "'crm.main.customers.flag = integer'"),
        ("c.flag = o.ref", "'crm.main.customers.flag = integer'"),
        ("c.bytes = o.ref", "CAST"),
        ("c.uid = o.uid", "CAST"),
        ("c.day = o.number", "CAST"),
        ("c.wide = o.mark", "CAST"),
    ] {
        let (left, right) = condition.split_once(" = ").unwrap();
        for sql in [
            format!("SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON {condition}"),
            format!("SELECT c.id FROM crm.customers c WHERE {left} NOT IN (SELECT {right} FROM shop.orders o)"),
            format!(
                "SELECT c.id FROM crm.customers c WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE {right} = {left})"
            ),
        ] {
            let error = ask(&lab.engine(), &sql).await.expect_err(&sql);
            assert_eq!(error.code(), ErrorCode::TypeMismatch, "{sql}: {error}");
            let named = |alias: &str| alias.replace("c.", "crm.main.customers.").replace("o.", "shop.main.orders.");
            for side in [named(left), named(right)] {
                assert!(error.message().contains(&side), "{sql}: {error}");
            }
            assert!(error.hint().is_some_and(|text| text.contains(hint)), "{sql}: {:?}", error.hint());
        }
    }
}

#[tokio::test]
async fn an_integer_that_no_float_is_is_an_error_that_names_it() {
    let mut lab = lab().await;
    let large = "SELECT * FROM (VALUES (1), (9007199254740993)) AS t(big)";
    lab.memory("far", "main", "numbers", rows(large).await);
    let sql = "SELECT n.big, o.id FROM far.numbers n JOIN shop.orders o ON o.mark = n.big";
    let error = ask(&lab.engine(), sql).await.expect_err("no float is that number");
    assert_eq!(error.code(), ErrorCode::InvalidValue, "{error}");
    assert!(error.message().contains("9007199254740993, which is in far.main.numbers.big"), "{error}");
}

#[tokio::test]
async fn the_config_says_what_a_column_is_compared_as() {
    let lab = lab().await;
    let settings =
        |strategy| mapped(shipping(&lab, strategy), "shop.orders.ref = integer, shop.main.orders.UID = uuid");
    let no_letters = "(SELECT * FROM shop.orders WHERE ref NOT LIKE 'x%') o";
    let sql = format!("SELECT c.id, o.id, o.ref FROM crm.customers c JOIN {no_letters} ON o.ref = c.id");
    let never = answer(&lab, settings(Strategy::Never), &sql).await;
    let always = answer(&lab, settings(Strategy::Always), &sql).await;
    assert_same(&sql, &always, &never);
    // 1, 2, 399, and 7 as 007.
    assert_eq!(always.rows(), 40);
    // Several texts are one integer, so that no keys are sent for them.
    assert!(shipped(&always.receipt).is_empty(), "{:?}", shipped(&always.receipt));
    let told = "shop.main.orders.ref (TEXT) is compared as integer, as `type_mappings` says: 007 equals 7, text that is none is an \
                error, and no keys are sent to its source";
    assert_eq!(always.receipt.notices, [told]);

    let error = ask(
        &lab.engine_with(settings(Strategy::Adaptive)),
        "SELECT c.id FROM crm.customers c JOIN shop.orders o ON o.ref = c.id",
    )
    .await
    .expect_err("x9 is no integer");
    assert_eq!(error.code(), ErrorCode::InvalidValue);
    assert!(error.message().ends_with("in shop.main.orders.ref (TEXT) is no integer"), "{error}");

    // Within one source nothing changes.
    let within = "SELECT count(*) FROM shop.orders a JOIN shop.orders b ON a.ref = b.ref";
    let plain = answer(&lab, lab.settings(), within).await;
    assert_same(within, &answer(&lab, settings(Strategy::Adaptive), within).await, &plain);
}

#[tokio::test]
async fn bytes_that_are_uuids_are_found_by_their_text() {
    let lab = lab().await;
    let sql = "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON o.uid = c.uid";
    let both = "shop.orders.uid = uuid";
    let never = answer(&lab, mapped(shipping(&lab, Strategy::Never), both), sql).await;
    let always = answer(&lab, mapped(shipping(&lab, Strategy::Always), both), sql).await;
    assert_same(sql, &always, &never);
    // The one in capitals and the one in braces are other texts.
    assert_eq!(always.rows(), 10);
    assert_eq!(shipped(&always.receipt), ["shop: customers.uid → orders.uid, 6 keys in 1, 10 rows"]);

    // Unless they are said to be uuids too.
    let cleaned = "SELECT c.id, o.id FROM (SELECT * FROM crm.customers WHERE length(uid) > 8) c JOIN shop.orders o ON o.uid = c.uid";
    let both = "shop.orders.uid = uuid, crm.customers.uid = uuid";
    let always = answer(&lab, mapped(shipping(&lab, Strategy::Always), both), cleaned).await;
    assert_eq!(always.rows(), 30);
    assert_eq!(shipped(&always.receipt), ["shop: customers.uid → orders.uid, 3 keys in 1, 30 rows"]);
}

#[tokio::test]
async fn a_mapping_of_a_zone_reads_local_times() {
    let lab = lab().await;
    let sql = "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON o.at = c.zoned";
    let east = "shop.orders.at = timestamp(+06:00)";
    let never = answer(&lab, mapped(shipping(&lab, Strategy::Never), east), sql).await;
    let always = answer(&lab, mapped(shipping(&lab, Strategy::Always), east), sql).await;
    assert_same(sql, &always, &never);
    // Six in the morning there is midnight: only orders of even days are at six.
    let utc = answer(&lab, shipping(&lab, Strategy::Never), sql).await;
    assert_ne!(utc.rows(), always.rows());
    assert_eq!(shipped(&always.receipt).len(), 1, "{:?}", shipped(&always.receipt));
}

#[tokio::test]
async fn a_mapping_that_cannot_be_is_refused() {
    let lab = lab().await;
    let sql = "SELECT c.id FROM crm.customers c JOIN shop.orders o ON o.ref = c.id";
    for (mappings, code, text) in [
        ("shop.orders.reff = integer", ErrorCode::ConfigInvalid, "has none of this name"),
        (
            "crm.customers.id = uuid",
            ErrorCode::TypeMismatch,
            "crm.main.customers.id (Int64) cannot be compared as uuid",
        ),
    ] {
        let error = ask(&lab.engine_with(mapped(lab.settings(), mappings)), sql).await.expect_err(mappings);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(text), "{error}");
    }
}

#[tokio::test]
async fn using_and_lateral_and_chains_compare_alike() {
    let lab = lab().await;
    let sides = "(SELECT id AS k, id FROM crm.customers) c JOIN (SELECT ref AS k, id AS o FROM shop.orders) o";
    let written = answer(
        &lab,
        shipping(&lab, Strategy::Never),
        "SELECT c.id, o.id AS o FROM crm.customers c JOIN shop.orders o ON CAST(c.id AS VARCHAR) = o.ref",
    )
    .await;
    for join in ["USING (k)", "ON c.k = o.k"] {
        let sql = format!("SELECT c.id, o FROM {sides} {join}");
        adaptive(&lab, &sql).await;
        assert_same(&sql, &answer(&lab, lab.settings(), &sql).await, &written);
    }
    let lateral =
        "SELECT c.id, o.id AS o FROM crm.customers c, LATERAL (SELECT id FROM shop.orders o WHERE o.ref = c.id) o";
    assert_same(lateral, &answer(&lab, lab.settings(), lateral).await, &written);
    let common = "WITH c AS (SELECT * FROM crm.customers), o AS (SELECT DISTINCT ref, id FROM shop.orders UNION ALL
                      SELECT ref, id FROM shop.orders WHERE false)
                  SELECT c.id, o.id AS o FROM c JOIN o ON c.id = o.ref";
    adaptive(&lab, common).await;
    assert_same(common, &answer(&lab, lab.settings(), common).await, &written);
}

#[tokio::test]
async fn an_aggregate_is_begun_below_a_join_by_converted_keys() {
    let lab = lab().await;
    let sql = "SELECT c.word, count(*) AS n, sum(o.number) AS s FROM crm.customers c JOIN shop.orders o ON o.ref = c.id GROUP BY c.word";
    let reversed = "SELECT c.word, count(*) AS n, sum(o.id) AS s FROM crm.customers c JOIN shop.orders o ON o.number = c.ref GROUP BY c.word";
    for sql in [sql, reversed] {
        let split = |split_aggregates| Settings { split_aggregates, ..shipping(&lab, Strategy::Never) };
        let (never, always) =
            (answer(&lab, split(Strategy::Never), sql).await, answer(&lab, split(Strategy::Always), sql).await);
        assert_same(sql, &always, &never);
        let rows = |answer: &Answer| answer.receipt.sub_queries.iter().map(|query| query.rows).max();
        assert!(rows(&always) < rows(&never), "{sql}: {:?} {:?}", rows(&always), rows(&never));
    }
}

/// PostgreSQL and MariaDB, with the types that only servers have.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_for_their_own_values() {
    let (postgres, mariadb) = (PostgresHarness::DEBIAN, MysqlHarness::MARIADB);
    if let Some(missing) = postgres.missing().or_else(|| mariadb.missing()) {
        println!("skipped: {missing}");
        return;
    }
    let database = postgres.empty("crm").await.unwrap();
    database
        .run(
            "CREATE TABLE customers (id bigint PRIMARY KEY, uid uuid, code char(8), at timestamptz, rank int, mail text);
             INSERT INTO customers SELECT n, md5(n::text)::uuid, 'c' || n, '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 hour',
                n, 'mail' || n FROM generate_series(1, 20000) n;
             CREATE INDEX ON customers (uid); CREATE INDEX ON customers (code); CREATE INDEX ON customers (at); ANALYZE customers",
        )
        .await;
    let site = mariadb.open("shop", &[]).await.unwrap();
    let table = format!("{}.orders", site.schema());
    mariadb
        .run(&[
            "SET time_zone = '+00:00'".to_owned(),
            format!("USE {}", site.schema()),
            format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, ref varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, big bigint \
                 unsigned, uid varchar(40), buid binary(16), code varchar(8), at datetime, mail varchar(40) CHARACTER SET utf8mb4 COLLATE \
                 utf8mb4_general_ci, INDEX (ref), INDEX (big), INDEX (uid), INDEX (buid), INDEX (code), INDEX (at))"
            ),
            format!(
                "INSERT INTO {table} SELECT seq, CASE WHEN seq % 5 = 4 THEN concat('00', seq) ELSE seq END, seq, \
                 CASE WHEN seq % 5 = 4 THEN upper(u) ELSE u END, unhex(md5(seq)), concat('c', seq), \
                 '2024-01-01 00:00:00' + INTERVAL seq HOUR, concat('MAIL', seq) FROM (SELECT seq, insert(insert(insert(insert(md5(seq), 9, 0, \
                 '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-') AS u FROM seq_1_to_20000) s"
            ),
            format!("ANALYZE TABLE {table}"),
        ])
        .await
        .unwrap();
    let mut lab = Lab::new();
    lab.source("crm", "postgres", database.options());
    lab.source("shop", "mysql", site.options());
    for (condition, mappings, orders, customers, notice) in [
        ("o.ref = c.id", "", 8, 8, "are compared as integers"),
        ("o.big = c.id", "", 10, 10, ""),
        ("o.big = c.rank", "", 10, 10, ""),
        ("o.uid = c.uid", "", 8, 8, "a uuid is in small letters with hyphens"),
        ("o.buid = c.uid", "shop.orders.buid = uuid", 10, 10, "is compared as uuid"),
        ("o.code = c.code", "", 10, 10, "comes without blanks at its end"),
        ("o.at = c.at", "", 10, 10, "has no time zone and is read as UTC"),
        ("o.mail = c.mail", "", 0, 0, "without regard to case (utf8mb4_general_ci)"),
    ] {
        // From either side to the other.
        for (few, wanted, taker) in
            [("c.rank BETWEEN 21 AND 30", orders, "shop"), ("o.id BETWEEN 21 AND 30", customers, "crm")]
        {
            let sql =
                format!("SELECT c.id, o.id AS o FROM crm.customers c JOIN shop.orders o ON {condition} WHERE {few}");
            let never = answer(&lab, mapped(shipping(&lab, Strategy::Never), mappings), &sql).await;
            let given = answer(&lab, mapped(shipping(&lab, Strategy::Adaptive), mappings), &sql).await;
            assert_same(&sql, &given, &never);
            assert_eq!(given.rows(), wanted, "{sql}");
            assert!(
                given.receipt.notices.iter().any(|told| told.contains(notice)) || notice.is_empty(),
                "{sql}: {:?}",
                given.receipt.notices
            );
            let query = given.receipt.sub_queries.iter().find(|query| query.source == taker).unwrap();
            // The column of mails has no index.
            assert!(
                query.keys.iter().any(|keys| keys.requests == Some(1)) || condition.contains("mail"),
                "{sql}: {:?}",
                query.keys
            );
            assert!(query.rows <= 10 || condition.contains("mail"), "{sql}: {}", query.rows);
        }
    }
}

#[tokio::test]
async fn sub_selects_lists_and_cases_compare_by_the_same_rules() {
    let lab = lab().await;
    for (sql, wanted) in [
        (
            "SELECT o.id FROM shop.orders o WHERE o.ref = (SELECT max(c.id) FROM crm.customers c WHERE c.id < 7)",
            "SELECT o.id FROM shop.orders o WHERE o.ref = (SELECT CAST(max(c.id) AS VARCHAR) FROM crm.customers c WHERE c.id < 7)",
        ),
        (
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON c.id IN (o.ref, 2)",
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON CAST(c.id AS VARCHAR) = o.ref OR c.id = 2",
        ),
        (
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o ON o.id < 10 AND c.id NOT IN (o.ref, o.number)",
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o
                ON o.id < 10 AND CAST(c.id AS VARCHAR) <> o.ref AND c.id <> o.number",
        ),
        (
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o
                ON o.id < 10 AND CASE c.id WHEN o.ref THEN true WHEN 2 THEN true ELSE false END",
            "SELECT c.id, o.id FROM crm.customers c JOIN shop.orders o
                ON o.id < 10 AND CASE WHEN CAST(c.id AS VARCHAR) = o.ref THEN true WHEN c.id = 2 THEN true ELSE false END",
        ),
    ] {
        let (given, wanted) = (answer(&lab, lab.settings(), sql).await, answer(&lab, lab.settings(), wanted).await);
        assert_same(sql, &given, &wanted);
        assert!(given.rows() > 0, "{sql}");
        let [notice] = given.receipt.notices.as_slice() else { panic!("{sql}: {:?}", given.receipt.notices) };
        assert!(notice.contains("are compared as integers"), "{sql}: {notice}");
    }
}
