use std::time::{Duration, Instant};

use tombolo_connector::Retry;
use tombolo_connector::layer::{ChaosPlan, Fault, RowPoint};
use tombolo_engine::{ErrorCode, QueryOptions};
use tombolo_testkit::ask;

use super::{Fixture, SHAPES, SOURCE_LIMIT};

/// What may come on top of a time limit, on a machine that does other things too.
const GRACE: Duration = Duration::from_millis(1500);

fn stalled(row: u64) -> ChaosPlan {
    ChaosPlan::default().at_row(RowPoint::Row(row), Fault::Stall(None))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_is_a_timeout_of_that_source() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, sources) in SHAPES.iter().step_by(3) {
        let wanted = ask(&engine, sql).await.unwrap();
        for source in *sources {
            fixture.spoil(source, stalled(50));
            let begun = Instant::now();
            let error = ask(&engine, sql).await.expect_err(sql);
            let found = (error.code(), error.retry(), error.source_name());
            assert_eq!(found, (ErrorCode::Timeout, Retry::Safe, Some(*source)), "{sql}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains(source)), "{:?}", error.hint());
            assert!(begun.elapsed() < SOURCE_LIMIT + GRACE, "{sql} took {:?}", begun.elapsed());
        }
        fixture.assert_well(&engine, sql, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_s_own_limit_ends_it_while_a_source_is_silent() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    let limit = Duration::from_millis(150);
    for (sql, sources) in SHAPES {
        let wanted = ask(&engine, sql).await.unwrap();
        let source = sources[0];
        fixture.spoil(source, stalled(50));
        let begun = Instant::now();
        let options = QueryOptions { timeout: Some(limit), ..QueryOptions::default() };
        let outcome = async {
            let mut running = engine.query(sql, options).await?;
            while running.next_batch().await?.is_some() {}
            Ok::<_, tombolo_engine::Error>(())
        };
        let error = outcome.await.expect_err(sql);
        assert_eq!(error.code(), ErrorCode::Timeout, "{sql}: {error}");
        assert!(error.message().contains("the query took longer"), "{sql}: {error}");
        assert!(begun.elapsed() < limit + GRACE, "{sql} took {:?}", begun.elapsed());
        fixture.assert_well(&engine, sql, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_dropped_while_a_source_is_silent_ends_at_once() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    for (sql, sources) in SHAPES {
        let wanted = ask(&engine, sql).await.unwrap();
        fixture.spoil(sources[0], stalled(50));
        let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), async {
            while running.next_batch().await.unwrap().is_some() {}
        });
        assert!(waited.await.is_err(), "{sql} ended though `{}` is silent", sources[0]);
        let begun = Instant::now();
        drop(running);
        assert!(begun.elapsed() < Duration::from_secs(1), "{sql}: dropping it took {:?}", begun.elapsed());
        fixture.assert_well(&engine, sql, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_silent_for_less_than_its_limit_is_waited_for() {
    let fixture = Fixture::new().await;
    let engine = fixture.engine();
    let (sql, sources) = SHAPES[5];
    let wanted = ask(&engine, sql).await.unwrap();
    for source in sources {
        let pause = Fault::Stall(Some(SOURCE_LIMIT / 3));
        fixture.switch(source).set(ChaosPlan::default().at_row(RowPoint::Row(50), pause));
    }
    super::assert_same(sql, &ask(&engine, sql).await.unwrap(), &wanted);
    sources.iter().for_each(|source| assert_eq!(fixture.switch(source).fired(), 1, "{source}"));
}
