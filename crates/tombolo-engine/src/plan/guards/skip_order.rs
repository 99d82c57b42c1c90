use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::rule::{EachOperator, Rewritten};

/// More rows than there can be. A sort that gives no more than so many is dropped by no rule.
const ALL_ROWS: usize = 1 << 62;

/// Keeps the sort below an `OFFSET`: before DataFusion's rules.
///
/// DataFusion knows that a limit wants the order below it by its number of rows, which `OFFSET` alone does not have. It then drops
/// the sort where nothing above wants the order, and other rows are passed over. So the first of these rules gives such a sort a
/// number of rows before DataFusion's rules, and the last takes it away after them. The limit gets it too: through one that has none,
/// DataFusion moves the sort that an operator above it wants, so that the first rows of that order are passed over.
pub(super) const FIRST: EachOperator = EachOperator { name: "skip_order_first", rewrite: with_rows };

/// Keeps the sort below an `OFFSET`: after DataFusion's rules.
pub(super) const LAST: EachOperator = EachOperator { name: "skip_order_last", rewrite: without_rows };

fn with_rows(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let skips = plan.downcast_ref::<GlobalLimitExec>().filter(|limit| limit.skip() > 0 && limit.fetch().is_none());
    let Some(limit) = skips else { return Ok(Transformed::no(plan)) };
    let input = kept(Arc::clone(limit.input()))?;
    Ok(Transformed::yes(Arc::new(GlobalLimitExec::new(input, limit.skip(), Some(ALL_ROWS)))))
}

fn without_rows(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    if plan.fetch().is_none_or(|rows| rows < ALL_ROWS) {
        return Ok(Transformed::no(plan));
    }
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
        return Ok(Transformed::yes(Arc::new(GlobalLimitExec::new(Arc::clone(limit.input()), limit.skip(), None))));
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
