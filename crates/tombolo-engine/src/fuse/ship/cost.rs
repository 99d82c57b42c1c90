use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use tombolo_connector::Scan;

use super::rule::estimated_rows;
use crate::cost::{KeyTarget, ROW_WINDOWED, distinct, is_in_order_of, is_indexed, looks, stored_rows};
use crate::execute::{SourceScanExec, inputs};

/// What is known of a scan whose output columns `columns` are compared with keys. `partners` is the number of distinct keys
/// that the other side's table has, where it is known.
pub(super) fn target(
    scan: &SourceScanExec,
    columns: &[usize],
    partners: Option<f64>,
    request_keys: usize,
    spared: Option<f64>,
) -> KeyTarget {
    let tree = &scan.scan().scan;
    let statistics = scan.scan_statistics();
    let source = &scan.scan().source;
    let looks = looks(source, tree);
    let rows = statistics.rows.value().map_or(looks.rows, |rows| rows as f64);
    let is_in_order = |at: &usize| {
        tree.column_origin(*at).is_some_and(|(table, column)| {
            stored_rows(&table.description) == looks.rows && is_in_order_of(&table.description, column.field.name())
        })
    };
    let known = columns.iter().filter_map(|at| distinct(tree, *at)).reduce(f64::max);
    KeyTarget {
        looks,
        rows,
        row_bytes: statistics.bytes.filter(|_| rows > 0.0).map(|bytes| bytes as f64 / rows),
        is_grouped: tree.any(&|scan| matches!(scan, Scan::Aggregate(_))),
        is_in_order: columns.iter().any(is_in_order),
        is_indexed: columns.iter().any(|at| is_indexed(tree, *at)),
        distinct: known.or(partners).unwrap_or(looks.rows / 10.0).max(1.0),
        request_keys: request_keys.max(1),
        speed: source.speed(),
        spared,
    }
}

/// The milliseconds that it is expected to take to read all sub-queries of a plan, each with keys where those are expected to pay.
pub fn reading_ms(plan: &Arc<dyn ExecutionPlan>) -> f64 {
    let own = plan.downcast_ref::<SourceScanExec>().map_or(0.0, |scan| {
        // Where rows are compared with keys here, all of them are read.
        let supplies = if scan.takes_keys() { scan.supplies() } else { Vec::new() };
        supplies.into_iter().map(|supply| supply.report().ship_ms).fold(read_all_ms(scan), f64::min)
    });
    own + inputs(plan).into_iter().map(reading_ms).sum::<f64>()
}

/// The milliseconds that the windows of a plan are expected to take, and the sorts below them; without end where nothing is known of their
/// rows.
pub fn windows_ms(plan: &Arc<dyn ExecutionPlan>) -> f64 {
    let is_window = plan.is::<WindowAggExec>() || plan.is::<BoundedWindowAggExec>();
    let own = if is_window { estimated_rows(plan).map_or(f64::INFINITY, |rows| rows * ROW_WINDOWED) } else { 0.0 };
    own + inputs(plan).into_iter().map(windows_ms).sum::<f64>()
}

/// The milliseconds that it is expected to take to read a scan without keys.
pub(in crate::fuse) fn read_all_ms(scan: &SourceScanExec) -> f64 {
    target(scan, &[], None, 1, None).read_all()
}
