use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::runtime_env::RuntimeEnv;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Capabilities, Error, ErrorCode, KeyBatch, KeySupport, OptionSpec, Options, QueryState, Result, RowCount,
    Scan, ScanOffer, TableDescription, TableRef,
};

/// A kind of source: what it is called, what options it takes, and how to connect to one.
#[async_trait]
pub trait ConnectorFactory: fmt::Debug + Send + Sync {
    /// Name, URL forms and options.
    fn spec(&self) -> &'static ConnectorSpec;

    /// Reads what `connect` was given. `None` says that the text is not of this kind; an error that it is, but wrong.
    fn parse_url(&self, url: &str) -> Option<Result<Options>>;

    /// Opens a source of this kind. The options have been checked against the spec. `name` is the source's name in the
    /// config, for its errors.
    ///
    /// # Errors
    /// [`ErrorCode::SourceUnavailable`] where the source cannot be reached, [`ErrorCode::AuthenticationFailed`] where it
    /// refuses the credentials, [`ErrorCode::ConfigInvalid`] where options contradict each other.
    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>>;
}

/// What is known of a kind of source before one is connected.
#[derive(Debug)]
pub struct ConnectorSpec {
    /// The word in the config, such as `sqlite`.
    pub kind: &'static str,
    /// The name as people write it, such as `SQLite`.
    pub title: &'static str,
    /// What `connect` takes, as examples.
    pub urls: &'static [&'static str],
    /// The options, in the order of the reference.
    pub options: &'static [OptionSpec],
    /// The user's page, in Markdown.
    pub docs: &'static str,
}

/// One configured source, ready to be asked.
///
/// Every method may be called from several tasks at once. Dropping a future or a stream cancels the work behind it in the
/// source itself.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync {
    /// What this source can do.
    fn capabilities(&self) -> &Capabilities;

    /// Asks the source whether it answers, and what it is.
    async fn ping(&self) -> Result<RemoteInfo>;

    /// The schemas; the first is the one that a two-part name means.
    async fn list_schemas(&self) -> Result<Vec<String>>;

    /// The tables and views of one schema, in the source's order.
    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>>;

    /// Columns, keys, indexes and statistics of one table. The names are the source's own, exactly. Where the capabilities have
    /// native queries, the table may be one: its text is then read by the source alone, and nothing that it could say may change
    /// anything there.
    ///
    /// # Errors
    /// [`ErrorCode::TableNotFound`] where there is no such table; what the source says of a native query.
    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription>;

    /// Whether an earlier description still holds, cheaply. The default does not know, and says no.
    async fn is_current(&self, _description: &TableDescription) -> bool {
        false
    }

    /// Makes sure that the tables of a query can be read as they were described. It is asked once for each query, while that is
    /// planned, and has ended before any row is read. The default does nothing, for sources that see it when they prepare or read
    /// a scan.
    ///
    /// # Errors
    /// [`ErrorCode::SchemaChanged`] where one cannot: the source is then described anew, and the query planned once more.
    async fn check_tables(&self, _descriptions: &[Arc<TableDescription>]) -> Result<()> {
        Ok(())
    }

    /// Says of the top operator of `scan`, part by part, whether the source does it. Everything below it was accepted
    /// before. Pure: reaches no source, and gives the same answer each time.
    fn offer(&self, scan: &Scan) -> ScanOffer;

    /// Says whether keys that arrive at run time may be shipped for these output columns of an accepted tree. Pure. The
    /// default takes them wherever the source takes keys at all.
    fn offer_keys(&self, _scan: &Scan, _columns: &[usize]) -> Answer {
        match self.capabilities().keys {
            KeySupport::None => Answer::refused("the source takes no keys at run time"),
            KeySupport::Exact { .. } => Answer::Exact,
        }
    }

    /// What is expected of the size of an accepted tree's answer, from its tables' descriptions. Pure. The default knows the sizes
    /// of whole tables.
    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        match scan {
            Scan::Table(table) => {
                let rows = table.description.statistics.rows.value().map_or(RowCount::Unknown, RowCount::Estimated);
                ScanStatistics { rows, bytes: None }
            }
            Scan::Project { input, .. }
            | Scan::Alias { input, .. }
            | Scan::Window { input, .. }
            | Scan::Sort { input, .. } => self.estimate(input),
            _ => ScanStatistics::default(),
        }
    }

    /// How an index over these columns of a table is made, in the source's own language; `None` where it has none. Pure. It is
    /// shown to people, and never run.
    fn index_advice(&self, _table: &TableRef, _columns: &[&str]) -> Option<String> {
        None
    }

    /// The native form of an accepted tree. Pure.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] where the tree was not accepted.
    fn native_query(&self, scan: &Scan) -> Result<NativeQuery>;

    /// Prepares an accepted tree to be read. May ask the source for metadata, but moves no rows.
    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan>;
}

/// What a source says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoteInfo {
    /// The product as it calls itself.
    pub product: String,
    /// Its version.
    pub version: String,
    /// A further fact or two, such as the file's path and size; never a secret.
    pub detail: Option<String>,
}

