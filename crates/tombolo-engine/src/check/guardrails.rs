//! What is sure to be read and sorted, held against the guardrails before anything runs.
//!
//! Refused is only what there is no doubt about: what sources have counted, and half of what they estimate. Whatever may be cut
//! short, by a limit above or by keys that come at run time, counts for nothing here. What comes is counted when the query runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::union::UnionExec;
use tombolo_connector::{Connector, Result, RowCount, Scan, ScanJoin};

use crate::execute::{Budget, Expected, SourceScanExec, inputs};
use crate::fuse::EitherExec;

/// What sources are sure to send, by budget.
type Totals = BTreeMap<*const Budget, (Arc<Budget>, Expected, Expected)>;

/// Refuses a plan whose sources are sure to send more than they may.
///
/// # Errors
/// [`GuardrailRefused`](tombolo_connector::ErrorCode::GuardrailRefused).
pub(crate) fn check_budgets(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut totals = Totals::new();
    add(plan, true, &mut totals);
    totals.values().try_for_each(|(budget, rows, bytes)| budget.expect(*rows, *bytes))
}

/// Adds what the scans of a plan will send. `whole` says that the plan is read to its end.
fn add(plan: &Arc<dyn ExecutionPlan>, whole: bool, totals: &mut Totals) {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        if let Some(rows) = sent(scan).filter(|_| whole) {
            let width = known_width(&scan.scan().scan);
            let bytes = rows.each(|rows| (rows as f64 * width) as u64);
            for budget in scan.budgets() {
                let none = || (Arc::clone(budget), Expected::default(), Expected::default());
                let total = totals.entry(Arc::as_ptr(budget)).or_insert_with(none);
                (total.1, total.2) = (total.1.and(rows), total.2.and(bytes));
            }
        }
        return;
    }
    // All rows are in before the first is out.
    let gathers = plan.properties().emission_type == EmissionType::Final;
    let whole = gathers || (whole && plan.fetch().is_none());
    if plan.is::<EitherExec>() {
        let [one, other] = plan.children()[..] else { return };
        let (mut grouped, mut plain) = (Totals::new(), Totals::new());
        add(one, whole, &mut grouped);
        add(other, whole, &mut plain);
        for (key, (budget, rows, bytes)) in grouped {
            let Some((_, other_rows, other_bytes)) = plain.get(&key) else { continue };
            let total = totals.entry(key).or_insert_with(|| (budget, Expected::default(), Expected::default()));
            (total.1, total.2) = (total.1.and(fewer(rows, *other_rows)), total.2.and(fewer(bytes, *other_bytes)));
        }
        return;
    }
    let is_cut = !whole && plan.is::<UnionExec>();
    for (at, input) in inputs(plan).into_iter().enumerate() {
        // Of a union that is cut, some inputs may never be begun; a hash join has its first side before it gives a row.
        if !is_cut {
            add(input, whole || (at == 0 && plan.is::<HashJoinExec>()), totals);
        }
    }
}

fn fewer(one: Expected, other: Expected) -> Expected {
    if one.least <= other.least { one } else { other }
}

/// The rows that are sure to enter the sort that makes the answer of a plan, which has no limit: those of the answer.
pub(crate) fn sorted_rows(plan: &Arc<dyn ExecutionPlan>) -> Option<Expected> {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        return sent(scan);
    }
    if plan.fetch().is_some() {
        return None;
    }
    let children = plan.children();
    if plan.is::<UnionExec>() {
        return Some(children.into_iter().filter_map(sorted_rows).fold(Expected::default(), Expected::and));
    }
    match (plan.downcast_ref::<HashJoinExec>(), children.as_slice()) {
        (Some(join), [left, right]) => kept(*join.join_type())
            .into_iter()
            .filter_map(|side| sorted_rows([left, right][side]))
            .max_by_key(|rows| rows.least),
        // What OFFSET leaves out is sorted too.
        (None, [input]) if plan.is::<GlobalLimitExec>() => sorted_rows(input),
        (None, [input]) if matches!(plan.cardinality_effect(), CardinalityEffect::Equal) => sorted_rows(input),
        _ => None,
    }
}

