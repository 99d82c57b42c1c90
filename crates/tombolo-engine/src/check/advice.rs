use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use tombolo_connector::{Connector, Scan, ScanTable, TableKind};

use crate::cost::{distinct, is_indexed, stored_rows};
use crate::execute::SourceScanExec;

/// Rows from which on a table is worth an index.
const WORTH: f64 = 10_000.0;
/// The share of rows that a condition may let through for an index to help.
const FEW: f64 = 0.1;

/// Indexes that a sub-query would be faster with, each as the statement that makes it and what it would serve. Only what none
/// of the source's own indexes serves is named.
pub(super) fn advice(scan: &SourceScanExec) -> Vec<String> {
    let node = scan.scan();
    let Some(connector) = node.source.connector_if_connected() else { return Vec::new() };
    let mut advice = Vec::new();
    let mut add = |tree: &Scan, at: usize, what: &str| {
        let Some((table, column)) = tree.column_origin(at).filter(|(table, _)| can_be_indexed(table)) else { return };
        let made = connector.index_advice(table.table(), &[column.field.name().as_str()]);
        let text = made.map(|made| format!("{made} would serve {what}"));
        advice.extend(text.filter(|text| !advice.contains(text)));
    };
    for report in scan.supplies().iter().map(|supply| supply.report()) {
        let is_shipped = !report.is_here && (report.batches.is_some() || report.keys.is_none());
        if is_shipped
            && !report.columns.iter().any(|at| is_indexed(&node.scan, *at))
            && let Some(at) = report.columns.first()
        {
            add(&node.scan, *at, &format!("the keys of {}", report.from));
        }
    }
    filters(&node.scan, connector.as_ref(), &mut add);
    advice
}

fn can_be_indexed(table: &ScanTable) -> bool {
    table.description.kind == TableKind::Table && stored_rows(&table.description) >= WORTH
}

/// Looks for filters that leave few rows and that no index serves.
fn filters(scan: &Scan, connector: &dyn Connector, add: &mut dyn FnMut(&Scan, usize, &str)) {
    if let Scan::Filter { input, predicates } = scan {
        let columns: Vec<usize> = predicates.iter().filter_map(|predicate| compared(input, predicate)).collect();
        let rows = |tree: &Scan| connector.estimate(tree).rows.value();
        let is_few = rows(scan).zip(rows(input)).is_some_and(|(left, of)| left as f64 <= of as f64 * FEW);
        if let Some(at) = columns.first().filter(|_| !columns.iter().any(|at| is_indexed(input, *at))) {
            if columns.iter().all(|at| distinct(input, *at).is_none()) {
                // Nothing says how many rows pass.
                add(input, *at, "the filter, if it leaves few rows");
            } else if is_few {
                add(input, *at, "the filter");
            }
        }
    }
    for input in scan.inputs() {
        filters(input, connector, add);
    }
}

/// The column that a condition compares with constants in a way that an index can answer.
fn compared(input: &Scan, predicate: &Expr) -> Option<usize> {
    let expr = match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_served = matches!(
                op,
                Operator::Eq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsNotDistinctFrom
            );
            match (left.as_ref(), right.as_ref()) {
                _ if !is_served => return None,
                (column, Expr::Literal(..)) | (Expr::Literal(..), column) => column,
                _ => return None,
            }
        }
        Expr::InList(InList { expr, negated: false, .. }) | Expr::Between(Between { expr, negated: false, .. }) => expr,
        _ => return None,
    };
    match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        _ => None,
    }
}