/// A sub-query in the source's own language, for `explain` and the receipt. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeQuery {
    /// The language, such as `sql` or `files`.
    pub language: String,
    /// The text.
    pub text: String,
}

/// One query's wishes and limits, as a connector needs them.
#[derive(Clone)]
pub struct QueryContext {
    /// The query's id.
    pub query_id: String,
    /// The user who asks.
    pub user: String,
    /// When the query ends, whether it is done or not.
    pub deadline: Option<Instant>,
    /// Rows in a batch.
    pub batch_size: usize,
    /// How many streams the engine would like to read at once.
    pub target_partitions: usize,
    /// Whether reading is expected to end long before the last row, so that it is the first rows that should come soon.
    pub reads_first_rows: bool,
    /// The engine's memory pool, temporary files and object stores.
    pub runtime: Arc<RuntimeEnv>,
    /// The engine's settings for DataFusion's own readers.
    pub session: SessionConfig,
    /// What connectors keep for the query until it ends.
    pub state: QueryState,
}

impl fmt::Debug for QueryContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryContext").field("query_id", &self.query_id).finish_non_exhaustive()
    }
}

/// An accepted tree, ready to be read.
pub struct PlannedScan {
    /// What the source will be asked.
    pub native: NativeQuery,
    /// Where the rows come from.
    pub input: ScanInput,
    /// What is known of the answer's size.
    pub statistics: ScanStatistics,
    /// What layers put around each stream, the innermost first.
    pub wrappers: Vec<Arc<dyn StreamWrapper>>,
}

/// Where the rows of a planned scan come from.
pub enum ScanInput {
    /// The connector's own reader.
    Reader(Arc<dyn ScanReader>),
    /// An operator of DataFusion's, which keeps its own optimisations.
    Plan(Arc<dyn ExecutionPlan>),
}

/// What is known of a scan's answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStatistics {
    /// The rows that will come.
    pub rows: RowCount,
    /// Their bytes in Arrow.
    pub bytes: Option<u64>,
}

/// Reads a planned scan as one or several streams.
pub trait ScanReader: fmt::Debug + Send + Sync {
    /// The Arrow schema of every batch; equal to the scan's.
    fn schema(&self) -> SchemaRef;

    /// How many streams there are. Their rows together are the answer; only a single one may claim an order.
    fn partitions(&self) -> usize;

    /// What a large table is read by: `4 streams …`, or `one stream, since …`. None where nobody would wonder. Until it is read
    /// this is what is meant; afterwards, what was done.
    fn streams(&self) -> Option<String> {
        None
    }

    /// How many streams together answer one batch of keys; with keys, `open` is asked for these and for no other.
    fn key_partitions(&self) -> usize {
        1
    }

    /// Whether the source can be asked for every one of these keys. Where it cannot, it is read without keys.
    fn takes_keys(&self, _keys: &KeyBatch) -> bool {
        true
    }

    /// Tells that it will be read, or read so many times more. A source that reads all of a query in one snapshot has to know when
    /// there is more than one reading.
    fn expect_readings(&self, _more: usize) {}

    /// Which snapshot was read, where the query reads more than one thing of the source. None before it is read.
    fn snapshot(&self) -> Option<ReadSnapshot> {
        None
    }

    /// Opens one stream. The work begins with the first poll; dropping the stream ends it in the source too.
    ///
    /// A stream that ends without an error says that these were all rows. Only the connector can know that: it has seen the
    /// source's own mark of the end (a last message, a length that was announced before), and where that is missing, as after
    /// a lost connection, the stream ends with an error. The engine compares what came with [`ScanStatistics::rows`] where
    /// those are exact; it has nothing else to go by.
    ///
    /// # Errors
    /// Where the stream cannot even be set up; what the source says later comes through the stream.
    fn open(
        &self,
        partition: usize,
        keys: Option<&KeyBatch>,
        task: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;
}

/// The snapshot that a sub-query was read in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadSnapshot {
    /// One for all sub-queries of the query that have this name, which is the source's own.
    Shared(String),
    /// One of its own, or of each of its requests, though the query reads more of the source; for this reason.
    Own(String),
}

/// What a layer puts around a stream of rows.
pub trait StreamWrapper: fmt::Debug + Send + Sync {
    /// Wraps one partition's stream.
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream;
}

impl PlannedScan {
    /// Adds a layer's wrapper outside those that are there.
    #[must_use]
    pub fn wrapped(mut self, wrapper: Arc<dyn StreamWrapper>) -> Self {
        self.wrappers.push(wrapper);
        self
    }
}

impl fmt::Debug for PlannedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedScan").field("native", &self.native.text).finish_non_exhaustive()
    }
}

impl From<Error> for datafusion_common::DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

/// Finds Tombolo's own error inside one that went through DataFusion, so that its code and hint are not lost.
pub fn tombolo_error_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl Error {
    /// Makes the error for a table that its source does not have.
    pub fn table_not_found(table: &TableRef, known: &[TableRef]) -> Self {
        let error = Self::new(ErrorCode::TableNotFound, format!("table `{table}` does not exist"));
        match crate::nearest_name(&table.table, known.iter().map(|known| known.table.as_str())) {
            Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
            None => error,
        }
    }
}
