use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use tombolo_connector::Error;

/// Turns a panic below a stream into an error of the query that reads it.
///
/// A defect in a driver or an operator ends one query; the program and its other queries go on. What had panicked is dropped
/// and never polled again.
pub struct CaughtPanics {
    inner: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    /// What ran, as the error calls it.
    what: String,
}

impl CaughtPanics {
    /// Puts the guard around a stream.
    pub fn around(inner: SendableRecordBatchStream, what: impl Into<String>) -> Self {
        Self { schema: inner.schema(), inner: Some(inner), what: what.into() }
    }
}

impl Stream for CaughtPanics {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| inner.poll_next_unpin(cx))) {
            Ok(polled) => polled,
            Err(payload) => {
                self.inner = None;
                Poll::Ready(Some(Err(panicked(&self.what, payload.as_ref()).into())))
            }
        }
    }
}

impl RecordBatchStream for CaughtPanics {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// The error for code that panicked.
pub fn panicked(what: &str, payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("{what} panicked")).with_detail(text.unwrap_or("nothing is known of the cause"))
}
