use std::sync::Arc;

use async_trait::async_trait;
use datafusion_common::DataFusionError;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::pass_on;
use crate::{
    Connector, Error, PlannedScan, QueryContext, RemoteInfo, Result, Scan, StreamWrapper, TableDescription, TableRef,
};

/// Bounds how many streams and metadata calls a source serves at once; what is over the bound waits.
///
/// A stream holds its place from its first poll until it ends or is dropped. An operator that reads one of two inputs of
/// the same source to its end before it begins the other holds one place at a time; one that must read both side by side
/// could wait for ever on a bound of one, so a bound below two is taken as two.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    inner: Arc<dyn Connector>,
    calls: Semaphore,
    streams: Arc<Semaphore>,
}

impl ConcurrencyLimit {
    /// Puts the layer around a source.
    pub fn new(inner: Arc<dyn Connector>, limit: usize) -> Self {
        let limit = limit.max(2);
        Self { inner, calls: Semaphore::new(limit), streams: Arc::new(Semaphore::new(limit)) }
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

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let _place = self.place().await?;
        let planned = self.inner.plan_scan(scan, context).await?;
        Ok(planned.wrapped(Arc::new(StreamPlaces(Arc::clone(&self.streams)))))
    }
}

#[derive(Debug)]
struct StreamPlaces(Arc<Semaphore>);

impl StreamWrapper for StreamPlaces {
    fn wrap(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let places = Arc::clone(&self.0);
        let schema = inner.schema();
        let held = stream::once(async move {
            match places.acquire_owned().await {
                // The permit lives as long as the stream that the closure owns.
                Ok(permit) => inner
                    .map(move |batch| {
                        let _place = &permit;
                        batch
                    })
                    .boxed(),
                Err(_) => {
                    stream::iter([Err(DataFusionError::Internal("the concurrency limit was closed".into()))]).boxed()
                }
            }
        })
        .flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, held))
    }
}
