//! Reads a CSV or JSON file as a stream of batches whose values are still text.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tombolo_connector::{Error, ErrorCode, Result};

use crate::files::catalog::DataFile;
use crate::files::client::FileStore;
use crate::files::client::pinned::stream_file;

/// The bytes of one file, decompressed.
pub(in crate::files) type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A decoder of one of the text formats.
pub(in crate::files) enum TextDecoder {
    Csv(Box<arrow::csv::reader::Decoder>),
    Json(Box<arrow::json::reader::Decoder>),
}

impl TextDecoder {
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.decode(bytes),
            Self::Json(decoder) => decoder.decode(bytes),
        }
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.flush(),
            Self::Json(decoder) => decoder.flush(),
        }
    }
}

/// One file's rows, read as far as they are asked for.
pub(in crate::files) struct TextRows {
    bytes: ByteStream,
    decoder: TextDecoder,
    chunk: Bytes,
    ended: bool,
    /// Rows that were given out.
    pub(in crate::files) rows: usize,
    /// Bytes that were taken in, decompressed.
    pub(in crate::files) consumed: u64,
}

/// Why a file's next rows cannot be had.
pub(in crate::files) enum RowsError {
    /// The store or the decompression failed.
    Store(Error),
    /// What was read is not of the format.
    Decode(ArrowError),
}

impl TextRows {
    pub(in crate::files) fn new(bytes: ByteStream, decoder: TextDecoder) -> Self {
        Self { bytes, decoder, chunk: Bytes::new(), ended: false, rows: 0, consumed: 0 }
    }

    /// The next batch; `None` at the end of the file.
    pub(in crate::files) async fn next_batch(&mut self) -> Result<Option<RecordBatch>, RowsError> {
        loop {
            if self.chunk.is_empty() && !self.ended {
                match self.bytes.next().await {
                    Some(chunk) => self.chunk = chunk.map_err(RowsError::Store)?,
                    None => self.ended = true,
                }
                if self.chunk.is_empty() && !self.ended {
                    continue;
                }
            }
            // At the end the decoder is called with nothing, which completes a last line without a newline.
            let taken = self.decoder.decode(&self.chunk).map_err(RowsError::Decode)?;
            self.chunk.advance(taken);
            self.consumed += taken as u64;
            let full = !self.chunk.is_empty();
            if full || (self.ended && taken == 0) {
                match self.decoder.flush().map_err(RowsError::Decode)? {
                    Some(batch) => {
                        self.rows += batch.num_rows();
                        return Ok(Some(batch));
                    }
                    None if self.ended && self.chunk.is_empty() => return Ok(None),
                    None if taken == 0 => {
                        let stuck = ArrowError::ParseError("the decoder made no progress".to_owned());
                        return Err(RowsError::Decode(stuck));
                    }
                    None => {}
                }
            }
        }
    }
}

/// Opens a file and decompresses it.
pub(in crate::files) async fn open_bytes(store: &FileStore, file: &DataFile) -> Result<ByteStream> {
    let path = file.meta.location.clone();
    let raw = stream_file(&store.source, &store.store, &file.meta).await.map_err(|error| store.failed(&path, error))?;
    let plain = file.compression.convert_stream(raw.map_err(DataFusionError::from).boxed());
    let shown = store.show(&path);
    let compressed = file.compression.is_compressed();
    let failed = move |error: DataFusionError| {
        let (code, hint) = if compressed {
            (ErrorCode::CorruptData, "The compressed file may be cut off, or not be what its name says; copy it again.")
        } else {
            (
                ErrorCode::SourceFailed,
                "The file may have been changed or removed while it was read; run the query again.",
            )
        };
        Error::new(code, format!("`{shown}` cannot be read to its end"))
            .with_detail(error.to_string())
            .with_hint(hint)
            .with_cause(error)
    };
    Ok(plain.map_err(&failed)?.map_err(failed).boxed())
}

/// Takes the first bytes off a stream until `enough` says so or the file ends, and puts them back in front.
///
/// The byte order mark, which some programs write at the start of UTF-8, is dropped.
pub(in crate::files) async fn peek(
    mut bytes: ByteStream,
    enough: impl Fn(&[u8]) -> bool,
) -> Result<(Bytes, ByteStream)> {
    let mut head: Vec<u8> = Vec::new();
    while let Some(chunk) = bytes.next().await.transpose()? {
        head.extend_from_slice(&chunk);
        if head.len() >= 3 && enough(&head) {
            break;
        }
    }
    let mut head = Bytes::from(head);
    if head.starts_with(b"\xEF\xBB\xBF") {
        head.advance(3);
    }
    let first = head.clone();
    Ok((head, stream::iter([Ok(first)]).chain(bytes).boxed()))
}
