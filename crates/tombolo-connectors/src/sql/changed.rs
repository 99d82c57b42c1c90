use std::sync::Arc;

use tombolo_connector::{Error, ErrorCode, TableDescription};

/// Says that one of these tables is no longer as it was described.
pub(crate) fn changed(tables: &[Arc<TableDescription>]) -> Error {
    let names: Vec<String> = tables.iter().map(|table| format!("`{}`", table.table)).collect();
    Error::new(ErrorCode::SchemaChanged, format!("{} is no longer as it was described", names.join(" or ")))
        .with_hint("Run the query again.")
        .retryable()
}
