use std::sync::Arc;

use async_trait::async_trait;
use tracing::{Instrument, debug, debug_span};

use super::pass_on;
use crate::{Connector, PlannedScan, QueryContext, RemoteInfo, Result, Scan, TableDescription, TableRef};

/// Puts every call into a span that names the source, and names the source in every error.
#[derive(Debug)]
pub struct Trace {
    name: String,
    inner: Arc<dyn Connector>,
}

impl Trace {
    /// Puts the layer around a source.
    pub fn new(name: &str, inner: Arc<dyn Connector>) -> Self {
        Self { name: name.to_owned(), inner }
    }

    fn named<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.with_source_name(&self.name))
    }
}

#[async_trait]
impl Connector for Trace {
    pass_on!(inner);

    async fn ping(&self) -> Result<RemoteInfo> {
        self.named(self.inner.ping().instrument(debug_span!("ping", source = self.name)).await)
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.named(self.inner.list_schemas().instrument(debug_span!("list_schemas", source = self.name)).await)
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.named(self.inner.list_tables(schema).instrument(debug_span!("list_tables", source = self.name)).await)
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        let span = debug_span!("describe_table", source = self.name, %table);
        self.named(self.inner.describe_table(table).instrument(span).await)
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        let span = debug_span!("check_tables", source = self.name);
        self.named(self.inner.check_tables(descriptions).instrument(span).await)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let span = debug_span!("plan_scan", source = self.name, query_id = context.query_id);
        let planned = self.named(self.inner.plan_scan(scan, context).instrument(span).await)?;
        debug!(source = self.name, query_id = context.query_id, native = planned.native.text, "planned a scan");
        Ok(planned)
    }
}
