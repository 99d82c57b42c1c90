//! What a statement has more than once is made once: its source is read once, and the answer is that of making it in each place.

use tombolo_engine::check::SubQueryReceipt;
use tombolo_engine::{ErrorCode, QueryOptions, Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, rows};

/// Orders of one source and customers of another.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
            INSERT INTO orders SELECT i, CASE WHEN i % 41 = 0 THEN NULL ELSE i % 300 END, i * 7 % 1000 FROM n;
         CREATE INDEX by_customer ON orders (customer_id);
         ANALYZE;",
    );
    let customers = "SELECT value AS id, 'customer ' || value AS name FROM generate_series(0, 400)";
    lab.memory("crm", "main", "customers", rows(customers).await);
    let clicks = "SELECT value AS id, value % 300 AS customer_id, value % 17 AS seconds FROM generate_series(1, 20000)";
    // Prices with nulls, of customers some of whom are not known, of two kinds, each of them several times.
    let sales = "SELECT value AS id, nullif(value % 311, 310) AS customer_id, value % 2 AS kind, \
                 CAST(nullif(value * 37 % 101, 7) AS DECIMAL(15, 2)) AS price, CAST(value % 19 AS DOUBLE) AS weight \
                 FROM generate_series(1, 12000)";
    let (clicks, sales) = (rows(clicks).await, rows(sales).await);
    let lake = lab.files("lake");
    lake.parquet("clicks", 5000, &clicks);
    lake.parquet("sales", 5000, &sales);
    // Some of them twice.
    let visits = "SELECT value % 120 AS customer_id, value AS at FROM generate_series(1, 200)";
    lab.memory("crm", "main", "visits", rows(visits).await);
    lab
}

async fn with(lab: &Lab, shared_rows: Strategy, sql: &str) -> Answer {
    let settings = Settings { shared_rows, ..lab.settings() };
    ask(&lab.engine_with(settings), sql).await.unwrap_or_else(|error| panic!("{sql}: {error} {:?}", error.detail()))
}

/// How many sub-queries there are when what can be is made once and when nothing is.
async fn sub_queries(lab: &Lab, sql: &str) -> (usize, usize) {
    let (apart, shared) = (with(lab, Strategy::Never, sql).await, with(lab, Strategy::Always, sql).await);
    let (given, wanted) = ((shared.schema.as_ref(), &shared.batches[..]), (apart.schema.as_ref(), &apart.batches[..]));
    same(sql, given, wanted, Rules::default()).unwrap_or_else(|difference| panic!("{sql}: {difference}"));
    (shared.receipt.sub_queries.len(), apart.receipt.sub_queries.len())
}

#[tokio::test]
async fn what_stands_in_a_statement_twice_is_read_once() {
    let lab = lab().await;
    let sums = "WITH sums AS (SELECT customer_id AS k, sum(seconds) AS total FROM lake.clicks GROUP BY customer_id)";
    for (sql, shared, apart) in [
        // The best of all.
        (format!("{sums} SELECT k FROM sums WHERE total = (SELECT max(total) FROM sums) ORDER BY k"), 1, 2),
        (format!("{sums} SELECT c.name, s.total FROM crm.customers c JOIN sums s ON c.id = s.k WHERE total = (SELECT max(total) FROM sums)"), 2, 3),
        // Beside each other.
        (format!("{sums} SELECT a.k, b.k FROM sums a JOIN sums b ON a.total = b.total AND a.k < b.k"), 1, 2),
        (format!("{sums} SELECT * FROM sums UNION ALL SELECT * FROM sums"), 1, 2),
        // A sub-select that an expression has twice, and one that is in others.
        ("SELECT coalesce((SELECT max(seconds) FROM lake.clicks), 1) AS m FROM crm.customers WHERE id < 2".to_owned(), 2, 2),
        ("SELECT (SELECT min(m) FROM (SELECT coalesce((SELECT max(seconds) FROM lake.clicks), 1) AS m FROM crm.customers) t) AS n".to_owned(), 2, 2),
        // The second place wants the keys alone.
        (format!("{sums} SELECT count(*) FROM sums WHERE k IN (SELECT k FROM sums) AND total > (SELECT avg(total) FROM sums)"), 2, 3),
        // One inside another, both of them twice.
        (format!("{sums}, tops AS (SELECT max(total) AS most, min(total) AS least FROM sums) SELECT s.k, (SELECT most FROM tops) FROM sums s WHERE s.total = (SELECT most FROM tops) OR s.total = (SELECT least FROM tops)"), 1, 3),
        // Without a name.
        ("SELECT a.m FROM (SELECT max(seconds) AS m FROM lake.clicks) a JOIN (SELECT max(seconds) AS m FROM lake.clicks) b ON a.m = b.m".to_owned(), 1, 2),
        // What a source has grouped already, and its first rows.
        ("WITH s AS (SELECT customer_id AS k, count(*) AS n FROM shop.orders GROUP BY customer_id) SELECT c.name, a.n FROM crm.customers c JOIN s a ON a.k = c.id UNION ALL SELECT c.name, b.n FROM crm.customers c LEFT JOIN s b ON b.k = c.id".to_owned(), 3, 4),
        ("WITH f AS (SELECT id, customer_id AS k FROM shop.orders ORDER BY amount DESC, id LIMIT 20) SELECT c.name FROM crm.customers c JOIN f ON f.k = c.id UNION ALL SELECT c.name FROM crm.customers c WHERE c.id IN (SELECT k FROM f)".to_owned(), 3, 4),
        (format!("{sums} SELECT DISTINCT total FROM sums INTERSECT SELECT DISTINCT total FROM sums"), 1, 2),
    ] {
        assert_eq!(sub_queries(&lab, &sql).await, (shared, apart), "{sql}");
    }
}

