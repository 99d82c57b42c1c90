use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};

use super::KeyConversion;

/// Converts the columns of a correlated filter in a projection below it.
///
/// DataFusion makes a join of a sub-select that aggregates only where its condition compares columns of its own, as they are or
/// cast, with those around it.
pub(super) fn converted_below(filter: Filter) -> Result<LogicalPlan> {
    let mut converted: Vec<Expr> = Vec::new();
    let mut conditions = Vec::new();
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        if !condition.contains_outer() {
            conditions.push(condition);
            continue;
        }
        let condition = condition.transform_up(|expr| {
            if !is_conversion_of_column(&expr) {
                return Ok(Transformed::no(expr));
            }
            let name = expr.schema_name().to_string();
            let named = expr.alias(&name);
            if !converted.contains(&named) {
                converted.push(named);
            }
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
        })?;
        conditions.push(condition.data);
    }
    let Some(predicate) = conjunction(conditions).filter(|_| !converted.is_empty()) else {
        return Ok(LogicalPlan::Filter(filter));
    };
    let columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
    let below = Projection::try_new(columns.iter().cloned().chain(converted).collect(), filter.input)?;
    let kept = Filter::try_new(predicate, Arc::new(LogicalPlan::Projection(below)))?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Filter(kept)))?))
}

fn is_conversion_of_column(expr: &Expr) -> bool {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return false };
    func.inner().is::<KeyConversion>() && matches!(args.as_slice(), [Expr::Column(_)])
}
