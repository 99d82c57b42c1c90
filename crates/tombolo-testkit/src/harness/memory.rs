use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use async_trait::async_trait;
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, ErrorCode, NativeQuery, Options, PlannedScan,
    QueryContext, Registry, RemoteInfo, Result, Scan, ScanOffer, TableDescription, TableRef,
};
use tombolo_connectors::REMOTE_LOG;
use tombolo_connectors::memory::{MemoryConnector, MemoryFactory};

use super::{Carriage, Evidence, Harness, Outage, RemoteEvent, Site, unchanged};
use crate::fixtures::Fixture;

/// Tables in memory. There is no other side that could keep a log: what is logged is what the connector was told to read.
#[derive(Debug, Clone, Copy)]
pub struct MemoryHarness;

#[async_trait]
impl Harness for MemoryHarness {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn connector(&self) -> &'static str {
        "memory"
    }

    fn title(&self) -> &'static str {
        "Memory"
    }

    fn carriage(&self, _fixture: &Fixture, _field: &Field, values: &ArrayRef) -> Carriage {
        unchanged(values)
    }

    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> std::result::Result<Box<dyn Site>, String> {
        let tables = fixtures.iter().fold(MemoryConnector::builder(), |builder, fixture| {
            let table = Arc::clone(&fixture.schema);
            builder.table_with_schema("main", fixture.name, table, fixture.batches.clone()).primary_key(
                "main",
                fixture.name,
                fixture.primary_key,
            )
        });
        let factory = MemoryFactory::default().with_source(source, tables.build());
        Ok(Box::new(MemorySite { factory: Arc::new(RecordingFactory(factory)) }))
    }

    async fn outages(&self, _folder: &Path) -> Vec<Outage> {
        vec![Outage {
            name: "never registered",
            registry: Registry::default().with(Arc::new(MemoryFactory::default())),
            options: Options::default(),
            statement: "SELECT id FROM broken.customers",
            code: ErrorCode::SourceUnavailable,
            is_retryable: false,
            held: None,
        }]
    }
}

#[derive(Debug)]
struct MemorySite {
    factory: Arc<RecordingFactory>,
}

#[async_trait]
impl Site for MemorySite {
    fn registry(&self) -> Registry {
        Registry::default().with(Arc::clone(&self.factory) as _)
    }

    fn options(&self) -> Options {
        Options::default()
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> std::result::Result<(), String> {
        let found = log.iter().any(|event| match evidence {
            Evidence::Table(table) => event.text.starts_with(&format!("read main.{table} [")),
            Evidence::Column { table, column } => {
                let listed = event.text.strip_prefix(&format!("read main.{table} ["));
                listed.is_some_and(|list| list.trim_end_matches(']').split(", ").any(|name| name == *column))
            }
            Evidence::Operator(_) => false,
        });
        if found { Ok(()) } else { Err(format!("the connector was not told {evidence:?}")) }
    }

    async fn drop_table(&mut self, _table: &str) -> std::result::Result<(), String> {
        Err("the tables are fixed when the source is registered".to_owned())
    }

    async fn add_column(&mut self, _table: &str) -> std::result::Result<(), String> {
        Err("the tables are fixed when the source is registered".to_owned())
    }
}

/// Connects to memory sources and writes down what they are told to read.
#[derive(Debug)]
struct RecordingFactory(MemoryFactory);

#[async_trait]
impl ConnectorFactory for RecordingFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        self.0.spec()
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        self.0.parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let inner = self.0.connect(name, options).await?;
        Ok(Arc::new(Recording { source: name.to_owned(), inner }))
    }
}

#[derive(Debug)]
struct Recording {
    source: String,
    inner: Arc<dyn Connector>,
}

#[async_trait]
impl Connector for Recording {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        self.inner.ping().await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.inner.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.inner.list_tables(schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.inner.describe_table(table).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        self.inner.offer(scan)
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        self.inner.offer_keys(scan, columns)
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        self.inner.native_query(scan)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let planned = self.inner.plan_scan(scan, context).await?;
        tracing::debug!(target: REMOTE_LOG, source = self.source, event = "read", text = planned.native.text);
        Ok(planned)
    }
}
