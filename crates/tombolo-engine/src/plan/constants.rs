use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, WindowExpr};

use super::unordered::UnorderedExec;

/// Hides from DataFusion's rules which columns are constant where they are not so any more above, and the order of values that
/// aggregates over windows do not have.
///
/// DataFusion holds a column that is constant on a side of a join that is filled up with nulls to be constant above the join too,
/// where it is null in the rows without a partner; and one that is constant below grouping sets, in some of which it is null. It
/// then leaves out sorts by it, and takes all rows for one partition of a window.
#[derive(Debug)]
pub(super) struct ConstantsRule;

impl PhysicalOptimizerRule for ConstantsRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(hidden)?.data)
    }

    fn name(&self) -> &'static str {
        "ConstantsRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn hidden(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let has_sets = plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| !aggregate.group_expr().is_single());
    let is_lost = match join_type(plan.as_ref()) {
        Some(join_type) => is_filled_up(join_type).to_vec(),
        None => vec![has_sets],
    };
    let inputs: Vec<_> = plan.children().into_iter().map(Arc::clone).zip(is_lost).collect();
    let mut plan = plan;
    if inputs.iter().any(|(input, is_lost)| *is_lost && has_constants(input)) {
        let inputs = inputs.into_iter().map(|(input, is_lost)| -> Arc<dyn ExecutionPlan> {
            if is_lost && has_constants(&input) { Arc::new(UnorderedExec::new(input)) } else { input }
        });
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        plan = plan.replace_children(inputs.collect(), options)?;
    }
    // A key can be a constant by itself; and windows say an order of their values that has the nulls at the wrong end.
    if (has_sets && has_constants(&plan)) || has_growing_windows(plan.as_ref()) {
        plan = Arc::new(UnorderedExec::new(plan));
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
