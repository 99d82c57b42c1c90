use tombolo_connector::layer::{ChaosPlan, Counted, Fault, RowPoint};
use tombolo_connector::{Retry, RowCount};
use tombolo_engine::{ErrorCode, QueryOptions};
use tombolo_testkit::ask;

use super::{Fixture, ROWS, SHAPES, SOURCES, assert_same};

/// Before the first row, within the first batch, around its end, somewhere, and after the last row.
fn places(rows: u64) -> [u64; 7] {
    [0, 1, 127, 128, rows / 2 + 3, rows - 1, rows]
}

fn rows_of(source: &str) -> u64 {
    if source == "cache" { 97 } else { ROWS }
}

/// What a source may say when it fails.
const FAILURES: [(ErrorCode, Retry); 3] = [
    (ErrorCode::SourceFailed, Retry::Safe),
    (ErrorCode::SourceUnavailable, Retry::Never),
    (ErrorCode::CorruptData, Retry::Never),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_any_row_fails_the_query_with_what_the_source_said() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, sources) in SHAPES {
        let wanted = ask(&engine, sql).await.unwrap();
        for source in *sources {
            let places = places(rows_of(source)).map(RowPoint::Row).into_iter().chain([RowPoint::End]);
            for (nth, point) in places.enumerate() {
                let (code, retry) = FAILURES[nth % FAILURES.len()];
                let switch = fixture.spoil(source, ChaosPlan::default().at_row(point, Fault::Error(code, retry)));
                let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
                let error = loop {
                    match running.next_batch().await {
                        Ok(Some(_)) => {}
                        Ok(None) => {
                            // A row behind those that the pushed part of the query reads is never reached.
                            assert_eq!(switch.fired(), 0, "{sql}: `{source}` failed at {point:?} and nobody said so");
                            break None;
                        }
                        Err(error) => break Some(error),
                    }
                };
                let Some(error) = error else {
                    assert!(!matches!(point, RowPoint::Row(0) | RowPoint::End), "{sql}: {point:?} was not reached");
                    continue;
                };
                let place = format!("{sql}: `{source}` at {point:?}: {error}: {:?}", error.detail());
                assert_eq!((error.code(), error.retry(), error.source_name()), (code, retry, Some(*source)), "{place}");
                assert!(error.hint().is_some(), "{place}");
                assert!(!running.receipt().complete, "{place}");
                assert!(running.next_batch().await.unwrap().is_none(), "after an error the query is over: {place}");
                assert!(!running.receipt().complete, "{place}");
            }
        }
        fixture.assert_well(&engine, sql, &wanted).await;
    }
    assert_eq!(engine.reserved_memory_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_full_may_leave_an_error_unseen_and_never_a_row_out() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    let (mut answered, mut failed) = (0, 0);
    for source in ["shop.orders", "lake.visits", "desk.notes"] {
        let sql = format!("SELECT id FROM {source} WHERE md5(cast(id AS varchar)) <> 'x' LIMIT 300");
        let switch = fixture.switch(&source[..4]);
        for row in [0, 1, 299, 300, 301, 1_000, ROWS] {
            switch.set(
                ChaosPlan::default().at_row(RowPoint::Row(row), Fault::Error(ErrorCode::SourceFailed, Retry::Safe)),
            );
            match ask(&engine, &sql).await {
                Ok(answer) => {
                    assert!(row >= 300, "{sql}: there were only {row} rows");
                    assert_eq!(answer.rows(), 300, "{sql}: failed at {row}");
                    answered += 1;
                }
                Err(error) => {
                    assert_eq!((error.code(), switch.fired()), (ErrorCode::SourceFailed, 1), "{sql}: {error}");
                    failed += 1;
                }
            }
        }
        switch.clear();
        assert_eq!(ask(&engine, &sql).await.unwrap().rows(), 300);
    }
    assert!(answered > 0 && failed > 0, "{answered} were answered and {failed} failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_odd_sizes_change_no_answer() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, sources) in SHAPES {
        let wanted = ask(&engine, sql).await.unwrap();
        for seed in 1..=4 {
            sources.iter().for_each(|source| fixture.switch(source).set(ChaosPlan::default().resliced(seed)));
            let answer = ask(&engine, sql).await.unwrap_or_else(|error| panic!("seed {seed}, {sql}: {error}"));
            assert_same(&format!("seed {seed}, {sql}"), &answer, &wanted);
        }
        fixture.assert_well(&engine, sql, &wanted).await;
    }
}

