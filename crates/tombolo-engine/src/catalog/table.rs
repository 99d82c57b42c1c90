use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{TableScan, TableSource, TableType};
use tombolo_connector::{TableDescription, TableKind};

use super::Source;

/// A table of a source, as DataFusion's planner sees it. It takes no filters: what a source does with them is decided by
/// the push-down stage alone.
#[derive(Debug)]
pub struct SourceTable {
    source: Arc<Source>,
    description: Arc<TableDescription>,
    schema: SchemaRef,
}

impl SourceTable {
    /// Makes the planner's view of a described table.
    pub fn new(source: Arc<Source>, description: Arc<TableDescription>) -> Self {
        let schema = description.arrow_schema();
        Self { source, description, schema }
    }

    /// The table that a scan reads, if it is one of a source.
    pub fn of(scan: &TableScan) -> Option<&Self> {
        (scan.source.as_ref() as &dyn Any).downcast_ref()
    }

    /// The source that has the table.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The table as it was described.
    pub fn description(&self) -> &Arc<TableDescription> {
        &self.description
    }
}

impl TableSource for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        match self.description.kind {
            TableKind::View => TableType::View,
            TableKind::Table | TableKind::Files | TableKind::Query => TableType::Base,
        }
    }
}
