//! Queries that need some ten times the memory that they may have: what can spill finishes with the right answer, what cannot
//! fails with an error that names the operator. Either way nothing is left in the folder for temporary files.

use tombolo_engine::{Engine, Error, ErrorCode, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, rows};

const MAX_MEMORY: u64 = 16 << 20;

/// A table of some 160 MB in Arrow in two sources, whose rows come in no useful order.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    let big = rows(
        "SELECT value AS id, (value * 7919) % 1000003 AS shuffled, repeat(md5(cast(value AS varchar)), 4) AS payload
         FROM generate_series(1, 1000000)",
    )
    .await;
    lab.files("lake").parquet("big", 100_000, &big);
    lab.files("pond").parquet("big", 100_000, &big);
    lab
}

fn small(lab: &Lab) -> Engine {
    lab.engine_with(Settings { max_memory: MAX_MEMORY, ..lab.settings() })
}

async fn assert_tidy(lab: &Lab, engine: Engine) {
    lab.temp_files_gone().await;
    drop(engine);
    lab.temp_dir_empty().await;
}

/// Runs a query with little memory, and compares the answer with the one that plenty of memory gives.
async fn finishes_or_says_why(lab: &Lab, max_memory: u64, sql: &str) -> Result<Answer, Error> {
    let engine = lab.engine_with(Settings { max_memory, ..lab.settings() });
    let outcome = ask(&engine, sql).await;
    match &outcome {
        Ok(answer) => {
            let wanted = ask(&lab.engine(), sql).await.unwrap();
            let columns = (answer.schema.as_ref(), answer.batches.as_slice());
            same(sql, columns, (&wanted.schema, &wanted.batches), Rules::default()).unwrap();
        }
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::OutOfMemory, "{error}: {:?}", error.detail());
            assert!(error.hint().is_some_and(|hint| hint.contains("max_memory")), "{:?}", error.hint());
        }
    }
    assert_tidy(lab, engine).await;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_ten_times_larger_than_memory_spills() {
    let lab = lab().await;
    let sql = "SELECT shuffled, payload FROM lake.big ORDER BY shuffled";
    let engine = small(&lab);
    let answer = ask(&engine, sql).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.detail()));
    assert_eq!(answer.rows(), 1_000_000);
    assert!(answer.receipt.spilled_bytes > 100 << 20, "{} bytes were spilled", answer.receipt.spilled_bytes);
    // What waits in exchanges between streams may come on top.
    assert!(answer.receipt.peak_memory_bytes.unwrap() <= 2 * MAX_MEMORY, "{:?}", answer.receipt.peak_memory_bytes);
    let mut last = i64::MIN;
    for batch in &answer.batches {
        let keys = batch.column(0).as_any().downcast_ref::<arrow::array::Int64Array>().unwrap();
        for key in keys.values() {
            assert!(last <= *key);
            last = *key;
        }
    }
    assert_tidy(&lab, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_ten_times_larger_than_memory_spills() {
    let lab = lab().await;
    let sql =
        "SELECT count(*) AS groups, sum(n) AS n FROM (SELECT payload, count(*) AS n FROM lake.big GROUP BY payload)";
    // More than once, since an exchange between streams that spills can wait for itself for ever.
    for _ in 0..3 {
        let answer = finishes_or_says_why(&lab, MAX_MEMORY, sql).await.unwrap();
        assert!(answer.receipt.spilled_bytes > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_ten_times_larger_than_memory_runs_again_and_spills() {
    let lab = lab().await;
    let sql = "SELECT count(*) AS n, max(a.payload) AS a, max(b.payload) AS b
               FROM lake.big a JOIN pond.big b ON a.shuffled = b.shuffled AND a.payload >= b.payload";
    // Both sides together are some 320 MB.
    let answer = finishes_or_says_why(&lab, 2 * MAX_MEMORY, sql)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.detail()));
    assert!(answer.receipt.spilled_bytes > 0);
    assert!(answer.receipt.notices.iter().any(|notice| notice.contains("ran again")), "{:?}", answer.receipt.notices);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_folder_for_temporary_files_is_disk_full() {
    let lab = lab().await;
    let engine = lab.engine_with(Settings { max_memory: MAX_MEMORY, max_temp_bytes: 1 << 20, ..lab.settings() });
    let error = ask(&engine, "SELECT shuffled, payload FROM lake.big ORDER BY shuffled").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DiskFull, "{error}: {:?}", error.detail());
    assert!(error.hint().is_some_and(|hint| hint.contains("max_temp_bytes")), "{:?}", error.hint());
    assert_tidy(&lab, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_ran_out_of_memory_leaves_the_memory_to_the_next() {
    let lab = lab().await;
    let engine = small(&lab);
    let hungry =
        "SELECT a.payload, b.payload FROM lake.big a JOIN pond.big b ON a.id < b.id ORDER BY 1, 2 LIMIT 3000000";
    let first = tokio::time::timeout(std::time::Duration::from_secs(20), ask(&engine, hungry)).await;
    if let Ok(Err(error)) = &first {
        assert_eq!(error.code(), ErrorCode::OutOfMemory, "{error}: {:?}", error.detail());
    }
    drop(first);
    let sql = "SELECT count(*) AS n FROM (SELECT payload FROM lake.big ORDER BY shuffled LIMIT 10)";
    assert_eq!(ask(&engine, sql).await.unwrap().rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_loop_join_larger_than_memory_gives_no_wrong_rows() {
    let lab = lab().await;
    // The side that is kept is a join itself, whose rows come once.
    let sql = "SELECT count(a.payload) AS n FROM lake.big AS a LEFT JOIN (SELECT id FROM pond.big WHERE id < 4) AS b \
               ON a.id + b.id > 0 \
               WHERE EXISTS (SELECT 1 FROM pond.big AS c WHERE c.id < 3 AND c.id + a.id < 10) OR b.id = 1";
    let engine = small(&lab);
    let error = ask(&engine, sql).await.expect_err("a join that cannot spill has not the memory");
    assert_eq!(error.code(), ErrorCode::OutOfMemory, "{error}: {:?}", error.detail());
    assert!(error.message().contains("nested-loop join"), "{error}");
    assert_tidy(&lab, engine).await;
}
