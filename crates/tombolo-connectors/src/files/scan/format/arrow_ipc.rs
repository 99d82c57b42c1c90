//! Arrow IPC files (`.arrow`, `.feather`): their schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::read_footer_length;
use arrow::ipc::root_as_footer;
use futures::FutureExt;
use object_store::ObjectStoreExt;
use tombolo_connector::{Error, ErrorCode, Result, RowCount};

use super::each_file;
use super::parquet::plain;
use crate::files::catalog::{DataFile, Found, TableFiles};
use crate::files::client::FileStore;

/// What an Arrow file begins and ends with.
const MAGIC: &[u8] = b"ARROW1";

/// The footer's length and the magic, which end a file.
const TRAILER_BYTES: usize = 10;

/// Bytes at the end of a file that are read at once, in the hope that the footer is in them.
const FOOTER_GUESS_BYTES: u64 = 64 << 10;

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
    Ok(Found { schema, rows: RowCount::Unknown, columns: BTreeMap::new() })
}

async fn schema_of(store: &FileStore, file: &DataFile) -> Result<SchemaRef> {
    let shown = store.show(&file.meta.location);
    let path = &file.meta.location;
    let corrupt = |what: &str| {
        Error::new(ErrorCode::CorruptData, format!("`{shown}` {what}"))
            .with_hint("The file may be cut off, or not be what its name says; write it again.")
    };
    let size = file.meta.size;
    if size < (MAGIC.len() + TRAILER_BYTES) as u64 {
        return Err(corrupt("is too short for an Arrow file"));
    }
    let head = store.store.get_range(path, 0..MAGIC.len() as u64).await.map_err(|e| store.failed(path, e))?;
    if head.as_ref() != MAGIC {
        return Err(corrupt("is not an Arrow file, or one in the stream format, which is not read"));
    }
    let guess = size.saturating_sub(FOOTER_GUESS_BYTES)..size;
    let mut tail = store.store.get_range(path, guess).await.map_err(|e| store.failed(path, e))?;
    let trailer = tail.last_chunk::<TRAILER_BYTES>().filter(|trailer| trailer.ends_with(MAGIC));
    let trailer = trailer.ok_or_else(|| corrupt("is cut off: it does not end as an Arrow file does"))?;
    let length = read_footer_length(*trailer)
        .map_err(|error| corrupt("has no readable footer").with_detail(error.to_string()).with_cause(error))?;
    let wanted = length + TRAILER_BYTES;
    if wanted as u64 > size {
        return Err(corrupt("has no readable footer"));
    }
    if wanted > tail.len() {
        tail = store.store.get_range(path, size - wanted as u64..size).await.map_err(|e| store.failed(path, e))?;
    }
    let footer = &tail[tail.len() - wanted..tail.len() - TRAILER_BYTES];
    let footer =
        root_as_footer(footer).map_err(|error| corrupt("has no readable footer").with_detail(error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| corrupt("has no schema"))?;
    Ok(Arc::new(plain(&fb_to_schema(schema))))
}
