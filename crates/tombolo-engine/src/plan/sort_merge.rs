use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};

/// Makes sort-merge joins, which spill, of hash joins, which do not.
///
/// DataFusion's planner has a wish for it, which it follows only where there are several streams; and each stream of a sort
/// needs memory of its own to read back what it spilled. This goes before the rule that adds sorts. NOT IN over a list that may
/// have nulls stays a hash join, since a sort-merge join cannot do it.
#[derive(Debug)]
pub(super) struct SortMergeRule;

impl PhysicalOptimizerRule for SortMergeRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            let Some(join) = (plan.as_ref() as &dyn std::any::Any).downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            if join.null_aware || join.contains_projection() {
                return Ok(Transformed::no(plan));
            }
            let merged = SortMergeJoinExec::try_new(
                Arc::clone(join.left()),
                Arc::clone(join.right()),
                join.on().to_vec(),
                join.filter().cloned(),
                *join.join_type(),
                vec![SortOptions::default(); join.on().len()],
                join.null_equality(),
            )?;
            Ok(Transformed::yes(Arc::new(merged) as Arc<dyn ExecutionPlan>))
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "SortMergeRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
