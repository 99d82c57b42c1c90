use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::rule::EachNode;

/// Puts a constant in place of a scalar sub-select that is one: `(SELECT 'x' FROM … WHERE a = outer.b)` over an aggregate
/// without groups, which has one row whatever it reads.
///
/// DataFusion makes a left join of it, and puts back for the rows without a partner what aggregates give of no rows, but not what
/// stands beside them; so the constant was NULL there. Such a sub-select comes of what the simplifier leaves of
/// `coalesce('x', max(c))`.
pub(super) const RULE: EachNode = EachNode { name: "constant_subquery", rewrite };

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let replaced = expr.transform_up(|expr| {
            Ok(match &expr {
                Expr::ScalarSubquery(subquery) => {
                    constant(&subquery.subquery).map_or(Transformed::no(expr), Transformed::yes)
                }
                _ => Transformed::no(expr),
            })
        })?;
        Ok(replaced.update_data(|expr| name.restore(expr)))
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

fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        _ => false,
    }
}
