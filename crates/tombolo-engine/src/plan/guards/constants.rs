use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, WindowExpr};

use super::rule::{EachOperator, Rewritten, is_join};
use super::unordered::unordered;

/// Hides from DataFusion's rules which columns are constant below joins and grouping sets, and the order of values that
/// aggregates over windows do not have.
///
/// DataFusion holds a column that is constant on a side of a join that is filled up with nulls to be constant above the join too,
/// where it is null in the rows without a partner; and one that is constant below grouping sets, in some of which it is null. It
/// then leaves out sorts by it, and takes all rows for one partition of a window. And it forgets the constants of a join's right
/// side, after it has left out sorts by them there: the plan fails for want of the order.
pub(super) const RULE: EachOperator = EachOperator { name: "constants", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let has_sets = plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| !aggregate.group_expr().is_single());
    let mut plan = plan;
    if (has_sets || is_join(plan.as_ref())) && plan.children().into_iter().any(has_constants) {
        let inputs = plan.children().into_iter().map(|input| {
            let input = Arc::clone(input);
            if has_constants(&input) { unordered(input) } else { Ok(input) }
        });
        let inputs = inputs.collect::<Result<_>>()?;
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        plan = Arc::clone(&plan).replace_children(inputs, options)?;
    }
    // A key can be a constant by itself; and windows say an order of their values that has the nulls at the wrong end.
    if (has_sets && has_constants(&plan)) || has_growing_windows(plan.as_ref()) {
        plan = unordered(plan)?;
    }
    Ok(Transformed::yes(plan))
}

/// Whether it computes aggregates over windows, of which DataFusion holds some to grow from row to row.
fn has_growing_windows(plan: &dyn ExecutionPlan) -> bool {
    let bounded = plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr);
    let windows = bounded.or_else(|| plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr));
    let is_aggregate = |window: &Arc<dyn WindowExpr>| !window.as_any().is::<StandardWindowExpr>();
    windows.is_some_and(|windows| windows.iter().any(is_aggregate))
}

fn has_constants(plan: &Arc<dyn ExecutionPlan>) -> bool {
    !plan.equivalence_properties().constants().is_empty()
}
