use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Projection, Sort, Subquery, SubqueryAlias, lit};
use datafusion::optimizer::OptimizerConfig;

use super::rule::{EachNode, each_expression};

/// Keeps `EXISTS` and `IN` over an aggregate without groups right: it has a row of no rows too.
///
/// DataFusion joins the outer rows with the groups that there are of a sub-select with a condition on them, so that
/// `EXISTS (SELECT max(a) FROM t WHERE t.k = o.k)` was false where no row has that key. Where such an aggregate is all of the sub-select,
/// it is true; where a condition or a computation is above the aggregate, it is refused.
pub(super) const RULE: EachNode = EachNode { name: "empty_groups", rewrite };

/// Aggregates that are null of no rows, which no value is in.
const NULL_OF_NONE: &[&str] = &["min", "max", "sum", "avg"];

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    each_expression(plan, |expr| match &expr {
        Expr::Exists(Exists { subquery, negated }) if has_one_row(&subquery.subquery) => {
            Ok(Transformed::yes(lit(!negated)))
        }
        Expr::Exists(Exists { subquery, .. }) if loses_a_row(subquery)? => refused("EXISTS"),
        Expr::InSubquery(InSubquery { subquery, .. })
            if loses_a_row(subquery)? && !is_null_of_none(&subquery.subquery) =>
        {
            refused("IN")
        }
        _ => Ok(Transformed::no(expr)),
    })
}

fn refused<T>(operator: &str) -> Result<T> {
    not_impl_err!(
        "{operator} of a sub-select that aggregates without GROUP BY what has a condition on the outer query; \
         compare a scalar sub-select of the aggregate in its place"
    )
}

/// Whether a plan has one row whatever it reads.
pub(super) fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. })
        | LogicalPlan::Distinct(Distinct::All(input))
        | LogicalPlan::Sort(Sort { input, fetch: None, .. }) => has_one_row(input),
        _ => false,
    }
}

/// Whether an aggregate without groups reads rows that a condition on the outer query chooses.
fn loses_a_row(subquery: &Subquery) -> Result<bool> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(false);
    }
    subquery.subquery.exists(|plan| {
        let LogicalPlan::Aggregate(aggregate) = plan else { return Ok(false) };
        let is_chosen = |plan: &LogicalPlan| Ok(plan.expressions().iter().any(Expr::contains_outer));
        Ok(aggregate.group_expr.is_empty() && aggregate.input.exists(is_chosen)?)
    })
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_column(&alias.expr),
        // A null of another type is null.
        Expr::Cast(cast) => is_column(&cast.expr),
        Expr::Column(_) => true,
        _ => false,
    }
}

/// Whether the value is that of an aggregate alone which is null of no rows.
fn is_null_of_none(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().all(|expr| match expr.clone().unalias() {
            Expr::AggregateFunction(call) => NULL_OF_NONE.contains(&call.func.name()),
            _ => false,
        }),
        LogicalPlan::Projection(Projection { expr, input, .. }) => expr.iter().all(is_column) && is_null_of_none(input),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_null_of_none(input),
        _ => false,
    }
}
