use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, LimitOptions};

use super::rule::{EachOperator, Rewritten};

/// The most groups that an aggregate with a limit makes room for before it has read a row.
const MAX_GROUPS: usize = 100_000;

/// Takes a limit out of an aggregate that cannot keep it; the limit above it stays.
///
/// DataFusion lets an aggregate for DISTINCT end after so many groups. Where it finds out later that the rows come in an order, it
/// runs the aggregate by an operator that wants an order of values for its limit, and fails for the want of it. And an aggregate
/// below a sort with a limit takes the memory for ten times so many groups at once, however many there are.
pub(super) const RULE: EachOperator = EachOperator { name: "aggregate_limit", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(plan)) };
    let cannot_keep = |limit: LimitOptions| limit.descending().is_none() || limit.limit() > MAX_GROUPS;
    if !aggregate.limit_options().is_some_and(cannot_keep) || aggregate.is_unordered_unfiltered_group_by_distinct() {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(Arc::new(aggregate.with_new_limit_options(None))))
}
