use std::time::{Duration, Instant};

use tombolo_connector::layer::{Call, ChaosPlan, Fault};
use tombolo_connector::{Error, Retry};
use tombolo_engine::ErrorCode;
use tombolo_testkit::ask;

use super::Fixture;

const SQL: &str =
    "SELECT c.name, o.amount, v.seconds FROM shop.orders o JOIN cache.main.customers c ON c.id = o.customer
                   JOIN lake.visits v ON v.id = o.id JOIN desk.notes n ON n.id = v.id";

/// Lets a fault happen at every call that the query makes of any source, each time in a new engine, and gives what the query
/// says.
async fn at_every_call(fault: Fault, check: impl Fn(&str, Call, Error, Duration)) {
    let fixture = Fixture::new().await;
    let mut tried = 0;
    for (source, switch) in &fixture.switches {
        switch.clear();
        let wanted = ask(&fixture.engine(), SQL).await.unwrap();
        let made = Call::ALL.map(|call| (call, switch.calls(call)));
        for (call, nth) in made.into_iter().flat_map(|(call, made)| (1..=made).map(move |nth| (call, nth))) {
            let engine = fixture.engine();
            switch.set(ChaosPlan::default().on_call(call, nth, fault));
            let begun = Instant::now();
            let error = ask(&engine, SQL).await.expect_err("a call failed");
            assert_eq!(switch.fired(), 1, "{source}: call {nth} of {call:?}");
            check(source, call, error, begun.elapsed());
            fixture.assert_well(&engine, SQL, &wanted).await;
            tried += 1;
        }
    }
    // Each of the sources is connected, asked for its tables' descriptions, and scanned.
    assert!(tried >= 12, "only {tried} calls were made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_any_call_is_the_query_s_error_and_is_not_remembered() {
    at_every_call(Fault::Error(ErrorCode::PermissionDenied, Retry::Safe), |source, call, error, _| {
        let found = (error.code(), error.retry(), error.source_name());
        assert_eq!(found, (ErrorCode::PermissionDenied, Retry::Safe, Some(source)), "{call:?}: {error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_answers_is_a_timeout_that_names_the_source() {
    at_every_call(Fault::Stall(None), |source, call, error, took| {
        assert_eq!((error.code(), error.source_name()), (ErrorCode::Timeout, Some(source)), "{call:?}: {error}");
        assert!(took < Duration::from_secs(3), "{call:?} took {took:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_call_is_an_internal_error() {
    at_every_call(Fault::Panic, |source, call, error, _| {
        assert_eq!(error.code(), ErrorCode::Internal, "{source}, {call:?}: {error}");
        assert!(error.detail().is_some_and(|detail| detail.contains("injected")), "{:?}", error.detail());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_calls_and_batches_change_nothing() {
    let fixture = Fixture::new().await;
    let wanted = ask(&fixture.engine(), SQL).await.unwrap();
    let slow = ChaosPlan::default()
        .with_call_delay(Duration::from_millis(20))
        .with_batch_delay(Duration::from_millis(2))
        .resliced(3);
    fixture.switches.iter().for_each(|(_, switch)| switch.set(slow.clone()));
    super::assert_same(SQL, &ask(&fixture.engine(), SQL).await.unwrap(), &wanted);
}
