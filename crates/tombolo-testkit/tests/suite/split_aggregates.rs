//! An aggregate over a join of two sources may be begun in one of them, by groups; the answer is that of all rows.

use tombolo_engine::check::SubQueryOutcome;
use tombolo_engine::{Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, rows};

/// Customers here, some of them twice, and their orders there: 4,000 of 100 customers, with nulls among keys and values.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, state TEXT, amount INTEGER, price REAL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
            INSERT INTO orders SELECT i, CASE WHEN i % 41 = 0 THEN NULL ELSE i % 100 END, CASE i % 3 WHEN 0 THEN 'paid' ELSE 'open' END,
                CASE WHEN i % 7 = 0 THEN NULL ELSE i % 50 END, i % 9 FROM n;
         CREATE INDEX by_customer ON orders (customer_id);
         ANALYZE;",
    );
    let customers = "SELECT * FROM (VALUES (1, 'north', 10), (2, 'south', 20), (2, 'south', 30), (3, 'north', 40), (NULL, 'none', 1),
                     (500, 'west', 2), (4, NULL, 60)) AS t(id, region, least)";
    lab.memory("crm", "main", "customers", rows(customers).await);
    lab
}

async fn with(lab: &Lab, split_aggregates: Strategy, sql: &str) -> Answer {
    let settings = Settings { split_aggregates, ..lab.settings() };
    ask(&lab.engine_with(settings), sql).await.unwrap_or_else(|error| panic!("{sql}: {error} {:?}", error.detail()))
}

/// The rows that came from the shop when the aggregate was split wherever it can be and when it was not.
async fn rows_of_shop(lab: &Lab, sql: &str) -> (u64, u64) {
    let (whole, split) = (with(lab, Strategy::Never, sql).await, with(lab, Strategy::Always, sql).await);
    let (given, wanted) = ((split.schema.as_ref(), &split.batches[..]), (whole.schema.as_ref(), &whole.batches[..]));
    same(sql, given, wanted, Rules::default()).unwrap_or_else(|difference| panic!("{sql}: {difference}"));
    let of_shop = |answer: &Answer| {
        answer.receipt.sub_queries.iter().filter(|query| query.source == "shop").map(|query| query.rows).sum()
    };
    (of_shop(&split), of_shop(&whole))
}

