//! What the receipt says of an answer is exactly right, however many streams read it and however small the batches are.

use tombolo_engine::check::{JoinReceipt, SubQueryOutcome};
use tombolo_engine::{QueryOptions, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Lab, ask, rows};

/// Two tables with duplicates, nulls and keys that only one has, in SQLite and in memory.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("a").execute(
        "CREATE TABLE t (id INTEGER, k INTEGER, v INTEGER);
         INSERT INTO t VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30), (4, NULL, 40), (5, 7, 50);
         CREATE TABLE empty (id INTEGER, k INTEGER, v INTEGER);",
    );
    let b = "SELECT * FROM (VALUES (1, 1, 5), (2, 1, 15), (3, 2, 25), (4, 2, 35), (5, NULL, 45), (6, 9, 55)) AS t(id, k, w)";
    lab.memory("b", "main", "t", rows(b).await);
    lab.memory("b", "main", "empty", rows(&format!("SELECT * FROM ({b}) WHERE false")).await);
    lab
}

#[derive(Debug, PartialEq)]
struct Counts {
    left: (u64, Option<u64>),
    right: (u64, Option<u64>),
    output: u64,
    fan_out: Option<f64>,
    complete: bool,
}

fn counts(join: &JoinReceipt) -> Counts {
    Counts {
        left: (join.left.rows, join.left.matched),
        right: (join.right.rows, join.right.matched),
        output: join.output_rows,
        fan_out: join.fan_out,
        complete: join.complete,
    }
}

/// Runs a query with one join in several ways, and checks its kind and its counts in each.
async fn check(sql: &str, kind: &str, wanted: Counts) {
    let lab = lab().await;
    for (parallel, batch_size) in [(1, 8192), (2, 8192), (3, 2), (4, 1)] {
        let engine = lab.engine_with(Settings { parallel, batch_size, ..lab.settings() });
        let answer = ask(&engine, sql).await.unwrap();
        let [join] = answer.receipt.joins.as_slice() else { panic!("{sql}: {:?}", answer.receipt.joins) };
        assert_eq!(join.kind, kind, "{sql}");
        assert_eq!(counts(join), wanted, "{sql} with {parallel} streams and batches of {batch_size}");
        assert!(answer.receipt.complete);
    }
}