/// The sides of a join of which each row comes out at least once.
fn kept(join_type: JoinType) -> Vec<usize> {
    match join_type {
        JoinType::Left | JoinType::LeftMark => vec![0],
        JoinType::Right | JoinType::RightMark => vec![1],
        JoinType::Full => vec![0, 1],
        _ => Vec::new(),
    }
}

/// The rows that a sub-query is sure to send if it is read to its end.
fn sent(scan: &SourceScanExec) -> Option<Expected> {
    if !scan.supplies().is_empty() || scan.stops_early() {
        return None;
    }
    if let RowCount::Exact(rows) = scan.scan_statistics().rows {
        return Some(Expected::counted(rows));
    }
    let node = scan.scan();
    expected(&node.scan, node.source.connector_if_connected()?.as_ref())
}

/// The rows that a source is sure to send for a tree, as far as its statistics say.
fn expected(scan: &Scan, source: &dyn Connector) -> Option<Expected> {
    match scan {
        Scan::Table(table) => match table.description.statistics.rows {
            RowCount::Exact(rows) => Some(Expected::counted(rows)),
            RowCount::Estimated(rows) => Some(Expected::estimated(rows)),
            RowCount::Unknown => None,
        },
        Scan::Filter { input, predicates } => {
            expected(input, source)?;
            let is_known = predicates.iter().all(|predicate| has_statistics(input, predicate));
            source.estimate(scan).rows.value().filter(|_| is_known).map(Expected::estimated)
        }
        Scan::Project { input, .. } | Scan::Alias { input, .. } | Scan::Window { input, .. } => expected(input, source),
        Scan::Sort { input, fetch, .. } => {
            Some(expected(input, source)?.each(|rows| fetch.map_or(rows, |fetch| rows.min(fetch as u64))))
        }
        Scan::Limit { input, skip, fetch } => Some(expected(input, source)?.each(|rows| {
            let left = rows.saturating_sub(*skip as u64);
            fetch.map_or(left, |fetch| left.min(fetch as u64))
        })),
        Scan::Union { inputs, .. } => {
            Some(inputs.iter().filter_map(|input| expected(input, source)).fold(Expected::default(), Expected::and))
        }
        Scan::Join(ScanJoin { left, right, join_type, .. }) => {
            let sides = [left, right];
            let kept = kept(*join_type).into_iter().filter_map(|side| expected(sides[side], source));
            kept.max_by_key(|rows| rows.least)
        }
        Scan::Aggregate(aggregate) => aggregate.group.is_empty().then(|| Expected::counted(1)),
    }
}

/// Whether the source knows how the values of all columns of a condition are spread.
fn has_statistics(input: &Scan, predicate: &Expr) -> bool {
    let columns = predicate.column_refs();
    !columns.is_empty()
        && columns.into_iter().all(|column| {
            let origin = input.schema().maybe_index_of_column(column).and_then(|at| input.column_origin(at));
            origin
                .and_then(|(table, column)| table.description.statistics.columns.get(column.field.name()))
                .is_some_and(|known| !known.common.is_empty() || known.bounds.len() > 1)
        })
}

/// The bytes of a row of a tree in Arrow, as far as they are known: of a text whose length is not, none.
fn known_width(scan: &Scan) -> f64 {
    let fields = scan.schema().fields().iter().enumerate();
    let widths = fields.filter_map(|(at, field)| {
        field.data_type().primitive_width().map(|bytes| bytes as f64).or_else(|| {
            let (table, column) = scan.column_origin(at)?;
            table.description.statistics.columns.get(column.field.name())?.width
        })
    });
    widths.sum()
}
