use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};

use super::guards::{EachOperator, Rewritten};

/// Makes sort-merge joins, which spill, of hash joins, which do not.
///
/// DataFusion's planner has a wish for it, which it follows only where there are several streams; and each stream of a sort
/// needs memory of its own to read back what it spilled. This goes before the rule that adds sorts. NOT IN over a list that may
/// have nulls stays a hash join, since a sort-merge join cannot do it.
pub(super) const RULE: EachOperator = EachOperator { name: "sort_merge", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(plan)) };
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
    Ok(Transformed::yes(Arc::new(merged)))
}