#[tokio::test]
async fn an_inner_join_counts_pairs_and_both_sides() {
    check(
        "SELECT a.id, b.id FROM a.t a JOIN b.t b ON a.k = b.k",
        "inner",
        Counts { left: (5, Some(3)), right: (6, Some(4)), output: 6, fan_out: Some(2.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_left_join_counts_the_unmatched_of_its_left() {
    check(
        "SELECT a.id, b.id FROM a.t a LEFT JOIN b.t b ON a.k = b.k",
        "left",
        Counts { left: (5, Some(3)), right: (6, Some(4)), output: 8, fan_out: Some(2.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_right_join_counts_the_unmatched_of_its_right() {
    check(
        "SELECT a.id, b.id FROM a.t a RIGHT JOIN b.t b ON a.k = b.k",
        "right",
        Counts { left: (5, Some(3)), right: (6, Some(4)), output: 8, fan_out: Some(2.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_full_join_counts_the_unmatched_of_both() {
    check(
        "SELECT a.id, b.id FROM a.t a FULL JOIN b.t b ON a.k = b.k",
        "full",
        Counts { left: (5, Some(3)), right: (6, Some(4)), output: 10, fan_out: Some(2.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_semi_join_counts_its_own_side() {
    check(
        "SELECT a.id FROM a.t a WHERE EXISTS (SELECT 1 FROM b.t b WHERE a.k = b.k)",
        "left semi",
        Counts { left: (5, Some(3)), right: (6, None), output: 3, fan_out: None, complete: true },
    )
    .await;
}

#[tokio::test]
async fn an_anti_join_counts_its_own_side() {
    check(
        "SELECT a.id FROM a.t a WHERE NOT EXISTS (SELECT 1 FROM b.t b WHERE a.k = b.k)",
        "left anti",
        Counts { left: (5, Some(3)), right: (6, None), output: 2, fan_out: None, complete: true },
    )
    .await;
}

/// A null on the right makes NOT IN unknown for every row: none comes out, and that says nothing of partners.
#[tokio::test]
async fn not_in_does_not_tell_matched_rows_from_unknown_ones() {
    let lab = lab().await;
    let answer = ask(&lab.engine(), "SELECT id FROM a.t WHERE k NOT IN (SELECT k FROM b.t)").await.unwrap();
    assert_eq!(answer.rows(), 0);
    let [join] = answer.receipt.joins.as_slice() else { panic!("{:?}", answer.receipt.joins) };
    assert_eq!((join.kind.as_str(), join.left.matched, join.output_rows), ("left anti", None, 0));
}

#[tokio::test]
async fn a_residual_condition_decides_what_is_matched() {
    check(
        "SELECT a.id, b.id FROM a.t a JOIN b.t b ON a.k = b.k AND a.v > b.w",
        "inner",
        Counts { left: (5, Some(3)), right: (6, Some(3)), output: 4, fan_out: Some(4.0 / 3.0), complete: true },
    )
    .await;
    check(
        "SELECT a.id, b.id FROM a.t a LEFT JOIN b.t b ON a.k = b.k AND a.v > b.w + 10",
        "left",
        Counts { left: (5, Some(1)), right: (6, Some(1)), output: 5, fan_out: Some(1.0), complete: true },
    )
    .await;
    check(
        "SELECT a.id, b.id FROM a.t a FULL JOIN b.t b ON a.k = b.k AND a.v > b.w + 100",
        "full",
        Counts { left: (5, Some(0)), right: (6, Some(0)), output: 11, fan_out: None, complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_join_without_keys_counts_too() {
    check(
        "SELECT a.id, b.id FROM a.t a JOIN b.t b ON a.v < b.w",
        "inner",
        Counts { left: (5, Some(5)), right: (6, Some(5)), output: 15, fan_out: Some(3.0), complete: true },
    )
    .await;
    check(
        "SELECT a.id, b.id FROM a.t a CROSS JOIN b.t b",
        "inner",
        Counts { left: (5, Some(5)), right: (6, Some(6)), output: 30, fan_out: Some(6.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn a_filter_below_a_join_is_not_counted_as_unmatched() {
    check(
        "SELECT a.id, b.id FROM a.t a LEFT JOIN b.t b ON a.k = b.k AND b.w > 20",
        "left",
        Counts { left: (5, Some(1)), right: (4, Some(2)), output: 6, fan_out: Some(2.0), complete: true },
    )
    .await;
}

#[tokio::test]
async fn an_empty_side_matches_nothing() {
    let lab = lab().await;
    for (sql, output) in [
        ("SELECT a.id FROM a.t a JOIN b.empty b ON a.k = b.k", 0),
        ("SELECT a.id FROM a.t a LEFT JOIN b.empty b ON a.k = b.k", 5),
        ("SELECT a.id, b.id FROM a.empty a FULL JOIN b.t b ON a.k = b.k", 6),
        ("SELECT a.id FROM a.empty a RIGHT JOIN b.t b ON a.k = b.k", 6),
        ("SELECT a.id FROM a.t a WHERE NOT EXISTS (SELECT 1 FROM b.empty b WHERE a.k = b.k)", 5),
    ] {
        let answer = ask(&lab.engine(), sql).await.unwrap();
        assert_eq!(answer.rows(), output, "{sql}");
        // Where an empty table is known to be empty, the join may be planned away.
        for join in &answer.receipt.joins {
            assert_eq!(join.output_rows, output as u64, "{sql}");
            assert_eq!(join.fan_out, None, "{sql}");
            for side in [&join.left, &join.right] {
                assert!(side.matched.is_none_or(|matched| matched == 0), "{sql}: {join:?}");
            }
        }
    }
}

#[tokio::test]
async fn joins_are_named_by_tables_and_condition() {
    let lab = lab().await;
    let answer = ask(&lab.engine(), "SELECT a.id FROM a.t a JOIN b.t b ON a.k = b.k AND a.v > b.w").await.unwrap();
    let join = &answer.receipt.joins[0];
    assert_eq!(
        (join.left.tables.as_slice(), join.right.tables.as_slice()),
        (&["a.t".to_owned()][..], &["b.t".to_owned()][..])
    );
    insta::assert_snapshot!(join.condition, @"a.k = b.k AND a.v > b.w");
    assert_eq!(join.left.unmatched(), Some(2));
    assert_eq!(join.left.match_rate(), Some(0.6));
}

#[tokio::test]
async fn two_joins_are_counted_apart() {
    let lab = lab().await;
    let sql = "SELECT a.id FROM a.t a JOIN b.t b ON a.k = b.k LEFT JOIN b.t c ON b.id = c.k";
    let answer = ask(&lab.engine(), sql).await.unwrap();
    let all: Vec<(usize, &str, Counts)> =
        answer.receipt.joins.iter().map(|join| (join.id, join.kind.as_str(), counts(join))).collect();
    let inner = Counts { left: (5, Some(3)), right: (6, Some(4)), output: 6, fan_out: Some(2.0), complete: true };
    // b.id of the six pairs is 1, 2, 1, 2, 3, 4; c.k has 1 twice and 2 twice.
    let left = Counts { left: (6, Some(4)), right: (6, Some(4)), output: 10, fan_out: Some(2.0), complete: true };
    assert_eq!(all, [(1, "inner", inner), (2, "left", left)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_stops_a_join_early_makes_its_counts_incomplete() {
    let mut lab = lab().await;
    lab.sqlite("big").execute(
        "CREATE TABLE t (k INTEGER, x TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
         INSERT INTO t SELECT i % 3, 'some text ' || i FROM n",
    );
    let engine = lab.engine();
    let sql = "SELECT a.id, big.x FROM a.t a JOIN big.t big ON a.k = big.k LIMIT 3";
    let answer = ask(&engine, sql).await.unwrap();
    assert_eq!(answer.rows(), 3);
    assert!(answer.receipt.complete, "the answer itself is whole");
    let join = &answer.receipt.joins[0];
    assert!(!join.complete, "{join:?}");
    assert!(join.right.rows < 300_000, "{join:?}");
    let read = answer.receipt.sub_queries.iter().find(|read| read.source == "big").unwrap();
    assert_eq!(read.outcome, SubQueryOutcome::Stopped);
}

#[tokio::test]
async fn a_limit_from_outside_says_whether_there_was_more() {
    let lab = lab().await;
    let engine = lab.engine();
    for (limit, rows, reached) in [(3, 3, true), (5, 5, false), (9, 5, false), (0, 0, true)] {
        let options = QueryOptions { limit: Some(limit), ..QueryOptions::default() };
        let mut running = engine.query("SELECT id FROM a.t ORDER BY id", options).await.unwrap();
        let mut seen = 0;
        while let Some(batch) = running.next_batch().await.unwrap() {
            seen += batch.num_rows();
        }
        let receipt = running.receipt();
        let capped = receipt.limit.unwrap();
        assert_eq!((seen, receipt.rows, capped.limit, capped.reached), (rows, rows as u64, limit, reached), "{limit}");
        assert!(receipt.complete);
    }
}

#[tokio::test]
async fn columns_name_their_origins() {
    let lab = lab().await;
    let sql = "SELECT a.id, a.v + b.w AS total, count(*) AS n, max(b.w) AS most, 'x' AS word, coalesce(a.k, b.k) AS k
               FROM a.t a JOIN b.t b ON a.k = b.k GROUP BY a.id, a.v, b.w, a.k, b.k";
    let answer = ask(&lab.engine(), sql).await.unwrap();
    let columns: Vec<String> = answer
        .receipt
        .columns
        .iter()
        .map(|column| {
            let how = if column.computed { "computed from" } else { "is" };
            format!("{} {how} [{}]", column.name, column.origins.join(", "))
        })
        .collect();
    insta::assert_snapshot!(columns.join("\n"), @r"
    id is [a.main.t.id]
    total computed from [a.main.t.v, b.main.t.w]
    n computed from []
    most computed from [b.main.t.w]
    word computed from []
    k computed from [a.main.t.k, b.main.t.k]
    ");
}

#[tokio::test]
async fn columns_keep_their_origins_through_unions_windows_and_derived_tables() {
    let lab = lab().await;
    let sql = "WITH u AS (SELECT id, v AS x FROM a.t UNION ALL SELECT id, w FROM b.t)
               SELECT d.id, d.x, row_number() OVER (ORDER BY d.x) AS n, sum(d.x) OVER () AS total FROM (SELECT * FROM u) d";
    let answer = ask(&lab.engine(), sql).await.unwrap();
    let origins: Vec<(&str, String)> =
        answer.receipt.columns.iter().map(|column| (column.name.as_str(), column.origins.join(", "))).collect();
    assert_eq!(origins[0], ("id", "a.main.t.id, b.main.t.id".to_owned()));
    assert_eq!(origins[1], ("x", "a.main.t.v, b.main.t.w".to_owned()));
    assert_eq!(origins[3], ("total", "a.main.t.v, b.main.t.w".to_owned()));
}

#[tokio::test]
async fn sub_queries_say_what_was_asked_and_how_it_ended() {
    let lab = lab().await;
    let engine = lab.engine();
    let answer = ask(&engine, "SELECT a.id, b.w FROM a.t a JOIN b.t b ON a.k = b.k WHERE a.v > 10").await.unwrap();
    let reads = &answer.receipt.sub_queries;
    assert_eq!(reads.iter().map(|read| read.id).collect::<Vec<_>>(), [1, 2]);
    let a = reads.iter().find(|read| read.source == "a").unwrap();
    assert_eq!((a.kind.as_str(), a.rows, a.outcome), ("sqlite", 4, SubQueryOutcome::Finished));
    assert_eq!(a.tables, ["main.t"]);
    assert!(a.native.contains("SELECT") && a.native.contains("10"), "{}", a.native);
    assert!(a.bytes > 0 && a.elapsed_ms.is_some() && a.read_at.is_some() && a.first_row_ms.is_some());
    let b = reads.iter().find(|read| read.source == "b").unwrap();
    assert_eq!((b.kind.as_str(), b.rows, b.outcome), ("memory", 6, SubQueryOutcome::Finished));
}

#[tokio::test]
async fn a_sub_query_that_fails_says_so() {
    let mut lab = Lab::new();
    lab.files("sheets").text("t.csv", &format!("a\n{}oops\n", "1\n".repeat(30_000)));
    let engine = lab.engine();
    let mut running = engine.query("SELECT sum(a) AS a FROM sheets.t", QueryOptions::default()).await.unwrap();
    let error = loop {
        match running.next_batch().await {
            Ok(batch) => assert!(batch.is_some(), "the query was to fail"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), tombolo_engine::ErrorCode::InvalidValue, "{error}");
    let receipt = running.receipt();
    assert!(!receipt.complete);
    assert_eq!(receipt.sub_queries[0].outcome, SubQueryOutcome::Failed);
}

#[tokio::test]
async fn an_answer_without_rows_has_a_receipt_too() {
    let lab = lab().await;
    let answer = ask(&lab.engine(), "SELECT id FROM a.t WHERE id > 99").await.unwrap();
    assert_eq!((answer.rows(), answer.receipt.rows, answer.receipt.complete), (0, 0, true));
    assert_eq!(answer.receipt.sub_queries[0].outcome, SubQueryOutcome::Finished);
    assert_eq!(answer.schema.fields().len(), 1);
}

#[tokio::test]
async fn counting_joins_can_be_turned_off() {
    let lab = lab().await;
    let engine = lab.engine_with(Settings { join_counts: false, ..lab.settings() });
    let answer = ask(&engine, "SELECT a.id, b.id FROM a.t a JOIN b.t b ON a.k = b.k").await.unwrap();
    assert_eq!(answer.rows(), 6);
    assert!(answer.receipt.joins.is_empty());
}

/// The row numbers that the counts need stand between the columns of the two sides. Only large inputs are read over several
/// streams, and only then is a sort moved below the join's counter.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_columns_of_a_counted_join_is_kept() {
    let mut lab = Lab::new();
    let table = |columns: &str| format!("SELECT value AS id, {columns} FROM generate_series(1, 20000)");
    lab.files("lake").parquet("visits", 5000, &rows(&table("(value * 31) % 101 AS seconds")).await);
    lab.files("pond").parquet("orders", 5000, &rows(&table("(value * 7919) % 1009 AS amount")).await);
    let sql = "SELECT o.amount, v.seconds FROM pond.orders o JOIN lake.visits v ON o.id = v.id
               ORDER BY v.seconds DESC, o.amount";
    let answer = ask(&lab.engine(), sql).await.unwrap();
    assert_eq!((answer.rows(), answer.receipt.joins[0].left.matched), (20_000, Some(20_000)));
    let uncounted = lab.engine_with(Settings { join_counts: false, ..lab.settings() });
    let wanted = ask(&uncounted, sql).await.unwrap();
    let columns = (answer.schema.as_ref(), answer.batches.as_slice());
    same(sql, columns, (&wanted.schema, &wanted.batches), Rules::default()).unwrap();
}
