//! The keys of one side of a join go to the source of the other side, which then sends what matches and hardly anything else;
//! the answer stays what it is without them.

use arrow::array::RecordBatch;
use tombolo_engine::check::{JoinReceipt, KeyReceipt, Receipt};
use tombolo_engine::{JoinOrder, KeyShipping, QueryOptions, Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, ask_with, rows};

/// A few customers here, and 4,000 orders there, of which a hundredth is a customer's; some orders have no customer, and the
/// last customer has no order. A third source has the payments of orders.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)";
    lab.sqlite("shop").execute(&format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, small SMALLINT, day TEXT, amount INTEGER);
         {numbers} INSERT INTO orders
            SELECT i, CASE WHEN i % 40 = 0 THEN NULL ELSE i % 400 END, i % 100, 'd' || (i % 7), i % 13 FROM n;
         CREATE INDEX by_customer ON orders (customer_id);
         CREATE TABLE lines (order_id INTEGER, line INTEGER, PRIMARY KEY (order_id, line));
         {numbers} INSERT INTO lines SELECT i / 2, i % 2 FROM n;
         ANALYZE;"
    ));
    lab.sqlite("bank").execute(&format!(
        "CREATE TABLE payments (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, paid INTEGER);
         {numbers} INSERT INTO payments SELECT i, 4001 - i, i % 5 FROM n;
         CREATE INDEX by_order ON payments (order_id);
         ANALYZE;"
    ));
    let customers =
        "SELECT * FROM (VALUES (1, 'a', 1), (2, 'b', 2), (2, 'again', 3), (NULL, 'nobody', 4), (399, 'd', 70000),
                     (5000, 'without', -1)) AS t(id, name, wide)";
    lab.memory("crm", "main", "customers", rows(customers).await);
    lab.memory("crm", "main", "nobody", rows(&format!("SELECT * FROM ({customers}) WHERE false")).await);
    lab
}

pub(crate) fn shipping(lab: &Lab, strategy: Strategy) -> Settings {
    Settings {
        key_shipping: KeyShipping { strategy, lookup: Strategy::Never, ..KeyShipping::default() },
        join_order: JoinOrder::Written,
        ..lab.settings()
    }
}

pub(crate) fn assert_same(sql: &str, left: &Answer, right: &Answer) {
    same(sql, (&left.schema, &left.batches), (&right.schema, &right.batches), Rules::default())
        .unwrap_or_else(|difference| panic!("{difference}"));
}

/// Asks with keys by the costs, with keys wherever they can be sent, in pieces of two, and without; gives the receipt of the
/// first when the answers are the same.
pub(crate) async fn adaptive(lab: &Lab, sql: &str) -> Receipt {
    let without = ask(&lab.engine_with(shipping(lab, Strategy::Never)), sql).await.unwrap();
    assert!(without.receipt.sub_queries.iter().all(|query| query.keys.is_empty()), "{sql}");
    let mut pieces = shipping(lab, Strategy::Always);
    pieces.key_shipping.batch_keys = 2;
    for settings in [shipping(lab, Strategy::Always), pieces.clone(), Settings { parallel: 1, batch_size: 3, ..pieces }]
    {
        let always = ask(&lab.engine_with(settings), sql).await.unwrap();
        assert_same(sql, &always, &without);
    }
    let adaptive = ask(&lab.engine_with(shipping(lab, Strategy::Adaptive)), sql).await.unwrap();
    assert_same(sql, &adaptive, &without);
    adaptive.receipt
}

/// What the sources were asked with, as `source: from → to, keys in requests, rows`.
pub(crate) fn shipped(receipt: &Receipt) -> Vec<String> {
    let told = |source: &str, rows: u64, keys: &KeyReceipt| {
        let KeyReceipt { from, to, collected, requests, reason, compared_here, range, .. } = keys;
        let how = match (requests, reason) {
            (_, Some(reason)) if *compared_here && *range => format!("compared here as a range, since {reason}"),
            _ if *compared_here => "compared here".to_owned(),
            (Some(requests), _) => format!("in {requests}"),
            (None, Some(reason)) if *range => format!("as a range, since {reason}"),
            (None, Some(reason)) => reason.clone(),
            (None, None) => "not yet".to_owned(),
        };
        format!("{source}: {from} → {to}, {} keys {how}, {rows} rows", collected.unwrap_or_default())
    };
    let queries = receipt.sub_queries.iter();
    queries.flat_map(|query| query.keys.iter().map(|keys| told(&query.source, query.rows, keys))).collect()
}

