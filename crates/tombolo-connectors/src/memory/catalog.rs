use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tombolo_connector::{RowCount, TableDescription, TableKind, TableRef};

use super::client::{MemoryConnector, MemoryTable};
use super::{capability, types};

/// Collects the tables of a [`MemoryConnector`].
#[derive(Debug, Default)]
pub struct MemoryConnectorBuilder {
    tables: BTreeMap<TableRef, MemoryTable>,
    schemas: Vec<String>,
}

impl MemoryConnectorBuilder {
    /// Adds a table of the batches' schema. Without batches it has no columns; see [`Self::table_with_schema`].
    #[must_use]
    pub fn table(self, schema: &str, table: &str, batches: Vec<RecordBatch>) -> Self {
        let columns = batches.first().map_or_else(|| Arc::new(arrow::datatypes::Schema::empty()), RecordBatch::schema);
        self.table_with_schema(schema, table, columns, batches)
    }

    /// Adds a table of this schema, which every batch must have.
    #[must_use]
    pub fn table_with_schema(
        mut self,
        schema: &str,
        table: &str,
        columns: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Self {
        let table = TableRef::new(schema, table);
        let described = columns.fields().iter().map(types::described);
        let mut description = TableDescription::new(table.clone(), TableKind::Table, described.collect());
        description.statistics.rows = RowCount::Exact(batches.iter().map(|batch| batch.num_rows() as u64).sum());
        description.statistics.bytes = Some(batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum());
        if !self.schemas.iter().any(|known| known == schema) {
            self.schemas.push(schema.to_owned());
        }
        self.tables.insert(table, MemoryTable { description, batches });
        self
    }

    /// Declares a primary key of a table that was added before.
    #[must_use]
    pub fn primary_key(mut self, schema: &str, table: &str, columns: &[&str]) -> Self {
        if let Some(table) = self.tables.get_mut(&TableRef::new(schema, table)) {
            table.description.primary_key = columns.iter().map(|&column| column.to_owned()).collect();
        }
        self
    }

    /// The source with all tables.
    pub fn build(self) -> MemoryConnector {
        MemoryConnector { capabilities: capability::capabilities(), tables: self.tables, schemas: self.schemas }
    }
}
