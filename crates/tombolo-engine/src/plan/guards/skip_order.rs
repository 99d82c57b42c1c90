use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::rule::{EachOperator, Rewritten};
use super::unordered::unordered;

/// More rows than there can be. A sort that gives no more than so many is dropped by no rule.
const ALL_ROWS: usize = 1 << 62;

/// Keeps the sort below an `OFFSET`: before DataFusion's rules.
///
/// DataFusion knows that a limit wants the order below it by its number of rows, which `OFFSET` alone does not have. It then drops
/// the sort where nothing above wants the order, and other rows are passed over. So the first of these rules gives such a sort a
/// number of rows before DataFusion's rules, and the last takes it away after them.
pub(super) const FIRST: EachOperator = EachOperator { name: "skip_order_first", rewrite: with_rows };

/// Keeps sorts that operators above an `OFFSET` want from going below it.
///
/// DataFusion moves a sort down through everything that keeps an order, and a limit does. It looks after the number of rows of one, and
/// not after those that it passes over: these would be the first of another order.
pub(super) const ABOVE: EachOperator = EachOperator { name: "skip_order_above", rewrite: with_barriers };

/// Keeps the sort below an `OFFSET`: after DataFusion's rules.
pub(super) const LAST: EachOperator = EachOperator { name: "skip_order_last", rewrite: without_rows };

fn with_rows(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let skips = plan.downcast_ref::<GlobalLimitExec>().filter(|limit| limit.skip() > 0 && limit.fetch().is_none());
    let Some(limit) = skips else { return Ok(Transformed::no(plan)) };
    let input = kept(Arc::clone(limit.input()))?;
    Ok(Transformed::yes(Arc::new(GlobalLimitExec::new(input, limit.skip(), None))))
}

fn with_barriers(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    if keeps_order(&plan) || !plan.children().into_iter().any(is_skipping) {
        return Ok(Transformed::no(plan));
    }
    let input = |input: &Arc<dyn ExecutionPlan>| {
        let input = Arc::clone(input);
        if is_skipping(&input) { unordered(input) } else { Ok(input) }
    };
    let inputs = plan.children().into_iter().map(input).collect::<Result<_>>()?;
    plan.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)).map(Transformed::yes)
}

/// Whether it passes rows on in their order and wants none itself, as windows do.
fn keeps_order(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_window = plan.is::<WindowAggExec>() || plan.is::<BoundedWindowAggExec>();
    plan.maintains_input_order() == [true] && !is_window
}

/// Whether the rows of a plan are those that an `OFFSET` has left.
fn is_skipping(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<GlobalLimitExec>().is_some_and(|limit| limit.skip() > 0)
        || (keeps_order(plan) && plan.children().into_iter().any(is_skipping))
}

fn without_rows(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    if plan.fetch().is_none_or(|rows| rows < ALL_ROWS) {
        return Ok(Transformed::no(plan));
    }
    Ok(plan.with_fetch(None).map_or_else(|| Transformed::no(plan), Transformed::yes))
}

/// The plan with the sort that its order comes from made one that is kept.
fn kept(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        return Ok(if sort.fetch().is_some() { plan } else { Arc::new(sort.with_fetch(Some(ALL_ROWS))) });
    }
    let below = match plan.children().as_slice() {
        [input] if plan.maintains_input_order() == [true] => Arc::clone(input),
        _ => return Ok(plan),
    };
    plan.replace_children(vec![kept(below)?], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}