fn the_join(receipt: &Receipt) -> &JoinReceipt {
    let [join] = receipt.joins.as_slice() else { panic!("{:?}", receipt.joins) };
    join
}

#[tokio::test]
async fn every_kind_of_join_moves_only_what_can_match() {
    let lab = lab().await;
    // Ten orders of customer 1 and of 2 each, ten of 399.
    let few = ["shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows"];
    for (sql, wanted) in [
        ("SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id", &few[..]),
        ("SELECT c.name, o.id FROM shop.orders o JOIN crm.customers c ON o.customer_id = c.id", &few),
        ("SELECT c.name, o.id FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id", &few),
        ("SELECT c.name, o.id FROM shop.orders o RIGHT JOIN crm.customers c ON o.customer_id = c.id", &few),
        (
            "SELECT c.name FROM crm.customers c WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id)",
            &few,
        ),
        (
            "SELECT c.name FROM crm.customers c WHERE NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id)",
            &few,
        ),
        ("SELECT o.id FROM shop.orders o WHERE o.customer_id IN (SELECT id FROM crm.customers)", &few),
        (
            "SELECT c.name, o.id FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.amount > 5",
            &["shop: customers.id → orders.customer_id, 4 keys in 1, 16 rows"],
        ),
        // Each of these must see every order.
        ("SELECT c.name, o.id FROM shop.orders o LEFT JOIN crm.customers c ON o.customer_id = c.id", &[]),
        ("SELECT c.name, o.id FROM crm.customers c FULL JOIN shop.orders o ON o.customer_id = c.id", &[]),
        (
            "SELECT o.id FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.customers c WHERE o.customer_id = c.id)",
            &[],
        ),
        ("SELECT c.name FROM crm.customers c WHERE c.id NOT IN (SELECT customer_id FROM shop.orders)", &[]),
        ("SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id IS NOT DISTINCT FROM c.id", &[]),
        ("SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id < c.id AND o.id < 3", &[]),
        // Several requests could be for other rows each.
        (
            "SELECT c.name, o.id FROM crm.customers c JOIN (SELECT * FROM shop.orders LIMIT 4000) o ON o.customer_id = c.id",
            &[],
        ),
        // Which rows are the first, and which number they have, depends on all of them.
        (
            "SELECT c.name, o.id FROM crm.customers c JOIN
                (SELECT * FROM shop.orders WHERE reverse(day) <> 'x' ORDER BY id LIMIT 200) o ON o.customer_id = c.id",
            &[],
        ),
        (
            "SELECT c.name, o.n FROM crm.customers c JOIN
                (SELECT customer_id, row_number() OVER (ORDER BY id) AS n FROM shop.orders) o ON o.customer_id = c.id",
            &[],
        ),
    ] {
        assert_eq!(shipped(&adaptive(&lab, sql).await), wanted, "{sql}");
    }
}

/// Customers whose orders are next to each other; some have none.
async fn neighbours() -> Lab {
    let mut lab = lab().await;
    let customers = "SELECT i AS id, 'n' || i AS name FROM generate_series(100, 160) AS t(i)";
    lab.memory("crm", "main", "neighbours", rows(customers).await);
    let far = "SELECT * FROM (VALUES (-5000000000), (30), (31), (40)) AS t(id)";
    lab.memory("crm", "main", "far", rows(far).await);
    lab
}