const BY_CUSTOMER: &str = "FROM lake.sales t WHERE t.customer_id = ";

#[tokio::test]
async fn groups_of_a_table_are_computed_over_its_rows_beside_them() {
    let lab = lab().await;
    let some = "c.name LIKE '%7'";
    for (sql, shared, apart) in [
        // By the key of what it is joined with, and by its own.
        (format!("SELECT s.id FROM lake.sales s JOIN crm.customers c ON c.id = s.customer_id WHERE {some} AND s.price < (SELECT 0.5 * avg(price) {BY_CUSTOMER} c.id)"), 2, 3),
        (format!("SELECT s.id, c.name FROM crm.customers c JOIN lake.sales s ON c.id = s.customer_id WHERE {some} AND s.price = (SELECT max(price) {BY_CUSTOMER} s.customer_id)"), 2, 3),
        (format!("SELECT sum(s.price) / 7 AS a FROM lake.sales s, crm.customers c WHERE c.id = s.customer_id AND {some} AND s.price < (SELECT 0.5 * avg(price) {BY_CUSTOMER} c.id)"), 2, 3),
        // Each row of a group stands there as often as its customer visited.
        (format!("SELECT s.id, v.at FROM lake.sales s JOIN crm.visits v ON v.customer_id = s.customer_id WHERE s.price > (SELECT avg(price) {BY_CUSTOMER} s.customer_id)"), 2, 3),
        // The table alone: a null is no key.
        (format!("SELECT s.id, s.customer_id FROM lake.sales s WHERE s.price = (SELECT min(price) {BY_CUSTOMER} s.customer_id)"), 1, 2),
        // Several at once, in a derived table, and computed with.
        ("SELECT s.id, s.price, g.least, g.mean FROM lake.sales s JOIN crm.visits v ON v.customer_id = s.customer_id JOIN (SELECT customer_id AS k, min(price) + 1 AS least, avg(price) AS mean FROM lake.sales GROUP BY customer_id) g ON g.k = s.customer_id WHERE v.at < 9".to_owned(), 2, 3),
        // By two columns.
        ("SELECT s.id FROM lake.sales s JOIN crm.customers c ON c.id = s.customer_id WHERE s.price = (SELECT max(price) FROM lake.sales t WHERE t.customer_id = s.customer_id AND t.kind = s.kind)".to_owned(), 2, 3),
        // The same conditions in both places, one on the key in one of them, and keys chosen by others.
        (format!("SELECT s.id FROM lake.sales s JOIN crm.customers c ON c.id = s.customer_id WHERE s.kind = 1 AND s.customer_id > 20 AND s.price = (SELECT max(price) {BY_CUSTOMER} c.id AND t.kind = 1)"), 2, 3),
        (format!("SELECT s.id FROM lake.sales s WHERE s.customer_id IN (SELECT v.customer_id FROM crm.visits v WHERE v.at < 40) AND s.price = (SELECT max(price) {BY_CUSTOMER} s.customer_id)"), 2, 3),
        (format!("SELECT s.id FROM lake.sales s WHERE NOT EXISTS (SELECT 1 FROM crm.visits v WHERE v.customer_id = s.customer_id) AND s.price = (SELECT max(price) {BY_CUSTOMER} s.customer_id)"), 2, 3),
    ] {
        assert_eq!(sub_queries(&lab, &sql).await, (shared, apart), "{sql}");
    }
}

