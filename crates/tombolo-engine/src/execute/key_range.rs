use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{SortOptions, sort_to_indices};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::{Expr, lit};
use tombolo_connector::{PlannedScan, QueryContext, Scan};

use crate::pushdown::SourceScan;

/// A source that is read by a range must send less than this share of what it would send without.
const LARGEST_SHARE: f64 = 0.8;

/// The least and the greatest value that an output column of a scan can have to match, where they are known.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRange {
    /// The column's position.
    pub at: usize,
    /// The least value.
    pub least: Option<ScalarValue>,
    /// The greatest value.
    pub greatest: Option<ScalarValue>,
}

/// The least and the greatest of values without nulls, in the order that the engine compares them by; `None` where there are no
/// values.
pub(crate) fn least_and_greatest(values: &ArrayRef) -> Result<Option<[ScalarValue; 2]>> {
    if values.is_empty() {
        return Ok(None);
    }
    let first = |descending| {
        let options = SortOptions { descending, nulls_first: false };
        let at = sort_to_indices(values, Some(options), Some(1))?.value(0) as usize;
        ScalarValue::try_from_array(values, at)
    };
    Ok(Some([first(false)?, first(true)?]))
}

/// Whether a source knows how the values of an output column are distributed. A guess would cost the receipt its count of rows
/// without a partner, and mostly save nothing.
fn knows_values(scan: &Scan, at: usize) -> bool {
    scan.column_origin(at).is_some_and(|(table, column)| {
        let known = table.description.statistics.columns.get(column.field.name());
        known.is_some_and(|known| known.bounds.len() > 1)
    })
}

/// The scan of a sub-query for those of its rows alone that are in these ranges, where its source takes the conditions and, by
/// what it knows of the columns' values, is expected to send much less then; or `always` where it takes them.
pub(super) async fn plan(
    node: &SourceScan,
    whole_rows: Option<u64>,
    ranges: &[KeyRange],
    context: &QueryContext,
    always: bool,
) -> Result<Option<PlannedScan>> {
    let schema = node.scan.schema();
    let mut predicates = Vec::new();
    for range in ranges.iter().filter(|range| always || knows_values(&node.scan, range.at)) {
        let column = Expr::Column(Column::from(schema.qualified_field(range.at)));
        let least = range.least.iter().map(|least| column.clone().gt_eq(lit(least.clone())));
        let greatest = range.greatest.iter().map(|greatest| column.clone().lt_eq(lit(greatest.clone())));
        predicates.extend(least.chain(greatest));
    }
    if predicates.is_empty() {
        return Ok(None);
    }
    let connector = node.source.connector().await?;
    let tree = Arc::new(Scan::Filter { input: Arc::clone(&node.scan), predicates });
    // What a source uses inexactly serves as well: the join compares every row.
    if !connector.offer(&tree).reasons().is_empty() {
        return Ok(None);
    }
    let planned =
        connector.plan_scan(&tree, context).await.map_err(|error| error.with_source_name(node.source.name()))?;
    let is_less = match (planned.statistics.rows.value(), whole_rows) {
        (Some(rows), Some(whole)) => (rows as f64) < LARGEST_SHARE * whole as f64,
        _ => false,
    };
    Ok((always || is_less).then_some(planned))
}