#[tokio::test]
async fn a_range_is_asked_for_where_keys_are_not_sent() {
    let lab = neighbours().await;
    let ask_with = async |change: &dyn Fn(&mut KeyShipping), sql: &str| {
        let mut settings = shipping(&lab, Strategy::Always);
        change(&mut settings.key_shipping);
        let found = ask(&lab.engine_with(settings), sql).await.unwrap();
        assert_same(sql, &found, &ask(&lab.engine_with(shipping(&lab, Strategy::Never)), sql).await.unwrap());
        found.receipt
    };
    let sql = "SELECT c.name, o.id FROM crm.neighbours c JOIN shop.orders o ON o.customer_id = c.id";
    // Of 61 customers one in 40 has no orders, and each other has ten.
    let reason = "there are more than 3 distinct keys (`max_keys`)";
    let told = |how: &str, rows: usize| vec![format!("shop: neighbours.id → orders.customer_id, {how}, {rows} rows")];
    let found = ask_with(&|keys| (keys.max_keys, keys.ranges) = (3, Strategy::Always), sql).await;
    assert_eq!(shipped(&found), told(&format!("61 keys as a range, since {reason}"), 590));
    // Which orders have no customer is not known now.
    assert_eq!(the_join(&found).right.unmatched(), None);
    // Where the source does not know its values, it is not worth it.
    let found = ask_with(&|keys| keys.max_keys = 3, sql).await;
    assert_eq!(shipped(&found), told(&format!("61 keys {reason}"), 4000));
    let found = ask_with(&|keys| keys.ranges = Strategy::Always, sql).await;
    assert_eq!(shipped(&found), told("61 keys as a range, since `key_ranges` is always", 590));
    // A least key that the column cannot hold is no end of it.
    let sql = "SELECT o.id FROM crm.far c JOIN shop.orders o ON o.small = c.id";
    let found = ask_with(&|keys| (keys.max_keys, keys.ranges) = (1, Strategy::Always), sql).await;
    let reason = "there are more than 1 distinct keys (`max_keys`)";
    assert_eq!(shipped(&found), [format!("shop: far.id → orders.small, 4 keys as a range, since {reason}, 1640 rows")]);
}

#[tokio::test]
async fn keys_go_through_what_is_done_here() {
    let lab = lab().await;
    for (sql, wanted) in [
        // A group by the key, and a filter and a column that SQLite does not compute.
        (
            "SELECT c.name, o.n FROM crm.customers c JOIN
                (SELECT customer_id, array_agg(id) AS n FROM shop.orders GROUP BY customer_id) o ON o.customer_id = c.id",
            vec!["shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows"],
        ),
        (
            "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
             WHERE left(o.day, 2) = reverse(o.day) OR o.id > 1000",
            vec!["shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows"],
        ),
        // Branches of different sources.
        (
            "SELECT c.name, u.id FROM crm.customers c JOIN
                (SELECT customer_id AS k, id FROM shop.orders UNION ALL SELECT order_id, id FROM bank.payments) u
             ON u.k = c.id",
            vec![
                "shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows",
                "bank: customers.id → payments.order_id, 4 keys in 1, 3 rows",
            ],
        ),
        // A chain: the orders that were found give the keys of their payments.
        (
            "SELECT c.name, p.paid FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
             JOIN bank.payments p ON p.order_id = o.id",
            vec![
                "shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows",
                "bank: orders.id → payments.order_id, 30 keys in 1, 30 rows",
            ],
        ),
        // One key for both sides of a join.
        (
            "SELECT o.id, p.paid FROM shop.orders o JOIN bank.payments p ON p.order_id = o.id
             JOIN crm.customers c ON c.id = o.id",
            vec![
                "shop: customers.id → orders.id, 4 keys in 1, 3 rows",
                "bank: customers.id → payments.order_id, 4 keys in 1, 3 rows",
            ],
        ),
    ] {
        let found = shipped(&adaptive(&lab, sql).await);
        for wanted in &wanted {
            assert!(found.iter().any(|found| found == wanted), "{sql}: {wanted} is not among {found:#?}");
        }
    }
}

#[tokio::test]
async fn keys_of_two_columns_go_together() {
    let lab = lab().await;
    let sql = "SELECT c.name FROM crm.customers c JOIN shop.lines l ON l.order_id = c.id AND l.line = c.id % 2";
    let found = shipped(&adaptive(&lab, sql).await);
    assert_eq!(found, ["shop: customers.id, c.id % Int64(2) → lines.order_id, lines.line, 4 keys in 1, 3 rows"]);
}

#[tokio::test]
async fn a_key_that_its_column_cannot_hold_is_left_out() {
    let lab = lab().await;
    // 70000 and -1 are no SMALLINT that any row has; 70000 does not even fit one.
    let sql = "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.small = c.wide";
    let receipt = adaptive(&lab, sql).await;
    assert_eq!(shipped(&receipt), ["shop: customers.wide → orders.small, 6 keys in 1, 160 rows"]);
}

