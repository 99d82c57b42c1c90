use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::try_unfold;
use futures::{Stream, StreamExt};
use tokio::sync::OnceCell;
use tombolo_connector::{KeyBatch, PlannedScan, QueryContext, ScanInput, ScanReader};

use super::counted_stream::Dress;
use super::key_range::{self, KeyRange};
use crate::pushdown::SourceScan;

/// What gives a scan its keys when the query runs: one side of a join, to the scan on its other side.
#[async_trait]
pub trait KeySupply: fmt::Debug + Send + Sync {
    /// Waits for the keys, and decides what is asked of the source.
    async fn choose(&self) -> Result<KeyChoice>;

    /// Takes note of what became of the keys, or has become so far.
    fn settle(&self, outcome: KeyOutcome);

    /// Waits for the keys, and says how long it is expected to take to read what is then asked, in milliseconds.
    async fn cost(&self) -> Result<f64>;

    /// Forgets the keys; nobody will ask for them any more.
    fn let_go(&self);

    /// What is known of it so far.
    fn report(&self) -> KeyReport;
}

/// What a source is asked, now that the keys are known.
#[derive(Debug, Clone)]
pub enum KeyChoice {
    /// Everything, as if there were no keys.
    ReadAll {
        /// Why.
        reason: String,
    },
    /// Only rows that are in all of these ranges, where the source takes that and it is expected to send much less; else
    /// everything.
    Ranges {
        /// A range for each column.
        ranges: Vec<KeyRange>,
        /// Why no keys are sent.
        reason: String,
        /// Whether it is done wherever the source takes it.
        always: bool,
    },
    /// Only rows with these keys, a request for each batch. No batch: no row can match.
    Batches {
        /// The batches, no key in two of them.
        batches: Vec<KeyBatch>,
        /// The share of the rows that is expected to match, 0 to 1.
        share: f64,
    },
}

/// What became of the keys for one scan.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyOutcome {
    /// So many requests with keys were sent so far.
    Sent(usize),
    /// Rows from the least key to the greatest were asked for, and no keys sent, for this reason.
    Ranges(String),
    /// The source was read as if there were no keys, for this reason.
    ReadAll(String),
}

/// One shipping of keys, as explain and receipt tell it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyReport {
    /// Where the keys come from.
    pub from: String,
    /// What they are compared with in the source.
    pub to: String,
    /// The same as positions in the scan's output.
    pub columns: Vec<usize>,
    /// Distinct keys that are expected.
    pub estimated_keys: u64,
    /// How long it is expected to take to ship so many keys and read what they find, in milliseconds.
    pub ship_ms: f64,
    /// How long it is expected to take to read everything, in milliseconds.
    pub read_all_ms: f64,
    /// Whether rows are compared with the keys here, as they are read; the times are then those of the work on them.
    pub is_here: bool,
    /// Distinct keys that were collected; `None` before that is done.
    pub keys: Option<u64>,
    /// Requests with keys that were sent; `None` where the source is read without.
    pub batches: Option<usize>,
    /// Why the source was read otherwise than was planned.
    pub reason: Option<String>,
    /// Whether rows from the least key to the greatest were asked for then.
    pub is_range: bool,
    /// Keys whose rows were there already, since they had been asked for before.
    pub answered: u64,
}

/// A scan's reader and what gives it keys; shared by the streams of one scan.
#[derive(Debug)]
pub(super) struct KeyedRead {
    reader: Arc<dyn ScanReader>,
    dress: Dress,
    supplies: Vec<Arc<dyn KeySupply>>,
    plan: RangePlan,
    /// The reader of a range of its rows, where that was chosen.
    ranged: Arc<OnceLock<Arc<dyn ScanReader>>>,
    choice: OnceCell<Chosen>,
    /// The next request that no stream has taken yet.
    next: AtomicUsize,
}

/// What the sub-query is planned with again, for a range of its rows.
#[derive(Debug, Clone)]
pub(super) struct RangePlan {
    pub(super) node: SourceScan,
    pub(super) context: QueryContext,
    /// Rows that are expected without keys.
    pub(super) rows: Option<u64>,
    /// Streams that the scan is read over.
    pub(super) streams: usize,
}

/// What the source is asked: everything, a range of it, or the batches of one of the supplies.
#[derive(Debug)]
enum Chosen {
    ReadAll,
    Range(Arc<dyn ScanReader>, Dress),
    Batches(Arc<dyn KeySupply>, Vec<KeyBatch>),
}

impl KeyedRead {
    pub(super) fn new(
        reader: Arc<dyn ScanReader>,
        dress: Dress,
        supplies: Vec<Arc<dyn KeySupply>>,
        plan: RangePlan,
        ranged: Arc<OnceLock<Arc<dyn ScanReader>>>,
    ) -> Self {
        Self { reader, dress, supplies, plan, ranged, choice: OnceCell::new(), next: AtomicUsize::new(0) }
    }

