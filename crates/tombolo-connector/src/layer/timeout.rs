use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion_common::DataFusionError;
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use tokio::time::{Sleep, sleep};

use super::pass_on;
use crate::{
    Connector, Error, ErrorCode, PlannedScan, QueryContext, RemoteInfo, Result, Scan, StreamWrapper, TableDescription,
    TableRef,
};

/// Bounds every metadata call, and every wait for the next batch of rows.
///
/// The bound on rows is on the source's silence, not on the whole read: a consumer that is slow to ask does not count.
#[derive(Debug)]
pub struct Timeout {
    name: String,
    inner: Arc<dyn Connector>,
    limit: Duration,
}

impl Timeout {
    /// Puts the layer around a source.
    pub fn new(name: &str, inner: Arc<dyn Connector>, limit: Duration) -> Self {
        Self { name: name.to_owned(), inner, limit }
    }

    async fn bound<T>(&self, what: &str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        tokio::time::timeout(self.limit, call).await.unwrap_or_else(|_| Err(timed_out(&self.name, what, self.limit)))
    }
}

fn timed_out(source: &str, what: &str, limit: Duration) -> Error {
    Error::new(ErrorCode::Timeout, format!("source `{source}` did not {what} within {limit:?}"))
        .with_source_name(source)
        .with_hint(format!("Raise it with `tombolo config set sources.{source}.timeout 60s`, or look at the source."))
        .retryable()
}

#[async_trait]
impl Connector for Timeout {
    pass_on!(inner);

    async fn ping(&self) -> Result<RemoteInfo> {
        self.bound("answer", self.inner.ping()).await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.bound("list its schemas", self.inner.list_schemas()).await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.bound("list its tables", self.inner.list_tables(schema)).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.bound("describe a table", self.inner.describe_table(table)).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        tokio::time::timeout(self.limit, self.inner.is_current(description)).await.unwrap_or(false)
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        self.bound("describe its tables", self.inner.check_tables(descriptions)).await
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let planned = self.bound("prepare a scan", self.inner.plan_scan(scan, context)).await?;
        Ok(planned.wrapped(Arc::new(SilenceLimit { name: self.name.clone(), limit: self.limit })))
    }
}

#[derive(Debug)]
struct SilenceLimit {
    name: String,
    limit: Duration,
}

impl StreamWrapper for SilenceLimit {
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(BoundedStream { inner: stream, name: self.name.clone(), limit: self.limit, waiting: None })
    }
}

struct BoundedStream {
    inner: SendableRecordBatchStream,
    name: String,
    limit: Duration,
    /// Runs while the source owes a batch.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Stream for BoundedStream {
    type Item = datafusion_common::Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(item) = self.inner.poll_next_unpin(cx) {
            self.waiting = None;
            return Poll::Ready(item);
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        match waiting.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let error = timed_out(&self.name, "send rows", limit);
                Poll::Ready(Some(Err(DataFusionError::External(Box::new(error)))))
            }
        }
    }
}

impl RecordBatchStream for BoundedStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
