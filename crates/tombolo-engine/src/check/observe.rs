use std::sync::Arc;

use super::build::sub_query;
use super::receipt::SubQueryOutcome;
use crate::catalog::{Source, WholeRead};
use crate::execute::SourceScanExec;

/// Takes note of what was seen of sub-queries that were read whole, for those who estimate the next ones.
pub(crate) fn observe(scans: &[Arc<SourceScanExec>]) {
    let mut told: Vec<&Arc<Source>> = Vec::new();
    for scan in scans.iter().filter(|scan| is_whole(scan)) {
        let source = &scan.scan().source;
        let (Some(observed), Some(connector)) = (source.observed(), source.connector_if_connected()) else { continue };
        let snapshot = scan.counters().snapshot();
        let is_news = observed.note(&WholeRead {
            scan: &scan.scan().scan,
            estimate: connector.estimate(&scan.scan().scan),
            rows: snapshot.rows,
            bytes: snapshot.bytes,
            is_direct: scan.takes_keys(),
            first_row_ms: snapshot.first_row_ms,
            reading_ms: snapshot.reading_ms / snapshot.opened.max(1) as f64,
        });
        if is_news && !told.iter().any(|known| Arc::ptr_eq(known, source)) {
            told.push(source);
        }
    }
    told.into_iter().filter_map(|source| source.observed()).for_each(|observed| observed.save());
}

/// Whether all rows of a sub-query came, whatever the rest of the query was.
fn is_whole(scan: &SourceScanExec) -> bool {
    // A limit above may have had enough before the last stream was opened.
    let is_open = scan.counters().snapshot().opened >= scan.partitions();
    let by_keys = scan.supplies().iter().any(|supply| supply.report().batches.is_some());
    is_open && !by_keys && !scan.stops_early() && matches!(sub_query(scan).outcome, SubQueryOutcome::Finished)
}
