use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::rule::EachNode;

/// Puts the literal of a comparison on its right, in conditions of joins and filters.
///
/// DataFusion does so for filters and not for joins, and then infers a filter of one side from the join's condition. Where it
/// meets `x = 1` and `1 = x` in one filter, it holds them to contradict each other, and the filter to be false.
pub(super) const RULE: EachNode = EachNode { name: "literal_sides", rewrite };

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(_) | LogicalPlan::Filter(_) => {
            plan.map_expressions(|expr| expr.transform_up(|expr| Ok(with_literal_right(expr))))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn with_literal_right(expr: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Transformed::no(expr) };
    match op.swap() {
        Some(op) if is_literal(&left) && !is_literal(&right) => {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: right, op, right: left }))
        }
        _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}