#[tokio::test]
async fn the_source_groups_what_the_join_and_the_groups_need() {
    let lab = lab().await;
    let join = "FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id";
    for (sql, split, whole) in [
        (format!("SELECT c.region, count(*), sum(o.amount) {join} GROUP BY c.region"), 4, 156),
        (format!("SELECT c.region, count(o.amount), min(o.amount), max(o.state) {join} GROUP BY c.region"), 4, 156),
        (format!("SELECT c.region, avg(o.amount), avg(o.price), sum(o.price) {join} GROUP BY c.region"), 4, 156),
        (format!("SELECT c.region, count(*) FILTER (WHERE o.state = 'paid') AS paid {join} GROUP BY c.region"), 4, 156),
        (format!("SELECT c.region, o.state, count(*) {join} GROUP BY c.region, o.state"), 8, 156),
        (format!("SELECT upper(c.region) AS r, count(*) {join} GROUP BY upper(c.region) HAVING sum(o.amount) > 900"), 4, 156),
        (format!("SELECT count(*), sum(o.amount) {join}"), 4, 156),
        // The integer and the same as a float.
        (format!("SELECT c.region, sum(o.amount), avg(o.amount), count(o.amount), max(o.amount) {join} GROUP BY c.region"), 4, 156),
        (format!("SELECT count(*), count(o.id), sum(o.amount), avg(o.price) {join} WHERE c.id = 500"), 0, 0),
        (format!("SELECT region, n FROM (SELECT c.region, count(*) AS n, max(o.id) AS m {join} GROUP BY c.region) d ORDER BY m LIMIT 2"), 4, 156),
        (format!("SELECT c.region, count(*) {join} AND o.amount < c.least GROUP BY c.region"), 8, 156),
        ("SELECT c.region, count(*), count(o.id), sum(o.amount) FROM shop.orders o LEFT JOIN crm.customers c ON o.customer_id = c.id GROUP BY c.region".to_owned(), 101, 4000),
        ("SELECT c.region, sum(o.amount) FROM shop.orders o LEFT JOIN crm.customers c ON o.customer_id = c.id GROUP BY c.region".to_owned(), 101, 4000),
        ("SELECT state, count(*) FROM shop.orders WHERE customer_id IN (SELECT id FROM crm.customers) GROUP BY state".to_owned(), 8, 156),
        ("SELECT state, count(*) FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer_id) GROUP BY state".to_owned(), 202, 4000),
    ] {
        assert_eq!(rows_of_shop(&lab, &sql).await, (split, whole), "{sql}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_together_is_not_split() {
    let lab = lab().await;
    let join = "FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id";
    for sql in [
        // Counted once over all groups.
        format!("SELECT c.region, count(DISTINCT o.amount), count(DISTINCT o.state) {join} GROUP BY c.region"),
        // Of both sides at once.
        format!("SELECT c.region, sum(o.amount * c.least) {join} GROUP BY c.region"),
        format!("SELECT c.region, sum(o.amount), sum(c.least) {join} GROUP BY c.region"),
        format!("SELECT c.region, stddev(o.amount) {join} GROUP BY c.region"),
        format!("SELECT c.region, array_agg(o.amount ORDER BY o.id) {join} GROUP BY c.region"),
        format!("SELECT c.region, count(*) {join} GROUP BY ROLLUP (c.region)"),
        // By one column under two names.
        "SELECT DISTINCT d.a, d.b FROM (SELECT o.state AS a, o.state AS b FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id) d".to_owned(),
        // The side that is filled up with nulls.
        "SELECT c.region, count(*), sum(o.amount) FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.region".to_owned(),
    ] {
        let (split, whole) = rows_of_shop(&lab, &sql).await;
        assert_eq!(split, whole, "{sql}");
    }
}

/// What the shop was asked that was run.
async fn asked(lab: &Lab, sql: &str) -> (String, u64, Vec<String>) {
    let answer = with(lab, Strategy::Adaptive, sql).await;
    let whole = with(lab, Strategy::Never, sql).await;
    let (given, wanted) = ((answer.schema.as_ref(), &answer.batches[..]), (whole.schema.as_ref(), &whole.batches[..]));
    same(sql, given, wanted, Rules::default()).unwrap_or_else(|difference| panic!("{sql}: {difference}"));
    let mut run = answer.receipt.sub_queries.into_iter().filter(|query| query.source == "shop");
    let query = run.find(|query| query.outcome != SubQueryOutcome::NotRun).unwrap();
    (query.native, query.rows, query.not_pushed.into_iter().map(|part| part.reason).collect())
}

#[tokio::test]
async fn groups_come_where_they_are_fewer_and_cost_less() {
    let lab = lab().await;
    let sql =
        "SELECT c.region, count(*) FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.region";
    let (native, rows, reasons) = asked(&lab, sql).await;
    assert_eq!(rows, 4);
    assert!(native.contains("GROUP BY"), "{native}");
    assert!(
        reasons.iter().any(|reason| reason == "it is begun in the source and ended here, after the join"),
        "{reasons:?}"
    );
    // By its primary key every order is a group of its own.
    let sql = "SELECT c.region, count(*) FROM crm.customers c JOIN shop.orders o ON o.id = c.id GROUP BY c.region";
    let (native, rows, _) = asked(&lab, sql).await;
    assert_eq!(rows, 5);
    assert!(!native.contains("GROUP BY"), "{native}");
}

#[tokio::test]
async fn rows_come_where_there_are_too_many_groups() {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
            INSERT INTO orders SELECT i, i % 50000, i % 50 FROM n;
         CREATE INDEX by_customer ON orders (customer_id);
         ANALYZE;",
    );
    let customers = "SELECT value AS id, value % 9 AS region, value AS pick FROM generate_series(0, 49999)";
    lab.memory("crm", "main", "customers", rows(customers).await);
    for (id, grouped, wanted) in [("c.pick < 1", true, 1), ("c.pick < 100", true, 100), ("c.pick >= 0", false, 200_000)]
    {
        let sql = format!(
            "SELECT c.region, count(*), sum(o.amount) FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
             WHERE {id} GROUP BY c.region"
        );
        let (native, rows, _) = asked(&lab, &sql).await;
        assert_eq!((native.contains("GROUP BY"), rows), (grouped, wanted), "{sql}: {native}");
    }
}

#[tokio::test]
async fn what_is_drawn_for_each_row_is_drawn_after_the_join() {
    let lab = lab().await;
    let join = "FROM shop.orders o JOIN crm.customers c ON o.customer_id = c.id";
    for sql in [
        // As many groups as rows, and not as groups that a source would make.
        format!("SELECT count(*) AS n FROM (SELECT random() AS r, count(*) AS rows {join} GROUP BY 1) d"),
        format!("SELECT sum(rows) AS n FROM (SELECT random() AS r, count(*) AS rows {join} GROUP BY 1) d"),
    ] {
        let answer = with(&lab, Strategy::Always, &sql).await;
        assert_eq!(answer.table(), with(&lab, Strategy::Never, &sql).await.table(), "{sql}");
    }
    let sql = format!("SELECT count(*) AS n {join} AND o.amount * c.least >= 0 AND random() + o.amount > 0.5");
    assert!(with(&lab, Strategy::Always, &sql).await.rows() == 1);
}

#[tokio::test]
async fn a_sub_select_in_a_group_or_a_condition_is_read_too() {
    let lab = lab().await;
    let join = "FROM shop.orders o JOIN crm.customers c ON o.customer_id = c.id";
    for sql in [
        format!("SELECT o.amount + (SELECT min(id) FROM crm.customers) AS g, count(*) {join} GROUP BY 1"),
        format!("SELECT count(*) {join} AND o.amount < c.least + (SELECT max(price) FROM shop.orders)"),
        format!("SELECT c.region, sum(o.amount + (SELECT max(id) FROM shop.orders)) {join} GROUP BY c.region"),
    ] {
        rows_of_shop(&lab, &sql).await;
    }
}

#[tokio::test]
async fn what_a_source_would_begin_for_nothing_is_planned_once() {
    let lab = lab().await;
    // Each level offers its join to be split, and is refused.
    let mut sql = "SELECT customer_id AS k, count(*) AS n FROM shop.orders GROUP BY customer_id".to_owned();
    for level in 0..7 {
        sql = format!(
            "SELECT a.k, min(a.n) AS n FROM ({sql}) a JOIN (SELECT customer_id AS k{level} FROM shop.orders) b ON a.k = b.k{level} GROUP BY a.k"
        );
    }
    let answer = with(&lab, Strategy::Adaptive, &format!("SELECT count(*) AS n FROM ({sql}) d")).await;
    assert_eq!(answer.rows(), 1);
}
