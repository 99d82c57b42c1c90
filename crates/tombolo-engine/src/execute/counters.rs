use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

/// What one sub-query has delivered so far. Counted by all of its streams, read by progress and receipt.
#[derive(Debug, Default)]
pub struct ScanCounters {
    rows: AtomicU64,
    bytes: AtomicU64,
    batches: AtomicU64,
    announced: AtomicUsize,
    opened: AtomicUsize,
    finished: AtomicUsize,
    failed: AtomicUsize,
    started: OnceLock<(Instant, DateTime<Utc>)>,
    /// Nanoseconds from the start to the first row, plus one; 0 is none yet.
    first_row: AtomicU64,
    /// Nanoseconds from the start to the last event.
    last_event: AtomicU64,
    /// Nanoseconds in which streams waited for the source or decoded its rows, of all streams together.
    reading: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanSnapshot {
    /// Rows delivered.
    pub rows: u64,
    /// Bytes of the values delivered, as Arrow holds them.
    pub bytes: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Streams that are known to be needed before they are opened: requests with keys.
    pub announced: usize,
    /// Streams opened.
    pub opened: usize,
    /// Streams read to their end.
    pub finished: usize,
    /// Streams that ended with an error.
    pub failed: usize,
    /// When the first stream was opened.
    pub started_at: Option<DateTime<Utc>>,
    /// From then to the first row.
    pub first_row_ms: Option<f64>,
    /// From then to the last batch, end or error seen.
    pub elapsed_ms: Option<f64>,
    /// The time in which streams waited for the source or decoded its rows, of all streams together; without that in which
    /// nobody wanted rows.
    pub reading_ms: f64,
}

impl ScanCounters {
    /// Makes counters at zero.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn announce(&self, streams: usize) {
        self.announced.fetch_add(streams, Ordering::Relaxed);
    }

    pub(super) fn open(&self) {
        self.started.get_or_init(|| (Instant::now(), Utc::now()));
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a batch, and says how many bytes it has.
    pub(super) fn batch(&self, batch: &RecordBatch) -> u64 {
        let now = self.now();
        if batch.num_rows() > 0 {
            let _ = self.first_row.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        let bytes = tombolo_connector::data_bytes(batch);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.last_event.fetch_max(now, Ordering::Relaxed);
        bytes
    }

    pub(super) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.last_event.fetch_max(self.now(), Ordering::Relaxed);
    }

    /// Counts time in which a stream waited or decoded.
    pub(super) fn read_for(&self, time: Duration) {
        self.reading.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.last_event.fetch_max(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        let elapsed = self.started.get().map_or(0, |(start, _)| start.elapsed().as_nanos());
        u64::try_from(elapsed).unwrap_or(u64::MAX - 1)
    }

    /// Reads all counters.
    pub fn snapshot(&self) -> ScanSnapshot {
        let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let first_row = self.first_row.load(Ordering::Relaxed);
        ScanSnapshot {
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            announced: self.announced.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
            finished: self.finished.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            started_at: self.started.get().map(|(_, at)| *at),
            first_row_ms: first_row.checked_sub(1).map(milliseconds),
            elapsed_ms: self.started.get().map(|_| milliseconds(self.last_event.load(Ordering::Relaxed))),
            reading_ms: milliseconds(self.reading.load(Ordering::Relaxed)),
        }
    }
}
