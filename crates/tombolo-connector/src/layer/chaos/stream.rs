use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::RecordBatch;
use datafusion_common::DataFusionError;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use tokio::time::sleep;

use super::{ChaosPlan, ChaosSwitch, Counted, RowAction, RowPoint};
use crate::StreamWrapper;

/// The sizes that batches are cut into: one row, sizes that divide nothing, and whole batches of the engine and of others.
const ODD_SIZES: [usize; 10] = [1, 2, 3, 7, 13, 61, 127, 1023, 1025, 8191];

/// What goes wrong in one scan.
#[derive(Debug)]
pub(super) struct ScanChaos {
    switch: ChaosSwitch,
    plan: Arc<ChaosPlan>,
    number: u64,
    points: Arc<Points>,
    streams: AtomicU64,
}

/// Rows that are counted together, and what happens at which of them.
#[derive(Debug, Default)]
struct Points {
    rows: AtomicU64,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Point {
    /// After how many rows; `None` is at the end.
    row: Option<u64>,
    action: RowAction,
    done: AtomicBool,
}

impl ScanChaos {
    pub(super) fn new(switch: ChaosSwitch, plan: Arc<ChaosPlan>, number: u64) -> Self {
        let points = Arc::new(Points::of(&plan, number));
        Self { switch, plan, number, points, streams: AtomicU64::new(0) }
    }
}

impl StreamWrapper for ScanChaos {
    fn wrap(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let stream_number = self.streams.fetch_add(1, Ordering::AcqRel);
        let points = match self.plan.counted {
            Counted::PerScan => Arc::clone(&self.points),
            Counted::PerStream => Arc::new(Points::of(&self.plan, self.number)),
        };
        let seed = self.plan.reslice.unwrap_or_default();
        let schema = inner.schema();
        let rows = ChaoticRows {
            inner,
            switch: self.switch.clone(),
            plan: Arc::clone(&self.plan),
            points,
            sizes: Random(mixed(seed ^ mixed(self.number) ^ stream_number)),
            waiting: VecDeque::new(),
            is_over: false,
        };
        let stream = stream::unfold(rows, |mut rows| async move { rows.next().await.map(|item| (item, rows)) });
        Box::pin(RecordBatchStreamAdapter::new(schema, stream))
    }
}

impl Points {
    fn of(plan: &ChaosPlan, scan_number: u64) -> Self {
        let row = |point: RowPoint| match point {
            RowPoint::Row(row) => Some(row),
            RowPoint::Seeded { seed, below } => Some(mixed(seed ^ mixed(scan_number)) % below.max(1)),
            RowPoint::End => None,
        };
        let points =
            plan.rows.iter().map(|&(point, action)| Point { row: row(point), action, done: AtomicBool::new(false) });
        Self { rows: AtomicU64::new(0), points: points.collect() }
    }

    /// The next point at or after this row and before the other, that is still to be done.
    fn next_within(&self, from: u64, to: u64) -> Option<(u64, &Point)> {
        let within = self.points.iter().filter_map(|point| Some((point.row?, point)));
        within
            .filter(|(row, point)| (from..to).contains(row) && !point.done.load(Ordering::Acquire))
            .min_by_key(|(row, _)| *row)
    }

    /// A point at the end, where so many rows have come.
    fn at_end(&self) -> Option<&Point> {
        let rows = self.rows.load(Ordering::Acquire);
        let is_here = |point: &&Point| point.row.is_none_or(|row| row == rows) && !point.done.load(Ordering::Acquire);
        self.points.iter().find(is_here)
    }
}

/// One stream's rows on their way through.
struct ChaoticRows {
    inner: SendableRecordBatchStream,
    switch: ChaosSwitch,
    plan: Arc<ChaosPlan>,
    points: Arc<Points>,
    sizes: Random,
    /// Pieces that are still to go out, with the number of their first row where they have been counted.
    waiting: VecDeque<(RecordBatch, Option<u64>)>,
    is_over: bool,
}

impl ChaoticRows {
    async fn next(&mut self) -> Option<Result<RecordBatch, DataFusionError>> {
        loop {
            if self.is_over {
                return None;
            }
            let Some((batch, first)) = self.waiting.pop_front() else {
                if let Some(delay) = self.plan.batch_delay {
                    sleep(delay).await;
                }
                match self.inner.next().await {
                    Some(Ok(batch)) => self.cut_up(batch),
                    Some(Err(error)) => {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                    None => {
                        while let Some(point) = Arc::clone(&self.points).at_end() {
                            if let Some(error) = self.happen(point, "the end").await {
                                return Some(Err(error));
                            }
                        }
                        self.is_over = true;
                    }
                }
                continue;
            };
            let rows = batch.num_rows();
            let first = first.unwrap_or_else(|| self.points.rows.fetch_add(rows as u64, Ordering::AcqRel));
            let points = Arc::clone(&self.points);
            let Some((row, point)) = points.next_within(first, first + rows as u64) else { return Some(Ok(batch)) };
            let before = usize::try_from(row - first).unwrap_or(rows);
            if before > 0 {
                self.waiting.push_front((batch.slice(before, rows - before), Some(row)));
                return Some(Ok(batch.slice(0, before)));
            }
            self.waiting.push_front((batch, Some(first)));
            if let Some(error) = self.happen(point, &format!("row {row}")).await {
                return Some(Err(error));
            }
        }
    }

    /// Lets a point happen, unless another stream of the scan was first.
    async fn happen(&mut self, point: &Point, place: &str) -> Option<DataFusionError> {
        if point.done.swap(true, Ordering::AcqRel) {
            return None;
        }
        match point.action {
            RowAction::Cut => {
                self.switch.0.fired.fetch_add(1, Ordering::AcqRel);
                self.is_over = true;
                None
            }
            RowAction::Fault(fault) => match self.switch.happen(fault, place).await {
                Ok(()) => None,
                Err(error) => {
                    self.is_over = true;
                    Some(error.into())
                }
            },
        }
    }

    fn cut_up(&mut self, batch: RecordBatch) {
        if self.plan.reslice.is_none() {
            self.waiting.push_back((batch, None));
            return;
        }
        let mut from = 0;
        while from < batch.num_rows() {
            let choice = self.sizes.next();
            let size = ODD_SIZES[(choice % ODD_SIZES.len() as u64) as usize].min(batch.num_rows() - from);
            if choice & 0x0100_0000 != 0 {
                self.waiting.push_back((batch.slice(from, 0), None));
            }
            self.waiting.push_back((batch.slice(from, size), None));
            from += size;
        }
        self.waiting.push_back((batch.slice(from, 0), None));
    }
}

/// A repeatable row of numbers.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}

/// The finalizer of [SplitMix64](https://doi.org/10.1145/2660193.2660195): numbers near each other become far from each other.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
