use std::sync::{Mutex, PoisonError};

use tombolo_connector::{Error, ErrorCode, Result};

/// Finds out whether a source gave as many rows as it had counted.
///
/// A driver that takes a lost connection for the end of its rows cannot be told from one that is done, unless the source said
/// before how many rows there are. Where it did, fewer or more of them are an error and no answer.
#[derive(Debug)]
pub(super) struct RowPromise {
    promised: u64,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Streams {
    rows: u64,
    ended: usize,
    /// By stream, whether it was opened.
    opened: Vec<bool>,
    /// Whether a stream was opened twice, so that the rows are those of more than one reading.
    is_repeated: bool,
}

impl RowPromise {
    /// Takes note of a promise about so many streams together.
    pub(super) fn new(promised: u64, streams: usize) -> Self {
        let streams = Streams { rows: 0, ended: 0, opened: vec![false; streams], is_repeated: false };
        Self { promised, streams: Mutex::new(streams) }
    }

    /// Takes note that a stream is opened.
    pub(super) fn open(&self, stream: usize) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        match streams.opened.get_mut(stream) {
            Some(opened) if !*opened => *opened = true,
            _ => streams.is_repeated = true,
        }
    }

    /// Takes note that a stream ended after so many rows.
    ///
    /// # Errors
    /// [`ErrorCode::SourceFailed`] where it was the last one and the rows are not as many as was promised.
    pub(super) fn end(&self, source: &str, rows: u64) -> Result<()> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.rows += rows;
        streams.ended += 1;
        let is_last = streams.ended == streams.opened.len() && !streams.is_repeated;
        if !is_last || streams.rows == self.promised {
            return Ok(());
        }
        let (given, promised) = (streams.rows, self.promised);
        Err(Error::new(
            ErrorCode::SourceFailed,
            format!("source `{source}` ended after {given} rows where it had counted {promised}"),
        )
        .with_hint("Run the query again; if this stays, refresh the source: its count or its driver is wrong.")
        .with_source_name(source)
        .retryable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_of_one_reading_is_compared() {
        let promise = RowPromise::new(10, 2);
        promise.open(0);
        promise.open(1);
        promise.end("shop", 4).unwrap();
        let error = promise.end("shop", 5).unwrap_err();
        assert_eq!(error.message(), "source `shop` ended after 9 rows where it had counted 10");

        let promise = RowPromise::new(10, 2);
        promise.open(0);
        promise.open(0);
        promise.end("shop", 5).unwrap();
        promise.end("shop", 5 + 7).unwrap();
    }
}
