use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::try_unfold;
use futures::{Stream, StreamExt};
use tokio::sync::OnceCell;
use tombolo_connector::{KeyBatch, ScanReader};

use super::counted_stream::Dress;

/// What gives a scan its keys when the query runs: one side of a join, to the scan on its other side.
#[async_trait]
pub trait KeySupply: fmt::Debug + Send + Sync {
    /// Waits for the keys, and decides what is asked of the source.
    async fn choose(&self) -> Result<KeyChoice>;

    /// Takes note of what becomes of batches: how many of them are sent so far, or why they are not.
    fn settle(&self, outcome: std::result::Result<usize, &str>);

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
    ReadAll,
    /// Only rows with these keys, a request for each batch. No batch: no row can match.
    Batches {
        /// The batches, no key in two of them.
        batches: Vec<KeyBatch>,
        /// The share of the rows that is expected to match, 0 to 1.
        share: f64,
    },
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
    /// Keys whose rows were there already, since they had been asked for before.
    pub answered: u64,
}

/// A scan's reader and what gives it keys; shared by the streams of one scan.
#[derive(Debug)]
pub(super) struct KeyedRead {
    reader: Arc<dyn ScanReader>,
    dress: Dress,
    supplies: Vec<Arc<dyn KeySupply>>,
    choice: OnceCell<Chosen>,
    /// The next request that no stream has taken yet.
    next: AtomicUsize,
}

/// What the source is asked: everything, or the batches of one of the supplies.
#[derive(Debug)]
enum Chosen {
    ReadAll,
    Batches(Arc<dyn KeySupply>, Vec<KeyBatch>),
}

impl KeyedRead {
    pub(super) fn new(reader: Arc<dyn ScanReader>, dress: Dress, supplies: Vec<Arc<dyn KeySupply>>) -> Self {
        Self { reader, dress, supplies, choice: OnceCell::new(), next: AtomicUsize::new(0) }
    }

    /// Several joins may offer keys to one scan; the source is given those that leave the fewest rows.
    async fn choice(&self) -> Result<&Chosen> {
        let choose = || async {
            let mut offers: Vec<(f64, &Arc<dyn KeySupply>, Vec<KeyBatch>)> = Vec::new();
            for supply in &self.supplies {
                match supply.choose().await? {
                    KeyChoice::ReadAll => {}
                    KeyChoice::Batches { batches, .. } if !batches.iter().all(|keys| self.reader.takes_keys(keys)) => {
                        supply.settle(Err("the source has no literal for some of the keys"));
                    }
                    KeyChoice::Batches { batches, share } => offers.push((share, supply, batches)),
                }
            }
            offers.sort_by(|(share, ..), (other, ..)| share.total_cmp(other));
            let mut offers = offers.into_iter();
            let Some((_, supply, batches)) = offers.next() else { return Ok(Chosen::ReadAll) };
            supply.settle(Ok(0));
            self.dress.counters.announce(batches.len() * self.reader.key_partitions().max(1));
            offers.for_each(|(_, supply, _)| supply.settle(Err("the keys of another join leave fewer rows")));
            Ok(Chosen::Batches(Arc::clone(supply), batches))
        };
        self.choice.get_or_try_init(choose).await
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
        let dress = &self.read.dress;
        let (opened, promise) = match self.read.choice().await? {
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
                supply.settle(Ok(at / streams + 1));
                // How many rows have one of the keys was not counted before.
                (reader.open(at % streams, Some(keys), &self.task), None)
            }
        };
        let opened = opened.map_err(|error| dress.named(error.into()))?;
        Ok(Some(dress.around(opened, promise, self.partition)))
    }
}
