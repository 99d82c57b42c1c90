//! One file for each format, and what CSV and JSON share.

pub(super) mod arrow_ipc;
pub(super) mod csv;
pub(super) mod json;
pub(super) mod parquet;
pub(super) mod reader;
pub(super) mod rows;
pub(super) mod text;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use tombolo_connector::Result;

use super::catalog::{DataFile, Found, TableFiles};
use super::client::FileStore;
use super::config::FilesConfig;
use super::types::Format;

/// How many files are looked into at once.
const CONCURRENT_FILES: usize = 16;

/// Finds the columns of a table, and what is known of its size.
pub(super) async fn describe(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<Found> {
    match table.format {
        Format::Parquet => parquet::describe(store, table).await,
        Format::Arrow => arrow_ipc::describe(store, table).await,
        Format::Csv => csv::describe(store, config, table).await,
        Format::Json => json::describe(store, config, table).await,
    }
}

/// Looks into several files at once, and gives what was found in the files' order.
pub(super) async fn each_file<T: Send>(
    store: &FileStore,
    files: Vec<DataFile>,
    look: impl Fn(FileStore, DataFile) -> BoxFuture<'static, Result<T>> + Send,
) -> Result<Vec<T>> {
    stream::iter(files).map(|file| look(store.clone(), file)).buffered(CONCURRENT_FILES).try_collect().await
}
