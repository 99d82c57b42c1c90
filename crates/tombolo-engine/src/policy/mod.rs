//! Logical plan → the plan that this user may run. Nothing goes round it: every plan passes here between the catalog and
//! the optimiser, whatever interface it came from.
//!
//! No policy can be configured yet, so every plan passes unchanged.

use datafusion::logical_expr::LogicalPlan;
use tombolo_connector::Result;

/// Gives the plan that the user may run in place of the one that was asked for.
///
/// # Errors
/// [`PolicyRefused`](tombolo_connector::ErrorCode::PolicyRefused) where a policy forbids it.
pub(crate) fn apply(plan: LogicalPlan, _user: &str) -> Result<LogicalPlan> {
    Ok(plan)
}
