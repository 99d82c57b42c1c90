use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion_common::DataFusionError;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt, stream};

use super::stream::ScanChaos;
use super::{Call, ChaosPlan, ChaosSwitch, Counted, Fault, RowPoint};
use crate::{ErrorCode, Retry, StreamWrapper, tombolo_error_in};

const ROWS: i64 = 10_000;

/// Two batches of rows that count up.
fn numbers() -> SendableRecordBatchStream {
    let batch = |from: i64, to: i64| {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
        RecordBatch::try_from_iter([("n", values)]).unwrap()
    };
    let batches = [batch(0, ROWS / 2), batch(ROWS / 2, ROWS)];
    let schema = batches[0].schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches.map(Ok))))
}

fn scan(plan: ChaosPlan) -> (ChaosSwitch, ScanChaos) {
    let switch = ChaosSwitch::new(plan);
    let scan = ScanChaos::new(switch.clone(), switch.plan(), 0);
    (switch, scan)
}

/// The rows until the end or an error, the sizes of their batches, and the error.
async fn read(mut stream: SendableRecordBatchStream) -> (Vec<i64>, Vec<usize>, Option<DataFusionError>) {
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => {
                sizes.push(batch.num_rows());
                rows.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
            }
            Err(error) => {
                assert!(stream.next().await.is_none(), "after an error there is nothing");
                return (rows, sizes, Some(error));
            }
        }
    }
    (rows, sizes, None)
}

#[tokio::test]
async fn an_error_comes_after_exactly_so_many_rows() {
    for row in [0, 1, 4_999, 5_000, 5_001, 9_999, 10_000] {
        let fault = Fault::Error(ErrorCode::SourceBusy, Retry::Safe);
        let (switch, scan) = scan(ChaosPlan::default().at_row(RowPoint::Row(row), fault));
        let (rows, _, error) = read(scan.wrap(numbers())).await;
        assert!(rows.iter().copied().eq(0..row.cast_signed()), "row {row}");
        let error = error.unwrap();
        let error = tombolo_error_in(&error).unwrap();
        assert_eq!((error.code(), error.retry()), (ErrorCode::SourceBusy, Retry::Safe));
        assert_eq!(switch.fired(), 1);
    }
}

#[tokio::test]
async fn a_point_behind_the_last_row_is_never_reached() {
    let (switch, scan) = scan(ChaosPlan::default().cut_at(RowPoint::Row(10_001)));
    let (rows, _, error) = read(scan.wrap(numbers())).await;
    assert!(error.is_none());
    assert_eq!((rows.len(), switch.fired()), (10_000, 0));
}

#[tokio::test]
async fn a_cut_looks_like_an_end() {
    for (point, left) in [(RowPoint::Row(0), 0), (RowPoint::Row(7_000), 7_000), (RowPoint::End, ROWS)] {
        let (switch, scan) = scan(ChaosPlan::default().cut_at(point));
        let (rows, _, error) = read(scan.wrap(numbers())).await;
        assert!(error.is_none());
        assert!(rows.into_iter().eq(0..left), "{point:?}");
        assert_eq!(switch.fired(), 1);
    }
}

#[tokio::test]
async fn odd_slices_and_empty_batches_change_no_row() {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let (_, scan) = scan(ChaosPlan::default().resliced(seed));
        let (rows, sizes, error) = read(scan.wrap(numbers())).await;
        assert!(error.is_none());
        assert!(rows.into_iter().eq(0..ROWS), "seed {seed}");
        assert!(sizes.len() > 2, "seed {seed} cut nothing");
        assert!(sizes.contains(&0), "seed {seed} gave no empty batch");
        assert!(!seen.contains(&sizes), "seed {seed} cut as another one did");
        seen.push(sizes);
    }
}

#[tokio::test]
async fn a_fault_is_counted_over_a_scan_or_over_each_stream() {
    let plan = ChaosPlan::default().cut_at(RowPoint::Row(4_000));
    for (counted, fired, rows) in [(Counted::PerScan, 1, 14_000), (Counted::PerStream, 2, 8_000)] {
        let (switch, scan) = scan(plan.clone().counted(counted));
        let (first, second) = (read(scan.wrap(numbers())).await, read(scan.wrap(numbers())).await);
        assert_eq!(switch.fired(), fired, "{counted:?}");
        assert_eq!(first.0.len() + second.0.len(), rows, "{counted:?}");
    }
}

#[tokio::test]
async fn a_seed_chooses_the_same_row_each_time_and_other_rows_in_other_scans() {
    let plan = ChaosPlan::default().cut_at(RowPoint::Seeded { seed: 7, below: ROWS.cast_unsigned() });
    let mut lengths = Vec::new();
    for number in [0, 1, 2, 0] {
        let switch = ChaosSwitch::new(plan.clone());
        let scan = ScanChaos::new(switch.clone(), switch.plan(), number);
        lengths.push(read(scan.wrap(numbers())).await.0.len());
    }
    assert_eq!(lengths[0], lengths[3]);
    assert!(lengths[0] != lengths[1] && lengths[1] != lengths[2], "{lengths:?}");
}

#[tokio::test]
async fn a_stall_ends_after_its_time_or_never() {
    let stall = |duration| ChaosPlan::default().at_row(RowPoint::Row(5_500), Fault::Stall(duration));
    let short = Duration::from_millis(50);
    let begun = std::time::Instant::now();
    let (_, waits) = scan(stall(Some(short)));
    let (rows, _, error) = read(waits.wrap(numbers())).await;
    assert!(error.is_none() && rows.into_iter().eq(0..ROWS), "after the stall the rows go on");
    assert!(begun.elapsed() >= short);
    let (switch, hangs) = scan(stall(None));
    assert!(tokio::time::timeout(4 * short, read(hangs.wrap(numbers()))).await.is_err());
    assert_eq!(switch.fired(), 1);
}

#[tokio::test]
async fn a_panic_is_a_panic() {
    let (_, scan) = scan(ChaosPlan::default().at_row(RowPoint::Row(3), Fault::Panic));
    let read = std::panic::AssertUnwindSafe(read(scan.wrap(numbers())));
    assert!(read.catch_unwind().await.is_err());
}

#[tokio::test]
async fn the_nth_call_of_a_kind_fails_and_no_other() {
    let fault = Fault::Error(ErrorCode::SourceUnavailable, Retry::Safe);
    let switch = ChaosSwitch::new(ChaosPlan::default().on_call(Call::DescribeTable, 2, fault));
    for call in Call::ALL.into_iter().filter(|call| *call != Call::DescribeTable) {
        for _ in 0..3 {
            switch.before(call).await.unwrap();
        }
    }
    switch.before(Call::DescribeTable).await.unwrap();
    let error = switch.before(Call::DescribeTable).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    switch.before(Call::DescribeTable).await.unwrap();
    assert_eq!((switch.fired(), switch.calls(Call::DescribeTable), switch.calls(Call::Ping)), (1, 3, 3));
    switch.clear();
    assert_eq!((switch.fired(), switch.calls(Call::DescribeTable)), (0, 0));
}
