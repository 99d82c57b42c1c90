//! Arrow IPC files (`.arrow`, `.feather`): their schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use futures::FutureExt;
use object_store::ObjectStoreExt;
use tombolo_connector::{Error, ErrorCode, Result, RowCount};

use super::each_file;
use super::parquet::plain;
use crate::files::catalog::{DataFile, Found, TableFiles};
use crate::files::client::FileStore;

/// What an Arrow file begins and ends with.
const MAGIC: &[u8] = b"ARROW1";

/// Bytes at the start of a file that are read in the hope that the schema is in them.
const SCHEMA_GUESS_BYTES: u64 = 256 << 10;

/// Reads the schemas of all files, which must be the same: the reader takes columns by their position.
pub(in crate::files) async fn describe(store: &FileStore, table: &TableFiles) -> Result<Found> {
    let schemas = each_file(store, table.files.clone(), |store, file| {
        async move { Ok((store.show(&file.meta.location), schema_of(&store, &file).await?)) }.boxed()
    });
    let mut first: Option<(String, SchemaRef)> = None;
    for (shown, schema) in schemas.await? {
        match &first {
            None => first = Some((shown, schema)),
            Some((_, known)) if *known == schema => {}
            Some((other, _)) => {
                return Err(Error::new(
                    ErrorCode::TypeMismatch,
                    format!("the files of table `{}` have different columns", table.name),
                )
                .with_detail(format!("`{other}` and `{shown}`"))
                .with_hint(
                    "Arrow files that are one table have the same columns in the same order; connect others apart.",
                ));
            }
        }
    }
    let (_, schema) = first.ok_or_else(|| Error::internal("a table without files was described"))?;
    // The format keeps no row counts, and its batches would have to be visited one by one.
    Ok(Found {
        schema,
        rows: RowCount::Unknown,
        columns: BTreeMap::new(),
    })
}

async fn schema_of(store: &FileStore, file: &DataFile) -> Result<SchemaRef> {
    let shown = store.show(&file.meta.location);
    let path = &file.meta.location;
    let corrupt = |what: &str| {
        Error::new(ErrorCode::CorruptData, format!("`{shown}` {what}"))
            .with_hint("The file may be cut off, or not be what its name says; write it again.")
    };
    let size = file.meta.size;
    if size < 2 * MAGIC.len() as u64 {
        return Err(corrupt("is too short for an Arrow file"));
    }
    let tail = store
        .store
        .get_range(path, size - MAGIC.len() as u64..size)
        .await
        .map_err(|e| store.failed(path, e))?;
    let mut wanted = SCHEMA_GUESS_BYTES;
    loop {
        let head = store
            .store
            .get_range(path, 0..wanted.min(size))
            .await
            .map_err(|e| store.failed(path, e))?;
        if !head.starts_with(MAGIC) {
            return Err(corrupt(
                "is not an Arrow file, or one in the stream format, which is not read",
            ));
        }
        if tail.as_ref() != MAGIC {
            return Err(corrupt("is cut off: it does not end as an Arrow file does"));
        }
        // After the magic and its padding the file goes on as a stream, of which the schema is the first message.
        let mut decoder = StreamDecoder::new();
        let mut buffer = Buffer::from(&head[8.min(head.len())..]);
        while decoder.schema().is_none() && !buffer.is_empty() {
            let before = buffer.len();
            if let Err(error) = decoder.decode(&mut buffer) {
                return Err(corrupt("has no readable schema")
                    .with_detail(error.to_string())
                    .with_cause(error));
            }
            if buffer.len() == before {
                break;
            }
        }
        match decoder.schema() {
            Some(schema) => return Ok(Arc::new(plain(&schema))),
            None if wanted >= size => return Err(corrupt("has no schema")),
            None => wanted *= 16,
        }
    }
}
