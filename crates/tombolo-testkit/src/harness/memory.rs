use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use async_trait::async_trait;
use tombolo_connector::{ErrorCode, Options, PlannedScan, Registry};
use tombolo_connectors::REMOTE_LOG;
use tombolo_connectors::memory::{MemoryConnector, MemoryFactory};

use super::{Carriage, Evidence, Harness, Outage, RemoteEvent, Site, unchanged};
use crate::fixtures::Fixture;
use crate::tampered::{Tamper, TamperedFactory};

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
        Ok(Box::new(MemorySite { factory: Arc::new(TamperedFactory::new(factory, Recording)) }))
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
    factory: Arc<TamperedFactory<Recording>>,
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

/// Writes down what the source is told to read.
#[derive(Debug, Clone)]
struct Recording;

impl Tamper for Recording {
    fn planned(&self, source: &str, planned: PlannedScan) -> PlannedScan {
        tracing::debug!(target: REMOTE_LOG, source, event = "read", text = planned.native.text);
        planned
    }
}
