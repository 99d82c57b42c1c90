use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::unordered::UnorderedExec;

/// Hides from DataFusion's rules which columns are constant on a side of a join that is filled up with nulls.
///
/// DataFusion holds such a column to be constant above the join too, where it is null in the rows without a partner: it then
/// leaves out sorts by it, and takes all rows for one partition of a window.
#[derive(Debug)]
pub(super) struct OuterJoinConstantsRule;

impl PhysicalOptimizerRule for OuterJoinConstantsRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            let Some([left, right]) = join_type(plan.as_ref()).map(is_filled_up) else {
                return Ok(Transformed::no(plan));
            };
            let sides: Vec<_> = plan.children().into_iter().map(Arc::clone).zip([left, right]).collect();
            let has_constants = |input: &Arc<dyn ExecutionPlan>| !input.equivalence_properties().constants().is_empty();
            if !sides.iter().any(|(input, filled_up)| *filled_up && has_constants(input)) {
                return Ok(Transformed::no(plan));
            }
            let sides = sides.into_iter().map(|(input, filled_up)| -> Arc<dyn ExecutionPlan> {
                if filled_up && has_constants(&input) { Arc::new(UnorderedExec::new(input)) } else { input }
            });
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            plan.replace_children(sides.collect(), options).map(Transformed::yes)
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "OuterJoinConstantsRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn join_type(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    let hash = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let merge = || plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let nested = || plan.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    let streamed = || plan.downcast_ref::<SymmetricHashJoinExec>().map(|join| *join.join_type());
    hash.or_else(merge).or_else(nested).or_else(streamed)
}

/// Whether rows without a partner come with nulls in place of the left and of the right side.
fn is_filled_up(join_type: JoinType) -> [bool; 2] {
    [matches!(join_type, JoinType::Right | JoinType::Full), matches!(join_type, JoinType::Left | JoinType::Full)]
}
