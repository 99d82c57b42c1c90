use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion_common::DataFusionError;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::pass_on;
use crate::{
    Connector, Error, ErrorCode, PlannedScan, QueryContext, RemoteInfo, Result, Scan, StreamWrapper, TableDescription,
    TableRef,
};

/// Bounds how many streams and metadata calls a source serves at once; what is over the bound waits.
///
/// A stream holds its place from its first poll until it ends or is dropped. A plan that merges more streams of one source
/// side by side than there are places cannot go on: none of those that hold a place ends before the others begin. So a wait
/// has an end, after which the query fails with [`ErrorCode::SourceBusy`]; and a bound below two is taken as two.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    inner: Arc<dyn Connector>,
    calls: Semaphore,
    streams: Arc<Semaphore>,
    patience: Duration,
}

impl ConcurrencyLimit {
    /// Puts the layer around a source. `patience` is the longest that a stream waits for its place.
    pub fn new(inner: Arc<dyn Connector>, limit: usize, patience: Duration) -> Self {
        let limit = limit.max(2);
        Self { inner, calls: Semaphore::new(limit), streams: Arc::new(Semaphore::new(limit)), patience }
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        self.calls.acquire().await.map_err(|_| Error::internal("the concurrency limit was closed"))
    }
}

#[async_trait]
impl Connector for ConcurrencyLimit {
    pass_on!(inner);

    async fn ping(&self) -> Result<RemoteInfo> {
        let _place = self.place().await?;
        self.inner.ping().await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        let _place = self.place().await?;
        self.inner.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        let _place = self.place().await?;
        self.inner.list_tables(schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        let _place = self.place().await?;
        self.inner.describe_table(table).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        let _place = self.place().await?;
        self.inner.check_tables(descriptions).await
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let _place = self.place().await?;
        let planned = self.inner.plan_scan(scan, context).await?;
        let places = Arc::clone(&self.streams);
        Ok(planned.wrapped(Arc::new(StreamPlaces { places, patience: self.patience })))
    }
}

#[derive(Debug)]
struct StreamPlaces {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl StreamWrapper for StreamPlaces {
    fn wrap(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (places, patience) = (Arc::clone(&self.places), self.patience);
        let schema = inner.schema();
        let held = stream::once(async move {
            match tokio::time::timeout(patience, places.acquire_owned()).await {
                // The permit lives as long as the stream that the closure owns.
                Ok(Ok(permit)) => inner
                    .map(move |batch| {
                        let _place = &permit;
                        batch
                    })
                    .boxed(),
                Ok(Err(_)) => failed(Error::internal("the concurrency limit was closed")),
                Err(_) => failed(
                    Error::new(ErrorCode::SourceBusy, format!("no place was free at the source within {patience:?}"))
                        .with_hint("Raise `max_concurrency` of the source, or run fewer queries at once.")
                        .retryable(),
                ),
            }
        })
        .flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, held))
    }
}

fn failed(error: Error) -> BoxStream<'static, datafusion_common::Result<RecordBatch>> {
    stream::iter([Err(DataFusionError::from(error))]).boxed()
}