#[tokio::test]
async fn a_key_without_a_literal_has_the_source_read_whole() {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE marks (id INTEGER PRIMARY KEY, mark REAL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO marks SELECT i, CASE WHEN i = 7 THEN 9e999 ELSE i + 0.5 END FROM n;
         CREATE INDEX by_mark ON marks (mark);
         ANALYZE;",
    );
    let keys = "SELECT * FROM (VALUES (CAST('inf' AS DOUBLE)), (5.5), (CAST('nan' AS DOUBLE))) AS t(mark)";
    lab.memory("crm", "main", "keys", rows(keys).await);
    let receipt = adaptive(&lab, "SELECT k.mark, m.id FROM crm.keys k JOIN shop.marks m ON m.mark = k.mark").await;
    let found = shipped(&receipt);
    assert_eq!(
        found,
        ["shop: keys.mark → marks.mark, 3 keys the source has no literal for some of the keys, 3000 rows"]
    );
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let lab = lab().await;
    let sql = "SELECT c.name, o.id FROM crm.nobody c LEFT JOIN shop.orders o ON o.customer_id = c.id";
    assert_eq!(shipped(&adaptive(&lab, sql).await), ["shop: nobody.id → orders.customer_id, 0 keys not yet, 0 rows"]);
    let sql = "SELECT c.name, o.id FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id WHERE c.name = 'nobody'";
    assert_eq!(shipped(&adaptive(&lab, sql).await), ["shop: customers.id → orders.customer_id, 0 keys in 0, 0 rows"]);
}

#[tokio::test]
async fn more_keys_than_are_collected_mean_that_all_is_read() {
    let lab = lab().await;
    let sql = "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id";
    let without = ask(&lab.engine_with(shipping(&lab, Strategy::Never)), sql).await.unwrap();
    for (max_keys, wanted) in [
        (
            3,
            "shop: customers.id → orders.customer_id, 4 keys there are more than 3 distinct keys (`max_keys`), 4000 rows",
        ),
        (4, "shop: customers.id → orders.customer_id, 4 keys in 1, 30 rows"),
    ] {
        let mut settings = shipping(&lab, Strategy::Always);
        settings.key_shipping.max_keys = max_keys;
        let answer = ask(&lab.engine_with(settings), sql).await.unwrap();
        assert_same(sql, &answer, &without);
        assert_eq!(shipped(&answer.receipt), [wanted]);
    }
}

#[tokio::test]
async fn what_was_expected_is_corrected_by_what_is_seen() {
    let lab = lab().await;
    // A condition of which nothing is known: a fifth of the payments is expected, and all of them come.
    let sql =
        "SELECT o.id, p.paid FROM bank.payments p JOIN shop.orders o ON o.id = p.order_id WHERE p.paid + p.id > -7";
    let receipt = adaptive(&lab, sql).await;
    let found = shipped(&receipt);
    assert!(
        found[0].starts_with("shop: payments.order_id → orders.id, 4000 keys 4000 keys would take about"),
        "{found:?}"
    );
    assert!(found[0].ends_with(" to read, 4000 rows"), "{found:?}");
    // All orders were read, so all are counted.
    assert_eq!(the_join(&receipt).right.unmatched().or(the_join(&receipt).left.unmatched()), Some(0));
}

#[tokio::test]
async fn the_receipt_does_not_speak_of_rows_that_were_not_read() {
    let lab = lab().await;
    let receipt =
        adaptive(&lab, "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id").await;
    let join = the_join(&receipt);
    assert_eq!(
        (join.left.rows, join.left.matched, join.left.reduced, join.left.unmatched()),
        (6, Some(4), false, Some(2))
    );
    assert_eq!((join.right.rows, join.right.matched, join.right.reduced), (30, Some(30), true));
    assert_eq!((join.right.unmatched(), join.right.match_rate()), (None, None));
}

#[tokio::test]
async fn memory_that_is_short_changes_no_answer() {
    let lab = lab().await;
    let many = "SELECT column1 AS id, repeat('x', 200) AS text FROM (SELECT unnest(range(0, 60000)) AS column1)";
    let (mut lab, mut spilled) = (lab, false);
    lab.memory("many", "main", "numbers", rows(many).await);
    for sql in [
        "SELECT count(*), sum(o.amount), min(length(n.text)) FROM many.numbers n JOIN shop.orders o ON o.customer_id = n.id",
        "SELECT count(*), sum(o.amount) FROM many.numbers n LEFT JOIN shop.orders o ON o.id = n.id",
    ] {
        let without = ask(&lab.engine_with(shipping(&lab, Strategy::Never)), sql).await.unwrap();
        for max_memory in [64 << 20, 16 << 20, 8 << 20] {
            let settings = Settings { max_memory, ..shipping(&lab, Strategy::Always) };
            let answer =
                ask(&lab.engine_with(settings), sql).await.unwrap_or_else(|error| panic!("{max_memory}: {error}"));
            assert_same(sql, &answer, &without);
            spilled |= answer.receipt.spilled_bytes > 0;
        }
    }
    assert!(spilled);
    lab.temp_dir_empty().await;
}

