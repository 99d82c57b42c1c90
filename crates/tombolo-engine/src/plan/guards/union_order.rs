use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;

use super::rule::{EachOperator, Rewritten};
use super::unordered::unordered;

/// Hides from DataFusion's rules in which order the branches of a union are.
///
/// A column that is another constant in each branch, such as the name of a source, is no key within a branch, so DataFusion
/// leaves it out where it sorts the branches by themselves. But a sort with a limit shares between the branches how far its rows
/// have come, by the keys that are left: rows of one branch are then dropped since others have more, though they come first by
/// the key that was left out. And where a branch has one column twice, no order is found for the union, and no plan.
pub(super) const RULE: EachOperator = EachOperator { name: "union_order", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    if !plan.is::<UnionExec>() {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(unordered(plan)?))
}