#[tokio::test]
async fn a_table_is_read_once_where_the_rows_beside_its_groups_are_few() {
    let mut lab = lab().await;
    lab.memory("crm", "main", "few", rows("SELECT value AS id FROM generate_series(7, 9)").await);
    // Of all customers, all rows would be sorted.
    for (customers, read) in [("few", 2), ("customers", 3)] {
        let sql = format!(
            "SELECT s.id FROM lake.sales s JOIN crm.{customers} c ON c.id = s.customer_id
             WHERE s.price < (SELECT 0.5 * avg(price) FROM lake.sales t WHERE t.customer_id = c.id)"
        );
        assert_eq!(with(&lab, Strategy::Adaptive, &sql).await.receipt.sub_queries.len(), read, "{sql}");
    }
}

#[tokio::test]
async fn groups_that_the_rows_do_not_have_whole_are_read_by_themselves() {
    let lab = lab().await;
    let joined = "SELECT s.id FROM lake.sales s JOIN crm.customers c ON c.id = s.customer_id";
    for (sql, read) in [
        // Conditions that the groups do not have, on the rows and on a pair of rows.
        (format!("{joined} WHERE s.kind = 1 AND s.price = (SELECT max(price) {BY_CUSTOMER} c.id)"), 3),
        (format!("{joined} WHERE s.price = (SELECT max(price) {BY_CUSTOMER} c.id AND t.kind = 1)"), 3),
        (format!("{joined} AND c.id < s.weight WHERE s.price = (SELECT max(price) {BY_CUSTOMER} c.id)"), 3),
        (
            format!("{joined} JOIN crm.visits v ON v.at = s.id WHERE s.price = (SELECT max(price) {BY_CUSTOMER} c.id)"),
            4,
        ),
        // The first rows only, and rows that others are chosen by.
        (
            format!(
                "SELECT s.id FROM (SELECT * FROM lake.sales ORDER BY id LIMIT 500) s JOIN crm.customers c ON c.id = s.customer_id WHERE s.price = (SELECT max(price) {BY_CUSTOMER} c.id)"
            ),
            3,
        ),
        (
            format!(
                "SELECT s.id FROM lake.sales s WHERE s.id IN (SELECT v.at FROM crm.visits v) AND s.price = (SELECT max(price) {BY_CUSTOMER} s.customer_id)"
            ),
            3,
        ),
        // What counts rows would count them again for each visit, and floats are rounded with each.
        (
            format!(
                "SELECT s.id FROM lake.sales s JOIN crm.visits v ON v.customer_id = s.customer_id WHERE s.price < (SELECT sum(price) / 40 {BY_CUSTOMER} s.customer_id)"
            ),
            3,
        ),
        (
            format!(
                "SELECT s.id FROM lake.sales s JOIN crm.visits v ON v.customer_id = s.customer_id WHERE 30 < (SELECT count(price) {BY_CUSTOMER} s.customer_id)"
            ),
            3,
        ),
        (
            format!(
                "SELECT s.id FROM lake.sales s JOIN crm.visits v ON v.customer_id = s.customer_id WHERE s.weight < (SELECT avg(weight) {BY_CUSTOMER} s.customer_id)"
            ),
            3,
        ),
        // Another table, other keys, and rows without a partner.
        (format!("{joined} WHERE s.weight = (SELECT max(seconds) FROM lake.clicks t WHERE t.customer_id = c.id)"), 3),
        (format!("{joined} WHERE s.price = (SELECT max(price) FROM lake.sales t WHERE t.kind = s.kind)"), 3),
        (
            "SELECT s.id, g.most FROM lake.sales s LEFT JOIN (SELECT customer_id AS k, max(price) AS most FROM lake.sales GROUP BY customer_id) g ON g.k = s.customer_id".to_owned(),
            2,
        ),
    ] {
        assert_eq!(sub_queries(&lab, &sql).await, (read, read), "{sql}");
    }
}

