use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use tombolo_connector::StreamWrapper;

use super::budget::Budget;
use super::counters::ScanCounters;
use super::panics::CaughtPanics;
use super::promise::RowPromise;
use crate::error::from_datafusion;

/// What is put around each stream of a sub-query, and what they share.
#[derive(Debug, Clone)]
pub(super) struct Dress {
    pub(super) source: String,
    pub(super) schema: SchemaRef,
    pub(super) wrappers: Vec<Arc<dyn StreamWrapper>>,
    pub(super) counters: Arc<ScanCounters>,
    /// How many rows there are, where that was counted and all are read.
    pub(super) promise: Option<Arc<RowPromise>>,
    /// What may come.
    pub(super) budgets: Vec<Arc<Budget>>,
}

impl Dress {
    pub(super) fn around(
        &self,
        stream: SendableRecordBatchStream,
        promise: Option<Arc<RowPromise>>,
        partition: usize,
    ) -> SendableRecordBatchStream {
        let inner = self.wrappers.iter().fold(stream, |stream, wrapper| wrapper.wrap(stream));
        Box::pin(CountedStream {
            inner: CaughtPanics::around(inner, format!("the code that reads source `{}`", self.source)),
            schema: Arc::clone(&self.schema),
            counters: Arc::clone(&self.counters),
            source: self.source.clone(),
            promise,
            budgets: self.budgets.clone(),
            partition,
            is_opened: false,
            is_ended: false,
            rows: 0,
            reading_since: None,
        })
    }

    /// An error with the name of the source.
    pub(super) fn named(&self, error: DataFusionError) -> DataFusionError {
        named(error, &self.source)
    }
}

/// One stream of a sub-query: counts what goes by, gives each batch the names and nullability of the plan, and names the source
/// in every error.
struct CountedStream {
    inner: CaughtPanics,
    schema: SchemaRef,
    counters: Arc<ScanCounters>,
    source: String,
    promise: Option<Arc<RowPromise>>,
    budgets: Vec<Arc<Budget>>,
    partition: usize,
    is_opened: bool,
    is_ended: bool,
    rows: u64,
    /// When it began to wait for the next batch, or to decode it.
    reading_since: Option<Instant>,
}

impl CountedStream {
    fn end(&mut self) -> Option<Result<RecordBatch>> {
        if std::mem::replace(&mut self.is_ended, true) {
            return None;
        }
        if let Some(Err(error)) = self.promise.as_ref().map(|promise| promise.end(&self.source, self.rows)) {
            self.counters.fail();
            return Some(Err(error.into()));
        }
        self.counters.finish();
        None
    }
}

/// The error with the name of the source that it comes from.
fn named(error: DataFusionError, source: &str) -> DataFusionError {
    from_datafusion(error).with_source_name(source).into()
}

impl Stream for CountedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.is_opened {
            self.is_opened = true;
            self.counters.open();
            if let Some(promise) = &self.promise {
                promise.open(self.partition);
            }
        }
        let since = *self.reading_since.get_or_insert_with(Instant::now);
        let polled = futures::ready!(self.inner.poll_next_unpin(cx));
        self.reading_since = None;
        self.counters.read_for(since.elapsed());
        Poll::Ready(match polled {
            Some(Ok(batch)) => {
                let rows = batch.num_rows() as u64;
                self.rows += rows;
                let bytes = self.counters.batch(&batch);
                if let Err(error) = self.budgets.iter().try_for_each(|budget| budget.take(rows, bytes)) {
                    self.is_ended = true;
                    self.counters.fail();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(with_schema(batch, &self.schema))
            }
            Some(Err(error)) => {
                self.is_ended = true;
                self.counters.fail();
                Some(Err(named(error, &self.source)))
            }
            None => self.end(),
        })
    }
}

/// A batch under the names and nullability of another schema of the same types.
pub(crate) fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let (_, columns, rows) = batch.into_parts();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

impl RecordBatchStream for CountedStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
