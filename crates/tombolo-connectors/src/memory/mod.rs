//! Tables that are registered from Rust: the reference semantics for all tests.
//!
//! The connector reads columns and does nothing else, so whatever is asked of its tables is computed by the engine. A test
//! that compares another source with it compares that source with the engine.

mod capability;
mod catalog;
mod client;
mod config;
mod native;
mod scan;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tombolo_connector::{
    Capabilities, Connector, ConnectorFactory, ConnectorSpec, Error, ErrorCode, NativeQuery, Options, PlannedScan,
    QueryContext, RemoteInfo, Result, Scan, ScanOffer, TableDescription, TableRef,
};

pub use catalog::MemoryConnectorBuilder;
pub use client::MemoryConnector;

static SPEC: ConnectorSpec = ConnectorSpec {
    kind: "memory",
    title: "Memory",
    urls: &[],
    options: config::OPTIONS,
    docs: include_str!("docs.md"),
};

/// Connects to memory sources by the names under which they were registered.
#[derive(Debug, Default)]
pub struct MemoryFactory {
    sources: BTreeMap<String, Arc<MemoryConnector>>,
}

impl MemoryFactory {
    /// Registers a source.
    #[must_use]
    pub fn with_source(mut self, name: &str, connector: MemoryConnector) -> Self {
        self.sources.insert(name.to_owned(), Arc::new(connector));
        self
    }
}

#[async_trait]
impl ConnectorFactory for MemoryFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, _url: &str) -> Option<Result<Options>> {
        None
    }

    async fn connect(&self, name: &str, _options: &Options) -> Result<Arc<dyn Connector>> {
        match self.sources.get(name) {
            Some(connector) => Ok(Arc::clone(connector) as _),
            None => Err(Error::new(
                ErrorCode::SourceUnavailable,
                format!("no memory source `{name}` was registered in this program"),
            )
            .with_source_name(name)
            .with_hint("Register it with `MemoryFactory::with_source` before connecting.")),
        }
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        Ok(RemoteInfo { product: "Memory".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), detail: None })
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(self.schema_names())
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        Ok(self.table_refs().filter(|table| table.schema == schema).cloned().collect())
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        Ok(self.table(table)?.description.clone())
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.table(&description.table).is_ok()
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        capability::offer(scan)
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        native::native_query(scan)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        scan::plan_scan(self, scan, context)
    }
}

#[cfg(test)]
mod tests;
