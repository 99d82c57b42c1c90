use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ExprSchema, Result, Spans};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, Projection, SkipType, Sort, Subquery, lit,
};
use datafusion::optimizer::OptimizerConfig;

use super::rule::{EachNode, each_expression};

/// Computes the value of `EXISTS (SELECT …)` and `x IN (SELECT …)` where it is not a condition: in a select list, a group or a CASE
/// there. DataFusion makes joins of those in conditions alone, and has no operator for the others.
///
/// `EXISTS` is true where the sub-select has a row, so its rows are counted; `IN` where it has one with that value. Where a null
/// could make that unknown, it was refused before.
pub(super) const RULE: EachNode = EachNode { name: "exists_value", rewrite };

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    // What is left in a condition is none that a join is made of, and this would be none either.
    if matches!(plan, LogicalPlan::Filter(_)) {
        return Ok(Transformed::no(plan));
    }
    let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    each_expression(plan, |expr| {
        let (rows, negated) = match &expr {
            Expr::Exists(Exists { subquery, negated }) => (existing(subquery)?, *negated),
            Expr::InSubquery(subquery) => (equal(subquery, &inputs)?, subquery.negated),
            _ => (None, false),
        };
        Ok(match rows {
            Some(rows) if negated => Transformed::yes(rows.eq(lit(0_i64))),
            Some(rows) => Transformed::yes(rows.gt(lit(0_i64))),
            None => Transformed::no(expr),
        })
    })
}

/// How many rows a sub-select has, as far as it matters whether there is one.
fn existing(subquery: &Subquery) -> Result<Option<Expr>> {
    let outer = subquery.outer_ref_columns.clone();
    let mut rows = subquery.subquery.as_ref();
    if outer.is_empty() {
        return counted(LogicalPlanBuilder::from(rows.clone()).limit(0, Some(1))?, outer).map(Some);
    }
    // What only orders, names or thins out rows hides the condition on the outer query.
    while let Some(input) = keeps_one(rows)? {
        rows = input;
    }
    if matches!(rows, LogicalPlan::Limit(_)) {
        return Ok(None);
    }
    counted(LogicalPlanBuilder::from(rows.clone()), outer).map(Some)
}

/// The input of an operator out of which a row comes where there is one in it.
fn keeps_one(plan: &LogicalPlan) -> Result<Option<&LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::Distinct(Distinct::All(input))
        | LogicalPlan::Sort(Sort { input, fetch: None, .. }) => Some(input.as_ref()),
        LogicalPlan::Limit(limit) => {
            let is_from_first = matches!(limit.get_skip_type()?, SkipType::Literal(0));
            let has_first = matches!(limit.get_fetch_type()?, FetchType::Literal(fetch) if fetch != Some(0));
            (is_from_first && has_first).then_some(limit.input.as_ref())
        }
        _ => None,
    })
}

/// How many rows of a sub-select have a value.
fn equal(subquery: &InSubquery, inputs: &[LogicalPlan]) -> Result<Option<Expr>> {
    let InSubquery { expr, subquery: Subquery { subquery, outer_ref_columns, .. }, .. } = subquery;
    let has_limit = subquery.exists(|plan| Ok(matches!(plan, LogicalPlan::Limit(_))))?;
    let Some(value) = subquery.schema().columns().into_iter().next().filter(|_| !has_limit) else { return Ok(None) };
    let mut outer = outer_ref_columns.clone();
    let wanted = expr.as_ref().clone().transform(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        let field = inputs.iter().find_map(|input| input.schema().field_from_column(column).ok());
        let Some(field) = field else { return Ok(Transformed::no(expr)) };
        let reference = Expr::OuterReferenceColumn(Arc::clone(field), column.clone());
        if !outer.contains(&reference) {
            outer.push(reference.clone());
        }
        Ok(Transformed::yes(reference))
    })?;
    let rows = LogicalPlanBuilder::from(subquery.as_ref().clone()).filter(Expr::Column(value).eq(wanted.data))?;
    counted(rows, outer).map(Some)
}

fn counted(rows: LogicalPlanBuilder, outer_ref_columns: Vec<Expr>) -> Result<Expr> {
    let plan = rows.aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64))])?.build()?;
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }))
}