#[tokio::test]
async fn a_recursive_query_ships_no_keys() {
    let lab = lab().await;
    let sql = "WITH RECURSIVE up(id, depth) AS (
                   SELECT id, 1 FROM crm.customers WHERE id IS NOT NULL
                   UNION ALL
                   SELECT o.id, up.depth + 1 FROM up JOIN shop.orders o ON o.customer_id = up.id WHERE up.depth < 3
               ) SELECT depth, count(*), sum(id) FROM up GROUP BY depth";
    assert!(shipped(&adaptive(&lab, sql).await).is_empty());
}

#[tokio::test]
async fn several_requests_are_told_of() {
    let lab = lab().await;
    let sql = "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id";
    let mut settings = shipping(&lab, Strategy::Always);
    settings.key_shipping.batch_keys = 3;
    let engine = lab.engine_with(settings);
    let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
    while running.next_batch().await.unwrap().is_some() {}
    // The answer has been read, and nothing is kept for it.
    assert_eq!(engine.reserved_memory_bytes(), 0);
    let receipt = running.receipt();
    assert_eq!(shipped(&receipt), ["shop: customers.id → orders.customer_id, 4 keys in 2, 30 rows"]);
    assert_eq!(
        receipt.notices,
        ["source `shop` was asked for main.orders in 2 requests, each of which read it as it was at that moment"]
    );
}

