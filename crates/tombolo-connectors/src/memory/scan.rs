use arrow::datatypes::SchemaRef;
use datafusion::datasource::memory::MemorySourceConfig;
use tombolo_connector::{
    Error, ErrorCode, PlannedScan, QueryContext, Result, ResultExt, Scan, ScanInput, ScanStatistics,
};

use super::{MemoryConnector, native};

/// Plans one table as DataFusion's own in-memory scan, its batches dealt over the streams.
pub(super) fn plan_scan(connector: &MemoryConnector, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
    let read = native::accepted(scan)?;
    let table = connector.table(read.table())?;
    let schema: SchemaRef = table.description.arrow_schema();
    if let Some(&column) = read.columns.iter().find(|&&column| column >= schema.fields().len()) {
        return Err(Error::new(ErrorCode::SchemaChanged, format!("table `{}` has no column {column}", read.table()))
            .with_hint("Refresh the catalog."));
    }
    let streams = context.target_partitions.clamp(1, table.batches.len().max(1));
    let mut partitions = vec![Vec::new(); streams];
    for (index, batch) in table.batches.iter().enumerate() {
        partitions[index % streams].push(batch.clone());
    }
    let plan = MemorySourceConfig::try_new_exec(&partitions, schema, Some(read.columns.clone()))
        .or_error(ErrorCode::Internal, || format!("cannot read memory table `{}`", read.table()))?;
    Ok(PlannedScan {
        native: native::native_query(scan)?,
        input: ScanInput::Plan(plan),
        statistics: ScanStatistics {
            rows: table.description.statistics.rows,
            bytes: table.description.statistics.bytes,
        },
        wrappers: Vec::new(),
    })
}
