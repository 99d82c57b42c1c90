use std::sync::Arc;

use datafusion::common::DFSchema;
use tombolo_connector::{
    RowCount, Scan, ScanAggregate, ScanStatistics, ScanTable, TableDescription, TableKind, TableRef,
};

use super::work::HereCost;
use super::{MOST_SAMPLES, Observed, WholeRead};
use crate::cost::Speed;

fn table() -> Scan {
    let description = TableDescription::new(TableRef::new("main", "t"), TableKind::Table, Vec::new());
    let schema = Arc::new(DFSchema::empty());
    Scan::Table(ScanTable { description: Arc::new(description), columns: Vec::new(), schema })
}

fn estimated(rows: u64) -> ScanStatistics {
    ScanStatistics { rows: RowCount::Estimated(rows), bytes: Some(rows * 10) }
}

fn read(scan: &Scan, estimate: ScanStatistics, rows: u64, first_row_ms: f64, reading_ms: f64) -> WholeRead<'_> {
    let first_row_ms = Some(first_row_ms);
    WholeRead { scan, estimate, rows, bytes: rows * 10, is_direct: true, first_row_ms, reading_ms }
}

fn observed() -> Observed {
    Observed::new(None, "s", String::new())
}

#[test]
fn an_estimate_is_corrected_by_as_much_as_it_was_wrong() {
    let (observed, scan) = (observed(), table());
    assert_eq!(observed.corrected(&scan, estimated(1000)), estimated(1000));
    assert!(observed.note(&read(&scan, estimated(1000), 50, 1.0, 1.0)));
    assert_eq!(observed.corrected(&scan, estimated(1000)), estimated(50));
    // The table has grown since.
    assert_eq!(observed.corrected(&scan, estimated(4000)), estimated(200));
    // What is counted is right.
    let exact = ScanStatistics { rows: RowCount::Exact(7), bytes: None };
    assert_eq!(observed.corrected(&scan, exact), exact);
    // Where the source knows better by now, nothing is remembered.
    observed.note(&read(&scan, estimated(51), 50, 1.0, 1.0));
    assert_eq!(observed.corrected(&scan, estimated(51)), estimated(51));
}

#[test]
fn rows_of_a_sub_query_of_unknown_size_are_those_that_came() {
    let (observed, scan) = (observed(), table());
    let unknown = ScanStatistics::default();
    observed.note(&read(&scan, unknown, 50, 1.0, 1.0));
    assert_eq!(observed.corrected(&scan, unknown).rows, RowCount::Estimated(50));
}

#[test]
fn a_source_that_is_far_and_slow_is_known_to_be_so_after_a_few_reads() {
    let (observed, scan) = (observed(), table());
    let rows = 100_000;
    let expected = crate::cost::moved(rows as f64, Some(10.0));
    let far = |first_row_ms: f64| read(&scan, estimated(rows), rows, first_row_ms, first_row_ms + 20.0 * expected);
    observed.note(&far(80.0));
    observed.note(&far(40.0));
    assert_eq!(observed.speed(), Speed::default());
    observed.note(&far(60.0));
    let speed = observed.speed();
    assert_eq!(speed.request_ms, 40.0);
    assert!((speed.slowness - 20.0).abs() < 0.01, "{speed:?}");
    // It is forgotten when the source is no longer so.
    (0..MOST_SAMPLES).for_each(|_| {
        observed.note(&read(&scan, estimated(rows), rows, 1.0, 1.0 + expected));
    });
    assert_eq!(observed.speed(), Speed::default());
}

#[test]
fn a_moment_of_a_busy_machine_says_nothing() {
    let (observed, scan) = (observed(), table());
    for first_row_ms in [90.0, 80.0, 2.0, 70.0] {
        observed.note(&read(&scan, estimated(10), 10, first_row_ms, 500.0));
    }
    assert_eq!(observed.speed(), Speed::default());
}

/// One group of all rows of a table, below a limit.
fn counted() -> (Scan, Scan) {
    let schema = Arc::new(DFSchema::empty());
    let (group, aggregates) = (Vec::new(), Vec::new());
    let work = Scan::Aggregate(ScanAggregate { input: Arc::new(table()), group, aggregates, schema });
    (Scan::Limit { input: Arc::new(work.clone()), skip: 0, fetch: Some(1) }, work)
}

const HERE: HereCost = HereCost { ms: 100.0, bytes: 1000 };

#[test]
fn work_is_slow_when_its_source_was_clearly_slower_twice() {
    let (observed, (scan, work)) = (observed(), counted());
    assert!(observed.note_work(&scan, 900.0, HERE));
    assert_eq!(observed.slow_work(&work, u64::MAX), None);
    assert!(observed.note_work(&scan, 1000.0, HERE));
    let slow = observed.slow_work(&work, u64::MAX).unwrap();
    assert_eq!((slow.source_ms, slow.here_ms), (900.0, 100.0));
    // What does not fit into the memory is left to its source, and other work is other work.
    assert_eq!(observed.slow_work(&work, 999), None);
    assert_eq!(observed.slow_work(&table(), u64::MAX), None);
    // Once it was quick it is not slow: it was the machine that was busy.
    assert!(observed.note_work(&scan, 300.0, HERE));
    assert_eq!(observed.slow_work(&work, u64::MAX), None);
}

#[test]
fn work_that_was_seen_to_be_slower_here_is_left_to_its_source() {
    let (observed, (scan, work)) = (observed(), counted());
    observed.note_work(&scan, 900.0, HERE);
    observed.note_work(&scan, 900.0, HERE);
    let slow = observed.slow_work(&work, u64::MAX).unwrap();
    assert!(observed.note_work_here(&slow.hash, HereCost { ms: 800.0, bytes: 1000 }));
    assert_eq!(observed.slow_work(&work, u64::MAX), None);
    // What is expected counts no longer.
    observed.note_work(&scan, 900.0, HERE);
    assert_eq!(observed.slow_work(&work, u64::MAX), None);
}
