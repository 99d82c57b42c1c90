//! One file for each format, and what CSV and JSON share.

pub(in crate::files) mod arrow_ipc;
pub(in crate::files) mod csv;
pub(in crate::files) mod json;
pub(in crate::files) mod parquet;
pub(in crate::files) mod reader;
pub(in crate::files) mod rows;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use tombolo_connector::Result;

use crate::files::catalog::{DataFile, Found, TableFiles};
use crate::files::client::FileStore;
use crate::files::config::FilesConfig;
use crate::files::types::Format;

/// How many files are looked into at once.
const CONCURRENT_FILES: usize = 16;

/// Finds the columns of a table, and what is known of its size.
pub(in crate::files) async fn describe(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<Found> {
    match table.format {
        Format::Parquet => parquet::describe(store, table).await,
        Format::Arrow => arrow_ipc::describe(store, table).await,
        Format::Csv => csv::describe(store, config, table).await,
        Format::Json => json::describe(store, config, table).await,
    }
}

/// Looks into several files at once, and gives what was found in the files' order.
pub(in crate::files) async fn each_file<T: Send>(
    store: &FileStore,
    files: Vec<DataFile>,
    look: impl Fn(FileStore, DataFile) -> BoxFuture<'static, Result<T>> + Send,
) -> Result<Vec<T>> {
    stream::iter(files).map(|file| look(store.clone(), file)).buffered(CONCURRENT_FILES).try_collect().await
}