    /// Several joins may offer keys to one scan; the source is given those that leave the fewest rows.
    async fn choice(&self) -> Result<&Chosen> {
        let choose = || async {
            let mut offers: Vec<(f64, &Arc<dyn KeySupply>, Vec<KeyBatch>)> = Vec::new();
            let mut ranged = Vec::new();
            for supply in &self.supplies {
                match supply.choose().await? {
                    KeyChoice::ReadAll { reason } => supply.settle(KeyOutcome::ReadAll(reason)),
                    KeyChoice::Ranges { ranges, reason, always } => {
                        supply.settle(KeyOutcome::ReadAll(reason.clone()));
                        ranged.push((supply, ranges, reason, always));
                    }
                    KeyChoice::Batches { batches, .. } if !batches.iter().all(|keys| self.reader.takes_keys(keys)) => {
                        supply.settle(KeyOutcome::ReadAll("the source has no literal for some of the keys".to_owned()));
                    }
                    KeyChoice::Batches { batches, share } => offers.push((share, supply, batches)),
                }
            }
            offers.sort_by(|(share, ..), (other, ..)| share.total_cmp(other));
            let mut offers = offers.into_iter();
            let Some((_, supply, batches)) = offers.next() else {
                for (supply, ranges, reason, always) in ranged {
                    if let Some(chosen) = self.range(&ranges, always).await? {
                        supply.settle(KeyOutcome::Ranges(reason));
                        return Ok(chosen);
                    }
                }
                return Ok(Chosen::ReadAll);
            };
            supply.settle(KeyOutcome::Sent(0));
            self.dress.counters.announce(batches.len() * self.reader.key_partitions().max(1));
            self.reader.expect_readings(batches.len().saturating_sub(1));
            let reason = "the keys of another join leave fewer rows";
            offers.for_each(|(_, supply, _)| supply.settle(KeyOutcome::ReadAll(reason.to_owned())));
            Ok(Chosen::Batches(Arc::clone(supply), batches))
        };
        self.choice.get_or_try_init(choose).await
    }

    /// The scan of a range of its rows.
    async fn range(&self, ranges: &[KeyRange], always: bool) -> Result<Option<Chosen>> {
        let RangePlan { node, context, rows, streams } = &self.plan;
        let context = QueryContext { target_partitions: *streams, ..context.clone() };
        let planned = key_range::plan(node, *rows, ranges, &context, always).await?;
        let Some(PlannedScan { input: ScanInput::Reader(reader), wrappers, .. }) = planned else { return Ok(None) };
        // Not all of its rows were counted before.
        let dress = Dress { wrappers, promise: None, ..self.dress.clone() };
        dress.counters.announce(reader.partitions());
        // It is read in place of the other.
        let _ = self.ranged.set(Arc::clone(&reader));
        Ok(Some(Chosen::Range(reader, dress)))
    }

    /// One stream of the scan: of all rows its part, or the rows of the requests that it takes.
    pub(super) fn open(self: Arc<Self>, partition: usize, task: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.dress.schema);
        let state = State { read: self, partition, task, current: None, has_read_all: false };
        Box::pin(RecordBatchStreamAdapter::new(schema, state.batches()))
    }
}

struct State {
    read: Arc<KeyedRead>,
    partition: usize,
    task: Arc<TaskContext>,
    current: Option<SendableRecordBatchStream>,
    has_read_all: bool,
}

impl State {
    fn batches(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        try_unfold(self, |mut state| async move {
            loop {
                if let Some(current) = &mut state.current {
                    match current.next().await {
                        Some(batch) => return Ok(Some((batch?, state))),
                        None => state.current = None,
                    }
                }
                match state.request().await? {
                    Some(stream) => state.current = Some(stream),
                    None => return Ok(None),
                }
            }
        })
    }

    /// Opens the next request, if there is one left.
    async fn request(&mut self) -> Result<Option<SendableRecordBatchStream>> {
        let reader = &self.read.reader;
        let mut dress = &self.read.dress;
        let (opened, promise) = match self.read.choice().await? {
            Chosen::Range(reader, own) => {
                let at = self.read.next.fetch_add(1, Ordering::Relaxed);
                if at >= reader.partitions() {
                    return Ok(None);
                }
                dress = own;
                (reader.open(at, None, &self.task), None)
            }
            Chosen::ReadAll => {
                if std::mem::replace(&mut self.has_read_all, true) || self.partition >= reader.partitions() {
                    return Ok(None);
                }
                (reader.open(self.partition, None, &self.task), dress.promise.clone())
            }
            Chosen::Batches(supply, batches) => {
                let streams = reader.key_partitions().max(1);
                let at = self.read.next.fetch_add(1, Ordering::Relaxed);
                let Some(keys) = batches.get(at / streams) else { return Ok(None) };
                supply.settle(KeyOutcome::Sent(at / streams + 1));
                // How many rows have one of the keys was not counted before.
                (reader.open(at % streams, Some(keys), &self.task), None)
            }
        };
        let opened = opened.map_err(|error| dress.named(error.into()))?;
        Ok(Some(dress.around(opened, promise, self.partition)))
    }
}
