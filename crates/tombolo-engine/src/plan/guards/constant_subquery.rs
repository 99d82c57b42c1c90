use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::empty_groups::has_one_row;
use super::rule::{EachNode, each_expression};

/// Puts a constant in place of a scalar sub-select that is one: `(SELECT 'x' FROM … WHERE a = outer.b)` over an aggregate
/// without groups, which has one row whatever it reads.
///
/// DataFusion makes a left join of it, and puts back for the rows without a partner what aggregates give of no rows, but not what
/// stands beside them; so the constant was NULL there. Such a sub-select comes of what the simplifier leaves of
/// `coalesce('x', max(c))`.
pub(super) const RULE: EachNode = EachNode { name: "constant_subquery", rewrite };

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    each_expression(plan, |expr| {
        Ok(match &expr {
            Expr::ScalarSubquery(subquery) => {
                constant(&subquery.subquery).map_or(Transformed::no(expr), Transformed::yes)
            }
            _ => Transformed::no(expr),
        })
    })
}

/// The one value of a sub-select that has one row whatever it reads, if it is a constant.
fn constant(plan: &Arc<LogicalPlan>) -> Option<Expr> {
    match plan.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => constant(&alias.input),
        LogicalPlan::Projection(projection) if has_one_row(&projection.input) => match projection.expr.as_slice() {
            [expr] => Some(expr.clone().unalias_nested().data).filter(|expr| matches!(expr, Expr::Literal(..))),
            _ => None,
        },
        _ => None,
    }
}
