//! The share of rows that a condition is held to keep. Rough: what is not known keeps all.

use datafusion::common::Column;
use datafusion::logical_expr::expr::{BinaryExpr, InList};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

use super::{bare, is_true};
use crate::plan::origin::base_column;

const EQUAL: f64 = 0.1;
const RANGE: f64 = 1.0 / 3.0;
const BETWEEN: f64 = 0.25;
const LIKE: f64 = 0.25;
const NULL: f64 = 0.1;

/// The share of the rows of `input` for which a condition holds.
pub(super) fn share(expr: &Expr, input: &LogicalPlan) -> f64 {
    match expr {
        expr if is_true(expr) => 1.0,
        Expr::Literal(..) => 0.0,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => share(left, input) * share(right, input),
            Operator::Or => {
                let (left, right) = (share(left, input), share(right, input));
                left + right - left * right
            }
            Operator::Eq | Operator::IsNotDistinctFrom => {
                bare(left).or_else(|| bare(right)).map_or(EQUAL, |column| of_one_value(column, input))
            }
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => RANGE,
            Operator::LikeMatch | Operator::ILikeMatch | Operator::RegexMatch | Operator::RegexIMatch => LIKE,
            _ => 1.0,
        },
        Expr::Like(like) if !like.negated => LIKE,
        Expr::SimilarTo(like) if !like.negated => LIKE,
        Expr::Between(between) if !between.negated => BETWEEN,
        Expr::InList(InList { expr, list, negated: false }) => {
            let one = bare(expr).map_or(EQUAL, |column| of_one_value(column, input));
            (one * list.len() as f64).min(1.0)
        }
        Expr::IsNull(expr) => bare(expr).and_then(|column| nulls(column, input)).unwrap_or(NULL),
        Expr::IsNotNull(expr) => 1.0 - bare(expr).and_then(|column| nulls(column, input)).unwrap_or(0.0),
        _ => 1.0,
    }
}

fn of_one_value(column: &Column, input: &LogicalPlan) -> f64 {
    let distinct = base_column(input, column).and_then(|column| column.distinct());
    distinct.map_or(EQUAL, |distinct| 1.0 / distinct.max(1.0))
}

fn nulls(column: &Column, input: &LogicalPlan) -> Option<f64> {
    let column = base_column(input, column)?;
    column.table.description().statistics.columns.get(&column.name)?.null_fraction
}

/// The column that a condition fixes to one value: `id = 7`.
pub(super) fn fixed_column(expr: &Expr) -> Option<&Column> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return None };
    let column = |side: &Expr, other: &Expr| (matches!(side, Expr::Column(_)) && !other.any_column_refs());
    match (left.as_ref(), right.as_ref()) {
        (side, other) if column(side, other) => side.try_as_col(),
        (other, side) if column(side, other) => side.try_as_col(),
        _ => None,
    }
}
