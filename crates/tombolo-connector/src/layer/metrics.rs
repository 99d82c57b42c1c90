use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::pass_on;
use crate::{
    Connector, PlannedScan, QueryContext, RemoteInfo, Result, Scan, StreamWrapper, TableDescription, TableRef,
    data_bytes,
};

/// What one source has done since the program started. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct SourceMetrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    streams: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

impl SourceMetrics {
    /// Metadata calls made.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Streams opened.
    pub fn streams(&self) -> u64 {
        self.0.streams.load(Ordering::Relaxed)
    }

    /// Rows received.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// Bytes of the values received, as Arrow holds them.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Calls and streams that failed.
    pub fn errors(&self) -> u64 {
        self.0.errors.load(Ordering::Relaxed)
    }

    fn count<T>(&self, result: Result<T>) -> Result<T> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        if result.is_err() {
            self.0.errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

/// Counts calls, rows, bytes and errors of a source.
#[derive(Debug)]
pub struct Metrics {
    inner: Arc<dyn Connector>,
    counters: SourceMetrics,
}

impl Metrics {
    /// Puts the layer around a source.
    pub fn new(inner: Arc<dyn Connector>) -> Self {
        Self { inner, counters: SourceMetrics::default() }
    }

    /// The counters, which outlive the layer.
    pub fn counters(&self) -> SourceMetrics {
        self.counters.clone()
    }
}

#[async_trait]
impl Connector for Metrics {
    pass_on!(inner);

    async fn ping(&self) -> Result<RemoteInfo> {
        self.counters.count(self.inner.ping().await)
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.counters.count(self.inner.list_schemas().await)
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.counters.count(self.inner.list_tables(schema).await)
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.counters.count(self.inner.describe_table(table).await)
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        self.counters.count(self.inner.check_tables(descriptions).await)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let planned = self.counters.count(self.inner.plan_scan(scan, context).await)?;
        Ok(planned.wrapped(Arc::new(self.counters.clone())))
    }
}

impl StreamWrapper for SourceMetrics {
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let counters = self.clone();
        counters.0.streams.fetch_add(1, Ordering::Relaxed);
        let schema = stream.schema();
        let counted = stream.inspect(move |batch| match batch {
            Ok(batch) => {
                counters.0.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                counters.0.bytes.fetch_add(data_bytes(batch), Ordering::Relaxed);
            }
            Err(_) => {
                counters.0.errors.fetch_add(1, Ordering::Relaxed);
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, counted))
    }
}
