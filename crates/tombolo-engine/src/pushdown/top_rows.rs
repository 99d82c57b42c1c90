use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Sort, SortExpr};

use super::expressions;
use crate::plan::estimated_rows;

/// Takes the first rows of an order from the side that a join keeps whole, before the join.
///
/// Each row of that side comes out of the join once at least, with its own values. So the first `n` rows by these values are of the
/// first `n` rows of the side.
pub(super) fn top_rows_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_down_with_subqueries(rewrite)?.data)
}

fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Sort(Sort { expr, input, fetch: Some(fetch) }) = &plan else { return Ok(Transformed::no(plan)) };
    if expr.iter().any(|key| key.expr.is_volatile()) {
        return Ok(Transformed::no(plan));
    }
    let Some(below) = below(input, expr, *fetch)? else { return Ok(Transformed::no(plan)) };
    let sort = Sort { expr: expr.clone(), input: Arc::new(below), fetch: Some(*fetch) };
    Ok(Transformed::yes(LogicalPlan::Sort(sort)))
}

/// The input of a sort with the side of a join limited; none where there is no such side, or it is limited already.
fn below(plan: &LogicalPlan, keys: &[SortExpr], fetch: usize) -> Result<Option<LogicalPlan>> {
    if let Some((input, keys)) = through(plan, keys)? {
        let Some(input) = below(input, &keys, fetch)? else { return Ok(None) };
        return plan.with_new_exprs(plan.expressions(), vec![input]).map(Some);
    }
    match plan {
        LogicalPlan::Join(join) => {
            let kept = match join.join_type {
                JoinType::Left | JoinType::LeftMark => &join.left,
                JoinType::Right | JoinType::RightMark => &join.right,
                _ => return Ok(None),
            };
            if !is_of(keys, kept.schema()) || is_limited(kept, fetch) {
                return Ok(None);
            }
            let first = Sort { expr: keys.to_vec(), input: Arc::clone(kept), fetch: Some(fetch) };
            let first = Arc::new(LogicalPlan::Sort(first));
            Ok(Some(LogicalPlan::Join(match join.join_type {
                JoinType::Left | JoinType::LeftMark => Join { left: first, ..join.clone() },
                _ => Join { right: first, ..join.clone() },
            })))
        }
        _ => Ok(None),
    }
}

/// The input of an operator that passes on every row as it comes, and sort keys by its columns.
pub(super) fn through<'a>(
    plan: &'a LogicalPlan,
    keys: &[SortExpr],
) -> Result<Option<(&'a LogicalPlan, Vec<SortExpr>)>> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let columns = projection.schema.columns().into_iter().zip(projection.expr.iter().cloned());
            let columns: HashMap<Column, Expr> = columns.map(|(column, expr)| (column, expr.unalias())).collect();
            if columns.values().any(Expr::is_volatile) {
                return Ok(None);
            }
            let keys = renamed(keys, |column| columns.get(column).cloned())?;
            Ok(keys.map(|keys| (projection.input.as_ref(), keys)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let inner = alias.input.schema();
            let column = |column: &Column| {
                let at = alias.schema.maybe_index_of_column(column)?;
                Some(Expr::Column(Column::from(inner.qualified_field(at))))
            };
            Ok(renamed(keys, column)?.map(|keys| (alias.input.as_ref(), keys)))
        }
        _ => Ok(None),
    }
}

/// Keys over the columns below; none where a column is not there.
fn renamed(keys: &[SortExpr], below: impl Fn(&Column) -> Option<Expr>) -> Result<Option<Vec<SortExpr>>> {
    let key = |key: &SortExpr| {
        let expr = expressions::renamed(&key.expr, &below)?;
        Ok(expr.map(|expr| SortExpr::new(expr, key.asc, key.nulls_first)))
    };
    keys.iter().map(key).collect()
}

pub(super) fn is_of(keys: &[SortExpr], schema: &DFSchema) -> bool {
    let columns = keys.iter().flat_map(|key| key.expr.column_refs());
    columns.into_iter().all(|column| schema.has_column(column))
}

/// Whether no more rows than these come anyway, as far as is known.
fn is_limited(plan: &LogicalPlan, fetch: usize) -> bool {
    plan.max_rows().is_some_and(|rows| rows <= fetch) || estimated_rows(plan).is_some_and(|rows| rows <= fetch as f64)
}