/// Memory, Parquet footers and a described CSV file say how many rows there are. SQLite does not, since others may write
/// between two looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_early_is_found_out_where_the_source_had_counted() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, source) in [
        ("SELECT id, seconds FROM lake.visits", "lake"),
        ("SELECT sum(seconds) AS s FROM lake.visits", "lake"),
        ("SELECT id FROM shop.orders WHERE id NOT IN (SELECT id FROM lake.visits)", "lake"),
        ("SELECT id, name FROM cache.main.customers", "cache"),
        ("SELECT max(name) AS name FROM cache.main.customers", "cache"),
    ] {
        let table = if source == "lake" { "lake.visits" } else { "cache.main.customers" };
        let (_, described) = engine.describe_table(table).await.unwrap();
        assert_eq!(described.statistics.rows, RowCount::Exact(rows_of(source)), "{table}");
        let wanted = ask(&engine, sql).await.unwrap();
        for counted in [Counted::PerScan, Counted::PerStream] {
            for row in [0, 1, 30] {
                let switch = fixture.spoil(source, ChaosPlan::default().cut_at(RowPoint::Row(row)).counted(counted));
                let error = ask(&engine, sql).await.expect_err(sql);
                assert!(switch.fired() > 0);
                let found = (error.code(), error.retry(), error.source_name());
                assert_eq!(found, (ErrorCode::SourceFailed, Retry::Safe, Some(source)), "{sql}: {error}");
                assert!(error.message().contains("where it had counted"), "{error}");
            }
        }
        fixture.assert_well(&engine, sql, &wanted).await;
    }
}

/// Nothing can tell such an end from a true one, so it is the connector that has to know: see `ScanReader::open`.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_early_looks_complete_where_nothing_was_counted() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, source) in [
        ("SELECT id FROM shop.orders", "shop"),
        // The filter goes down into the Parquet reader, which gives fewer rows than it counted.
        ("SELECT id FROM lake.visits WHERE md5(cast(id AS varchar)) <> 'x'", "lake"),
    ] {
        let switch = fixture.spoil(source, ChaosPlan::default().cut_at(RowPoint::Row(700)));
        let answer = ask(&engine, sql).await.unwrap();
        assert_eq!((answer.rows(), switch.fired()), (700, 1), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_source_is_an_internal_error_of_its_query() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, sources) in SHAPES {
        let wanted = ask(&engine, sql).await.unwrap();
        for source in *sources {
            for point in [RowPoint::Row(0), RowPoint::Row(60), RowPoint::End] {
                let switch = fixture.spoil(source, ChaosPlan::default().at_row(point, Fault::Panic));
                let asked = tokio::time::timeout(std::time::Duration::from_secs(10), ask(&engine, sql)).await;
                let outcome = asked.unwrap_or_else(|_| panic!("{sql} hangs after a panic in `{source}` at {point:?}"));
                if switch.fired() == 0 {
                    assert!(matches!(point, RowPoint::Row(60)), "{sql}: {point:?} was not reached");
                    continue;
                }
                let error = outcome.expect_err(sql);
                let found = (error.code(), error.source_name());
                assert_eq!(found, (ErrorCode::Internal, Some(*source)), "{sql} at {point:?}: {error}");
                assert!(error.detail().is_some_and(|detail| detail.contains("injected")), "{:?}", error.detail());
            }
        }
        fixture.assert_well(&engine, sql, &wanted).await;
    }
    assert_eq!(engine.reserved_memory_bytes(), 0);
}

#[tokio::test]
async fn a_panic_in_a_source_is_an_error_on_one_thread_too() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for source in SOURCES {
        let (sql, _) = SHAPES.iter().find(|(_, sources)| *sources == [source]).unwrap();
        fixture.spoil(source, ChaosPlan::default().at_row(RowPoint::Row(60), Fault::Panic));
        assert_eq!(ask(&engine, sql).await.unwrap_err().code(), ErrorCode::Internal, "{sql}");
    }
}
