use std::sync::Arc;

use datafusion::common::plan_err;
use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, get_ordered_partition_by_indices};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};

use super::rule::{EachOperator, Rewritten};

/// Says while there is time that a window will not find the order of its partitions.
///
/// What a window reads is sorted by its partitions. Whether it is, the window asks DataFusion when it begins, and fails where that does
/// not know: after `WHERE a + a = a`, which makes `a` another name of `a + a`, it does not know of an order by `a`.
pub(super) const RULE: EachOperator = EachOperator { name: "partition_order", rewrite: checked };

fn checked(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let bounded = plan.downcast_ref::<BoundedWindowAggExec>();
    let bounded = bounded.filter(|window| window.input_order_mode == InputOrderMode::Sorted);
    let window = bounded.map(|window| (window.window_expr(), window.input()));
    let window =
        window.or_else(|| plan.downcast_ref().map(|window: &WindowAggExec| (window.window_expr(), window.input())));
    if let Some(([first, ..], input)) = window
        && get_ordered_partition_by_indices(first.partition_by(), input)?.len() < first.partition_by().len()
    {
        return plan_err!("what a window reads does not satisfy order requirements");
    }
    Ok(Transformed::no(plan))
}
