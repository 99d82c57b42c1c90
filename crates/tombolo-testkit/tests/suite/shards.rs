//! One source over several PostgreSQL servers: the same answers as from one server with all rows, and only those servers asked
//! that may have some.

use tombolo_connector::{ErrorCode, Options};
use tombolo_engine::{Engine, QueryOptions};
use tombolo_testkit::harness::{Harness, PostgresHarness, PostgresSite};
use tombolo_testkit::{Lab, ask};

const TABLES: &str = "CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint, at date, region text, total numeric(9, 2)); \
                      CREATE TABLE events (id int, at timestamp); CREATE TABLE users (id int, region text); \
                      CREATE TABLE countries (code text PRIMARY KEY, name text); \
                      INSERT INTO countries VALUES ('eu', 'Europe'), ('us', 'States'), ('xx', 'Nowhere')";

const ORDERS: &str = "SELECT n AS id, CASE WHEN n % 17 <> 0 THEN n % 50 - 20 END AS customer_id, \
                      date '2024-01-01' + n % 100 AS at, CASE n % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' END AS region, \
                      n * 1.25 AS total FROM generate_series(1, 600) n";
const EVENTS: &str =
    "SELECT n AS id, timestamp '2024-01-01' + n * interval '1 hour' AS at FROM generate_series(0, 99) n";
const USERS: &str =
    "SELECT n AS id, (ARRAY['eu', 'uk', 'us', 'jp'])[1 + n % 4] AS region FROM generate_series(1, 40) n";

