use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use tombolo_connector::{Capabilities, Error, Result, TableDescription, TableRef};

use super::catalog::MemoryConnectorBuilder;

/// A source whose tables are batches in memory.
#[derive(Debug)]
pub struct MemoryConnector {
    pub(super) capabilities: Capabilities,
    pub(super) tables: BTreeMap<TableRef, MemoryTable>,
    /// The schemas in the order in which they were first named.
    pub(super) schemas: Vec<String>,
}

#[derive(Debug)]
pub(super) struct MemoryTable {
    pub(super) description: TableDescription,
    pub(super) batches: Vec<RecordBatch>,
}

impl MemoryConnector {
    /// Begins a source without tables.
    pub fn builder() -> MemoryConnectorBuilder {
        MemoryConnectorBuilder::default()
    }

    pub(super) fn table(&self, table: &TableRef) -> Result<&MemoryTable> {
        self.tables.get(table).ok_or_else(|| {
            let known: Vec<TableRef> = self.table_refs().cloned().collect();
            Error::table_not_found(table, &known)
        })
    }

    pub(super) fn table_refs(&self) -> impl Iterator<Item = &TableRef> {
        self.tables.keys()
    }

    pub(super) fn schema_names(&self) -> Vec<String> {
        self.schemas.clone()
    }
}