#[tokio::test]
async fn what_differs_or_is_drawn_anew_is_made_in_each_place() {
    let lab = lab().await;
    for sql in [
        "WITH s AS (SELECT customer_id AS k, sum(seconds) AS n FROM lake.clicks GROUP BY customer_id) \
         SELECT count(*) FROM s a JOIN s b ON a.k = b.k WHERE a.n > 100 AND b.k < 50",
        "SELECT (SELECT max(seconds) FROM lake.clicks) + (SELECT max(seconds) FROM lake.clicks WHERE id > 5) AS n",
        // All rows are kept nowhere.
        "SELECT count(*) FROM lake.clicks a JOIN lake.clicks b ON a.id = b.id",
    ] {
        let (shared, apart) = sub_queries(&lab, sql).await;
        assert_eq!(shared, apart, "{sql}");
    }
    let drawn = "SELECT max(seconds + random()) FROM lake.clicks";
    let sql = format!("SELECT count(DISTINCT m) AS n FROM (({drawn}) UNION ALL ({drawn})) AS t(m)");
    let answer = with(&lab, Strategy::Always, &sql).await;
    assert!(answer.table().contains("| 2 |"), "{}", answer.table());
}

#[tokio::test]
async fn by_keys_in_each_place_is_read_what_has_few_of_them() {
    let mut lab = lab().await;
    lab.memory("crm", "main", "few", rows("SELECT 7 AS id").await);
    let sql = "WITH s AS (SELECT customer_id AS k, count(*) AS n FROM shop.orders GROUP BY customer_id)
         SELECT c.id, a.n FROM crm.few c JOIN s a ON a.k = c.id
         UNION ALL SELECT c.id, b.n FROM crm.few c JOIN s b ON b.k = c.id + 1";
    let of_shop = |answer: &Answer| -> Vec<u64> {
        let of_shop = |query: &&SubQueryReceipt| query.source == "shop";
        answer.receipt.sub_queries.iter().filter(of_shop).map(|query| query.rows).collect()
    };
    assert_eq!(of_shop(&with(&lab, Strategy::Adaptive, sql).await), [1, 1]);
    // Nulls are a group too.
    assert_eq!(of_shop(&with(&lab, Strategy::Always, sql).await), [301]);
    let sql = sql.replace("crm.few", "crm.customers");
    assert_eq!(of_shop(&with(&lab, Strategy::Adaptive, &sql).await), [301]);
}

#[tokio::test]
async fn rows_that_do_not_fit_into_memory_wait_in_files() {
    let mut lab = Lab::new();
    let clicks = "SELECT value AS id, 'page ' || value AS page FROM generate_series(1, 200000)";
    lab.files("lake").parquet("clicks", 50_000, &rows(clicks).await);
    let sql = "WITH pages AS (SELECT page, count(*) AS n FROM lake.clicks GROUP BY page)
               SELECT sum(n) AS n, count(DISTINCT page) AS pages FROM (SELECT * FROM pages UNION ALL SELECT * FROM pages) t";
    let settings = Settings { shared_rows: Strategy::Always, max_memory: 24 << 20, ..lab.settings() };
    let answer = ask(&lab.engine_with(settings), sql).await.unwrap();
    assert!(answer.table().contains("| 400000 | 200000 |"), "{}", answer.table());
    assert!(answer.receipt.spilled_bytes > 0);
    assert_eq!(answer.receipt.sub_queries[0].rows, 200_000);
}

#[tokio::test]
async fn the_error_of_what_is_made_once_is_told_once() {
    let lab = lab().await;
    let sql = "WITH s AS (SELECT customer_id AS k, sum(10 / (id - 500)) AS n FROM lake.clicks GROUP BY customer_id)
               SELECT * FROM s UNION ALL SELECT * FROM s";
    let settings = Settings { shared_rows: Strategy::Always, ..lab.settings() };
    let error = ask(&lab.engine_with(settings), sql).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ComputationFailed, "{error}");
    assert!(error.message().contains("division by zero"), "{error}");
}

#[tokio::test]
async fn a_plan_shows_once_what_is_made_once() {
    let lab = lab().await;
    let sql = "WITH s AS (SELECT customer_id AS k, sum(seconds) AS n FROM lake.clicks GROUP BY customer_id)
               SELECT k FROM s WHERE n = (SELECT max(n) FROM s)";
    let engine = lab.engine_with(Settings { parallel: 1, ..lab.settings() });
    let (plan, _) = engine.explain(sql, false, QueryOptions::default()).await.unwrap();
    let text = format!("{plan:?}");
    assert_eq!(text.matches("operator: \"shared\"").count(), 2, "{text}");
    assert_eq!(text.matches("operator: \"read\"").count(), 1, "{text}");
}