/// Three shards, of which the last is on another server where there is one; and all their rows in one database.
async fn opened() -> Option<(Vec<PostgresSite>, PostgresSite)> {
    let server = PostgresHarness::DEBIAN;
    if let Some(missing) = server.missing() {
        println!("skipped: {missing}");
        return None;
    }
    let newer = PostgresHarness::NEWER;
    let last = if newer.missing().is_none() { newer } else { PostgresHarness::DEBIAN };
    let mut shards = Vec::new();
    for (at, server) in [PostgresHarness::DEBIAN, PostgresHarness::DEBIAN, last].into_iter().enumerate() {
        let site = server.empty("shard").await.unwrap();
        site.run(TABLES).await;
        // Where there is no customer, rows may be anywhere.
        let here = format!("coalesce(((customer_id % 3) + 3) % 3, id % 3) = {at}");
        site.run(&format!("INSERT INTO orders SELECT * FROM ({ORDERS}) o WHERE {here}")).await;
        let bounds = ["at < '2024-01-02'", "at >= '2024-01-02' AND at < '2024-01-04'", "at >= '2024-01-04'"];
        site.run(&format!("INSERT INTO events SELECT * FROM ({EVENTS}) e WHERE {}", bounds[at])).await;
        let regions = ["region IN ('eu', 'uk')", "region = 'us'", "region NOT IN ('eu', 'uk', 'us')"];
        site.run(&format!("INSERT INTO users SELECT * FROM ({USERS}) u WHERE {}", regions[at])).await;
        shards.push(site);
    }
    // Servers have passwords of their own; a user of theirs who has the same on all is what a sharded source takes.
    let reader = reader(&shards);
    for site in &shards {
        site.run(&format!(
            "DO $$ BEGIN CREATE ROLE {reader} LOGIN PASSWORD 'the same'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        ))
        .await;
        site.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")).await;
    }
    let whole = server.empty("whole").await.unwrap();
    whole.run(TABLES).await;
    for (table, rows) in [("orders", ORDERS), ("events", EVENTS), ("users", USERS)] {
        whole.run(&format!("INSERT INTO {table} {rows}")).await;
    }
    Some((shards, whole))
}

fn reader(shards: &[PostgresSite]) -> String {
    format!("reader_of_{}", shards[0].options().text("database").unwrap())
}

fn options(shards: &[PostgresSite]) -> Options {
    let place = |site: &PostgresSite| {
        let options = site.options();
        let text = |name| options.text(name).unwrap_or_default().to_owned();
        format!("{}:{}/{}", text("host"), options.integer("port").unwrap(), text("database"))
    };
    let places: Vec<String> = shards.iter().map(place).collect();
    shards[0]
        .options()
        .with("user", reader(shards))
        .with("password", "the same")
        .with("shards", places.join(", "))
        .with(
            "shard_tables",
            "orders by customer_id modulo; events by at range 2024-01-02, 2024-01-04; users by region list eu, uk | us | ca",
        )
        .with("replicated_tables", "countries")
}

fn engine(options: Options) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("s", "postgres", options);
    let engine = lab.engine();
    (lab, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_answer_like_one_server_with_all_rows() {
    let Some((shards, whole)) = opened().await else { return };
    let (_lab, sharded) = engine(options(&shards));
    let (_lab, single) = engine(whole.options());
    for (sql, servers) in [
        ("SELECT * FROM s.orders ORDER BY id", 3),
        ("SELECT count(*), sum(total), min(at), count(DISTINCT region) FROM s.orders", 3),
        ("SELECT region, count(*) FROM s.orders GROUP BY region ORDER BY region", 3),
        ("SELECT id, row_number() OVER (PARTITION BY region ORDER BY id) FROM s.orders ORDER BY id", 3),
        ("SELECT id, sum(total) OVER (ORDER BY id) FROM s.orders WHERE customer_id = 7 ORDER BY id", 1),
        ("SELECT code, rank() OVER (ORDER BY name) FROM s.countries ORDER BY code", 1),
        ("SELECT id FROM s.orders ORDER BY total DESC LIMIT 7 OFFSET 3", 3),
        ("SELECT id FROM s.orders WHERE customer_id = 7 ORDER BY id LIMIT 3", 1),
        ("SELECT customer_id, sum(total) FROM s.orders WHERE customer_id = -20 GROUP BY customer_id", 1),
        ("SELECT count(*) FROM s.orders WHERE customer_id IN (1, 4, -2)", 1),
        ("SELECT count(*) FROM s.orders WHERE customer_id IN (1, 2)", 2),
        ("SELECT count(*) FROM s.orders WHERE customer_id IS NULL", 3),
        ("SELECT count(*) FROM s.orders WHERE customer_id = 1 OR total > 700", 3),
        ("SELECT count(*) FROM s.orders WHERE customer_id <> 1", 3),
        ("SELECT count(*) FROM s.orders WHERE customer_id = 1 AND customer_id = 2", 0),
        ("SELECT count(*), min(id) FROM s.events WHERE at < TIMESTAMP '2024-01-02'", 1),
        ("SELECT count(*), min(id) FROM s.events WHERE at <= TIMESTAMP '2024-01-02'", 2),
        (
            "SELECT count(*), min(id) FROM s.events WHERE at BETWEEN TIMESTAMP '2024-01-02' AND TIMESTAMP '2024-01-03'",
            1,
        ),
        ("SELECT count(*), min(id) FROM s.events WHERE at > TIMESTAMP '2024-01-03 23:30:00'", 2),
        ("SELECT count(*) FROM s.users WHERE region IN ('eu', 'us')", 2),
        ("SELECT count(*) FROM s.users WHERE region = 'jp'", 3),
        ("SELECT o.id, c.name FROM s.orders o JOIN s.countries c ON c.code = o.region ORDER BY o.id", 3),
        ("SELECT o.id, c.name FROM s.orders o LEFT JOIN s.countries c ON c.code = o.region ORDER BY o.id", 3),
        (
            "SELECT c.code, count(o.id) FROM s.countries c LEFT JOIN s.orders o ON c.code = o.region GROUP BY 1 ORDER BY 1",
            3,
        ),
        ("SELECT c.code FROM s.countries c WHERE c.code NOT IN (SELECT region FROM s.users) ORDER BY 1", 3),
        ("SELECT count(*) FROM s.orders a JOIN s.orders b ON a.id = b.id + 1", 3),
        (
            "SELECT count(*) FROM s.orders a JOIN s.orders b USING (customer_id) WHERE a.customer_id = 5 AND b.customer_id = 5",
            1,
        ),
        (
            "SELECT x.id, x.name FROM s.users u JOIN (SELECT o.id, c.name FROM s.orders o, (SELECT * FROM s.countries ORDER BY code \
          LIMIT 1) c) x ON x.id = u.id ORDER BY 1",
            3,
        ),
        ("SELECT id FROM s.orders WHERE id < 9 UNION ALL SELECT id FROM s.users WHERE id < 5 ORDER BY 1", 3),
        ("SELECT count(*) FROM (SELECT code FROM s.countries UNION ALL SELECT region FROM s.users) AS u", 3),
        ("SELECT count(*) FROM s.countries", 1),
    ] {
        let one = ask(&single, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let many = ask(&sharded, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
        assert_eq!(many.table(), one.table(), "{sql}");
        let asked: Vec<&str> = many
            .receipt
            .sub_queries
            .iter()
            .filter_map(|query| query.native.rsplit_once("/* on ").map(|(_, places)| places))
            .collect();
        let most = asked.iter().map(|places| places.split(", ").count()).max().unwrap_or(0);
        // A filter that nothing can pass may be seen without any server.
        let is_right = if servers == 0 { most <= 1 } else { most == servers };
        assert!(is_right, "{sql}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sees_all_rows_of_a_shard_runs_there() {
    let Some((shards, _)) = opened().await else { return };
    let (_lab, sharded) = engine(options(&shards));
    let sql = "SELECT region, count(*) FROM s.orders WHERE customer_id = 7 GROUP BY region";
    let (plan, _) = sharded.explain(sql, false, QueryOptions::default()).await.unwrap();
    assert!(format!("{plan:?}").contains("GROUP BY"), "{plan:?}");
    let sql = "SELECT id, row_number() OVER (ORDER BY id) FROM s.orders WHERE customer_id = 7";
    let (plan, _) = sharded.explain(sql, false, QueryOptions::default()).await.unwrap();
    assert!(format!("{plan:?}").contains(" OVER (ORDER BY"), "{plan:?}");
    for sql in [
        "SELECT region, count(*) FROM s.orders GROUP BY region",
        "SELECT id, row_number() OVER (ORDER BY id) FROM s.orders",
    ] {
        let (plan, _) = sharded.explain(sql, false, QueryOptions::default()).await.unwrap();
        assert!(format!("{plan:?}").contains("over 3 servers needs the rows of all of them"), "{plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_fails_or_differs_is_the_source_s_failure_and_is_named() {
    let Some((shards, _)) = opened().await else { return };
    let all = options(&shards);
    let dead = format!("{}, 127.0.0.1:1/gone", all.text("shards").unwrap());
    let lists = "orders by customer_id modulo";
    let (_lab, one_dead) = engine(all.clone().with("shards", dead).with("shard_tables", lists));
    let error = ask(&one_dead, "SELECT count(*) FROM s.orders").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{error}");
    assert!(error.detail().unwrap_or_default().contains("127.0.0.1:1/gone"), "{:?}", error.detail());

    let (_lab, narrow) = engine(all.clone().with("max_fan_out", 2));
    assert_eq!(ask(&narrow, "SELECT count(*) FROM s.orders").await.unwrap_err().code(), ErrorCode::PolicyRefused);
    assert!(ask(&narrow, "SELECT count(*) FROM s.orders WHERE customer_id IN (1, 2)").await.is_ok());

    let (_lab, unnamed) = engine(all.clone().with("replicated_tables", ""));
    let error = ask(&unnamed, "SELECT * FROM s.countries").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TableNotFound, "{error}");

    for (option, value) in [
        ("shard_tables", "orders by customer_id"),
        ("shard_tables", "orders by at range 2024-01-02"),
        ("shard_tables", "countries"),
        ("shard_tables", "orders by region modulo"),
        ("shard_tables", "orders by nowhere modulo"),
        ("shard_tables", "orders by at range a, b"),
        ("shards", "127.0.0.1:port/x"),
    ] {
        let (_lab, wrong) = engine(all.clone().with(option, value));
        let error = ask(&wrong, "SELECT count(*) FROM s.orders").await.expect_err(value);
        assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{value}: {error}");
    }

    shards[1].run("ALTER TABLE orders ALTER COLUMN total TYPE float8").await;
    let (_lab, other) = engine(all);
    let error = ask(&other, "SELECT count(*) FROM s.orders").await.unwrap_err();
    assert!(error.message().contains("has other columns on"), "{error}");
}
