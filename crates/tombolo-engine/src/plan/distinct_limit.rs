use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// Takes a limit out of an aggregate that cannot keep it; the limit above it stays.
///
/// DataFusion lets an aggregate for DISTINCT end after so many groups. Where it finds out later that the rows come in an order, it
/// runs the aggregate by an operator that wants an order of values for its limit, and fails for the want of it.
#[derive(Debug)]
pub(super) struct DistinctLimitRule;

impl PhysicalOptimizerRule for DistinctLimitRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(plan)) };
            let lacks_order = aggregate.limit_options().is_some_and(|limit| limit.descending().is_none());
            if !lacks_order || aggregate.is_unordered_unfiltered_group_by_distinct() {
                return Ok(Transformed::no(plan));
            }
            Ok(Transformed::yes(Arc::new(aggregate.with_new_limit_options(None)) as Arc<dyn ExecutionPlan>))
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "DistinctLimitRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