#[tokio::test]
async fn the_keys_that_leave_the_fewest_rows_are_sent() {
    let lab = lab().await;
    // The orders could be asked for by customers and by lines.
    let sql = "SELECT c.name, l.order_id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
               JOIN (SELECT order_id FROM bank.payments WHERE paid + id < 3) l ON l.order_id = o.id";
    let without = ask(&lab.engine_with(shipping(&lab, Strategy::Never)), sql).await.unwrap();
    let always = ask(&lab.engine_with(shipping(&lab, Strategy::Always)), sql).await.unwrap();
    assert_same(sql, &always, &without);
    for query in &always.receipt.sub_queries {
        assert!(query.keys.iter().filter(|keys| keys.requests.is_some()).count() <= 1, "{:?}", query.keys);
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_early_leaves_nothing_behind() {
    let lab = lab().await;
    let engine = lab.engine_with(shipping(&lab, Strategy::Always));
    let sql = "SELECT c.name, o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id";
    let running = engine.query(sql, QueryOptions::default()).await.unwrap();
    drop(running);
    let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
    let first: Option<RecordBatch> = running.next_batch().await.unwrap();
    assert!(first.is_some());
    drop(running);
    assert_eq!(engine.reserved_memory_bytes(), 0);
    let capped = QueryOptions { limit: Some(1), ..QueryOptions::default() };
    assert_eq!(ask_with(&engine, sql, capped).await.unwrap().rows(), 1);
}

/// Orders in Parquet files, which take no keys: some without a customer, in row groups of a hundred.
async fn lake() -> Lab {
    let mut lab = neighbours().await;
    let orders = "SELECT value AS id, CASE WHEN value % 40 > 0 THEN value % 400 END AS customer_id, 'n' || (value % 400) AS name,
            CAST('2024-01-01' AS DATE) + CAST(value % 400 AS INT) AS day, arrow_cast((value % 400) / 4.0, 'Decimal128(10, 2)') AS price,
            CAST(value % 400 AS DOUBLE) AS mark, arrow_cast(value % 400, 'UInt64') AS number, value % 400 = 1 AS flag,
            value % 13 AS amount
        FROM generate_series(1, 40000)";
    lab.files("lake").parquet("orders", 100, &rows(orders).await);
    let keys = "SELECT id, name, CAST('2024-01-01' AS DATE) + CAST(id AS INT) AS day, arrow_cast(id / 4.0, 'Decimal128(12, 4)') AS price,
            CAST(id AS DOUBLE) AS mark, arrow_cast(id, 'UInt32') AS number, id = 1 AS flag
        FROM (VALUES (1, 'n1'), (2, 'n2'), (2, 'again'), (NULL, NULL), (399, 'n399'), (5000, 'without')) AS t(id, name)";
    lab.memory("crm", "main", "keys", rows(keys).await);
    lab
}

#[tokio::test]
async fn rows_are_compared_with_the_ends_of_keys_that_are_too_many() {
    let lab = lake().await;
    let sql = "SELECT n.name, o.n FROM crm.neighbours n JOIN
        (SELECT customer_id, count(*) AS n FROM lake.orders GROUP BY customer_id) o ON o.customer_id = n.id";
    let mut settings = shipping(&lab, Strategy::Always);
    settings.key_shipping.max_keys = 3;
    let found = ask(&lab.engine_with(settings), sql).await.unwrap();
    assert_same(sql, &found, &ask(&lab.engine_with(shipping(&lab, Strategy::Never)), sql).await.unwrap());
    let reason = "there are more than 3 distinct keys (`max_keys`)";
    // Each has a hundred orders, but for 120 and 160, who have none.
    assert_eq!(
        shipped(&found.receipt),
        [format!(
            "lake: neighbours.id → orders.customer_id, 61 keys compared here as a range, since {reason}, 5900 rows"
        )]
    );
}

#[tokio::test]
async fn a_source_that_takes_no_keys_has_its_rows_compared_before_they_are_worked_on() {
    let lab = lake().await;
    let of =
        |columns: &str, keys: u64, rows: u64| vec![format!("lake: {columns}, {keys} keys compared here, {rows} rows")];
    let id = || of("keys.id → orders.customer_id", 4, 300);
    let grouped = "(SELECT customer_id, count(*) AS n, sum(amount) AS sum FROM lake.orders GROUP BY customer_id)";
    for (sql, wanted) in [
        (format!("SELECT k.name, o.n FROM crm.keys k JOIN {grouped} o ON o.customer_id = k.id"), id()),
        (format!("SELECT k.name, o.sum FROM {grouped} o JOIN crm.keys k ON o.customer_id = k.id"), id()),
        (format!("SELECT k.name, o.n FROM crm.keys k LEFT JOIN {grouped} o ON o.customer_id = k.id"), id()),
        (format!("SELECT o.n FROM {grouped} o WHERE o.customer_id IN (SELECT id FROM crm.keys)"), id()),
        (format!("SELECT k.name FROM crm.keys k WHERE NOT EXISTS (SELECT 1 FROM {grouped} o WHERE o.customer_id = k.id AND o.n > 1)"), id()),
        ("SELECT k.name, (SELECT sum(amount) FROM lake.orders o WHERE o.customer_id = k.id) AS s FROM crm.keys k".to_owned(), id()),
        // As they come, nothing is done with them that would be spared.
        ("SELECT k.name, o.id FROM crm.keys k JOIN lake.orders o ON o.customer_id = k.id".to_owned(), vec![]),
        // Each of these must see all of them.
        (format!("SELECT k.name, o.n FROM crm.keys k FULL JOIN {grouped} o ON o.customer_id = k.id"), vec![]),
        (format!("SELECT k.name FROM crm.keys k WHERE k.id NOT IN (SELECT customer_id FROM {grouped} o WHERE n < 0)"), vec![]),
        (
            "SELECT k.name, o.n FROM crm.keys k JOIN (SELECT customer_id, count(*) AS n FROM (SELECT * FROM lake.orders LIMIT 900) d
                GROUP BY customer_id) o ON o.customer_id = k.id WHERE o.n < 0"
                .to_owned(),
            vec![],
        ),
    ] {
        assert_eq!(shipped(&adaptive(&lab, &sql).await), wanted, "{sql}");
    }
    for (column, keys, rows) in [("name", 5, 300), ("day", 4, 300), ("price", 4, 300), ("number", 4, 300)] {
        let sql = format!(
            "SELECT k.id, o.n FROM crm.keys k JOIN (SELECT {column}, count(*) AS n FROM lake.orders GROUP BY {column}) o
                ON o.{column} = k.{column}"
        );
        assert_eq!(
            shipped(&adaptive(&lab, &sql).await),
            of(&format!("keys.{column} → orders.{column}"), keys, rows),
            "{sql}"
        );
    }
    // Of floats 0 and -0 are one to a join.
    let sql = "SELECT k.id, o.n FROM crm.keys k JOIN (SELECT mark, count(*) AS n FROM lake.orders GROUP BY mark) o ON o.mark = k.mark";
    assert_eq!(shipped(&adaptive(&lab, sql).await), Vec::<String>::new());
    let sql = format!("SELECT k.name, o.n FROM crm.nobody k JOIN {grouped} o ON o.customer_id = k.id");
    assert_eq!(shipped(&adaptive(&lab, &sql).await), ["lake: nobody.id → orders.customer_id, 0 keys not yet, 0 rows"]);
}
