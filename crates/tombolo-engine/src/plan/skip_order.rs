use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// More rows than there can be. A sort that gives no more than so many is dropped by no rule.
const ALL_ROWS: usize = 1 << 62;

/// Keeps the sort below an `OFFSET`.
///
/// DataFusion knows that a limit wants the order below it by its number of rows, which `OFFSET` alone does not have. It then drops
/// the sort where nothing above wants the order, and other rows are passed over. So the first of these rules gives such a sort a
/// number of rows before DataFusion's rules, and the last takes it away after them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SkipOrderRule {
    First,
    Last,
}

impl PhysicalOptimizerRule for SkipOrderRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| match self {
            Self::First => {
                let skips =
                    plan.downcast_ref::<GlobalLimitExec>().filter(|limit| limit.skip() > 0 && limit.fetch().is_none());
                let Some(limit) = skips else { return Ok(Transformed::no(plan)) };
                let input = kept(Arc::clone(limit.input()))?;
                Ok(
                    Transformed::yes(
                        Arc::new(GlobalLimitExec::new(input, limit.skip(), None)) as Arc<dyn ExecutionPlan>
                    ),
                )
            }
            Self::Last if plan.fetch().is_some_and(|rows| rows >= ALL_ROWS) => {
                Ok(plan.with_fetch(None).map_or_else(|| Transformed::no(plan), Transformed::yes))
            }
            Self::Last => Ok(Transformed::no(plan)),
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "SkipOrderRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
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
