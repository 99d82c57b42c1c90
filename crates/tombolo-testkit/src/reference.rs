use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

/// Plain DataFusion, whose schemas are named like the sources of a lab, so that it takes the same statements.
#[derive(Clone)]
pub struct Reference(SessionContext);

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reference")
    }
}

impl Reference {
    /// Makes one without tables.
    #[expect(clippy::new_without_default, reason = "as for a lab")]
    pub fn new() -> Self {
        // These rules mix up columns of one name across a join, see docs/adr/0006-no-physical-filter-push-down.md.
        let mut rules = PhysicalOptimizer::new().rules;
        rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
        let mut config = SessionConfig::new().with_target_partitions(2);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let state = SessionStateBuilder::new().with_config(config).with_default_features();
        Self(SessionContext::new_with_state(state.with_physical_optimizer_rules(rules).build()))
    }

    /// Adds a table of batches.
    pub fn memory(&self, source: &str, table: &str, batches: Vec<RecordBatch>) {
        let schema = batches.first().expect("a table takes its columns from its first batch").schema();
        let provider = MemTable::try_new(schema, vec![batches]).unwrap();
        self.0.register_table(self.named(source, table), Arc::new(provider)).unwrap();
    }

    /// Adds a Parquet file as a table.
    pub async fn parquet(&self, source: &str, table: &str, path: &Path) {
        let options = ParquetReadOptions::default();
        self.0.register_parquet(self.named(source, table), path.to_str().unwrap(), options).await.unwrap();
    }

    fn named(&self, source: &str, table: &str) -> TableReference {
        let catalog = self.0.catalog("datafusion").unwrap();
        if catalog.schema(source).is_none() {
            catalog.register_schema(source, Arc::new(MemorySchemaProvider::new())).unwrap();
        }
        TableReference::partial(source, table)
    }

    /// Asks a query.
    ///
    /// # Errors
    /// What DataFusion says.
    pub async fn ask(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let frame = self.0.sql(sql).await?;
        // Types are final only when they were brought together, as those of the branches of a CASE are.
        let schema = Arc::clone(frame.clone().into_optimized_plan()?.schema().inner());
        Ok((schema, frame.collect().await?))
    }
}

/// The rows of a query over nothing, as plain DataFusion computes them: the short way to a fixture's batches.
pub async fn rows(sql: &str) -> Vec<RecordBatch> {
    let (schema, batches) = Reference::new().ask(sql).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches }
}
