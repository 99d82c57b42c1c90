use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

use super::rule::{EachOperator, Rewritten, is_join};

/// Lets a query be stopped amid the rows of a join.
///
/// DataFusion's sources yield to other tasks after some batches, and through them all that reads them. But a join makes many
/// batches of one that it has read; what is above it then works on without an end at which a time limit could be noticed.
pub(super) const RULE: EachOperator = EachOperator { name: "yielding_joins", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    if !is_join(plan.as_ref()) {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan))))
}
