//! Files as tables: Parquet, CSV, JSON lines and Arrow, on local disk and in object stores.
//!
//! Parquet and Arrow are read by DataFusion's own scans, so that pruning by row groups, pages, Bloom filters and run-time
//! filters works. CSV and JSON are decoded by Arrow's readers as text and typed by [`types::text`], since the readers'
//! own typing changes values in silence: `00501` to 501, `1.5` to 1, a time to whole seconds.

mod capability;
mod catalog;
mod client;
mod config;
mod native;
mod scan;
mod types;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tombolo_connector::{
    Capabilities, Connector, ConnectorFactory, ConnectorSpec, Error, NativeQuery, Options, PlannedScan, QueryContext,
    RemoteInfo, Result, Scan, ScanOffer, TableDescription, TableRef,
};

use capability::Layout;
use catalog::{TableEntry, TableFiles};
use client::{FileStore, Place};
use config::{FilesConfig, Location, SCHEMA};

static SPEC: ConnectorSpec = ConnectorSpec {
    kind: "files",
    title: "Files",
    urls: &["a folder, file or glob such as data/*.parquet", "s3://bucket/prefix"],
    options: config::OPTIONS,
    docs: include_str!("docs.md"),
};

/// Makes files sources.
#[derive(Debug, Default)]
pub struct FilesFactory;

#[async_trait]
impl ConnectorFactory for FilesFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        config::parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let connect = async {
            let config = FilesConfig::try_new(name, options)?;
            let store = FileStore::try_new(&config)?;
            store.locate(&config).await?;
            let entries = Mutex::default();
            Ok(FilesConnector { store, config, capabilities: capability::capabilities(), entries })
        };
        let connector = connect.await.map_err(|error: Error| error.with_source_name(name))?;
        Ok(Arc::new(connector))
    }
}

/// A folder, file, glob or bucket whose files are tables.
#[derive(Debug)]
pub struct FilesConnector {
    store: FileStore,
    config: FilesConfig,
    capabilities: Capabilities,
    /// The tables as they were last found, so that one of them can be read without listing all.
    entries: Mutex<Vec<TableEntry>>,
}

impl FilesConnector {
    /// Lists all tables anew.
    async fn discover(&self) -> Result<Vec<TableEntry>> {
        let entries = catalog::discover(&self.store, &self.config).await?;
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries.clone();
        Ok(entries)
    }

    /// The files of one table, as they are now.
    async fn files_of(&self, table: &TableRef) -> Result<TableFiles> {
        let known = self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(entry) = catalog::find(&known, table)
            && let Ok(files) = catalog::files_of(&self.store, &self.config, entry).await
        {
            return Ok(files);
        }
        // The table is new, or is no longer where it was.
        let entries = self.discover().await?;
        catalog::files_of(&self.store, &self.config, catalog::find(&entries, table)?).await
    }

    async fn describe(&self, files: &TableFiles) -> Result<TableDescription> {
        let mut description = catalog::describe(&self.store, &self.config, files).await?;
        description.fingerprint = Layout::of(files).written();
        Ok(description)
    }
}

#[async_trait]
impl Connector for FilesConnector {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        let shown = match self.store.locate(&self.config).await? {
            Place::File(meta) => self.store.show(&meta.location),
            Place::Folder(folder) => format!("{}/", self.store.show(&folder).trim_end_matches('/')),
            Place::Glob { pattern, .. } => self.store.show_pattern(&pattern),
        };
        let version = match self.config.location {
            Location::Local(_) => "local disk",
            Location::S3 { .. } => "S3",
        };
        Ok(RemoteInfo { product: "Files".to_owned(), version: version.to_owned(), detail: Some(shown) })
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(vec![SCHEMA.to_owned()])
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        if schema != SCHEMA {
            return Ok(Vec::new());
        }
        let entries = self.discover().await?;
        Ok(entries.into_iter().map(|entry| TableRef::new(SCHEMA, entry.name)).collect())
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.describe(&self.files_of(table).await?).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        let Some(layout) = Layout::read(description) else {
            return false;
        };
        self.files_of(&description.table).await.is_ok_and(|files| files.fingerprint() == layout.files)
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        capability::offer(scan)
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        native::native_query(scan)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        scan::plan_scan(self, scan, context).await
    }
}

#[cfg(test)]
mod tests;
