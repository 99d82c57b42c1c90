//! Plan → plan with native sub-queries. The answer is unchanged; each refusal has a reason.
//!
//! One walk, bottom up. A subtree over one source is kept as a [`Scan`](tombolo_connector::Scan) tree and offered to the
//! source operator by operator. What was accepted becomes one [`SourceScan`] leaf; what was not stays above it.

mod candidate;
mod either;
mod expressions;
mod guardrails;
mod node;
mod order;
mod restricts;
mod shared;
mod sorted;
mod split;
mod top_rows;
mod walk;

use datafusion::common::tree_node::Transformed;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use tombolo_connector::Result;

use crate::error::from_datafusion;
use crate::settings::{JoinOrder, Settings, Strategy};
pub use either::Either;
pub use node::{NotPushedPart, SourceScan};
pub use shared::{Shared, shared_parts, transform_up_with_shared};

/// Puts the joins of an optimised plan into the order that is expected to move and to work least.
///
/// # Errors
/// Only where the plan cannot be rebuilt, which would be a defect.
pub fn order_joins(plan: LogicalPlan, settings: &Settings, session: &SessionState) -> Result<LogicalPlan> {
    if settings.join_order == JoinOrder::Written {
        return Ok(plan);
    }
    order::order_joins(plan, settings, session).map_err(from_datafusion)
}

/// A plan that is cut into sub-queries.
#[derive(Debug)]
pub struct CutPlan {
    /// What is the same in several places is made in each of them.
    pub apart: LogicalPlan,
    /// The same plan in which it is made once, where there is anything of the kind.
    pub shared: Option<LogicalPlan>,
}

/// Cuts an optimised plan into sub-queries.
///
/// What the settings' push-down rules leave out is not offered: with none of them, sources are asked for whole columns of their
/// tables and nothing else.
///
/// # Errors
/// Only where the plan cannot be rebuilt, which would be a defect.
pub fn push_down(plan: LogicalPlan, settings: &Settings) -> Result<CutPlan> {
    cut(plan, settings).map_err(from_datafusion)
}

fn cut(plan: LogicalPlan, settings: &Settings) -> datafusion::common::Result<CutPlan> {
    let plan = walk::push_down(top_rows::top_rows_first(plan)?, settings)?;
    let plan = sorted::offer_orders(plan, settings)?;
    // Before sub-queries have numbers, which no two of them share.
    let shared = if settings.shared_rows == Strategy::Never { None } else { shared::share(&plan)? };
    Ok(CutPlan { apart: numbered(plan)?, shared: shared.map(numbered).transpose()? })
}

/// Numbers the sub-queries from left to right.
fn numbered(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let mut next = 0;
    transform_up_with_shared(plan, &mut |plan| {
        let Some(scan) = SourceScan::of(&plan) else { return Ok(Transformed::no(plan)) };
        next += 1;
        Ok(Transformed::yes(SourceScan { id: next, ..scan.clone() }.into_plan()))
    })
}

/// Refuses a plan of sub-queries that breaks a guardrail about predicates: `require`, `deny_full_scan`, and queries in a source's
/// own language beside these.
///
/// # Errors
/// [`GuardrailRefused`](tombolo_connector::ErrorCode::GuardrailRefused), and
/// [`ConfigInvalid`](tombolo_connector::ErrorCode::ConfigInvalid) for a required column that the table does not have.
pub(crate) fn check_guardrails(plan: &LogicalPlan) -> Result<()> {
    guardrails::check(plan).map_err(from_datafusion)
}
