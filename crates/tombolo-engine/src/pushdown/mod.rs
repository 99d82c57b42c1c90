//! Plan → plan with native sub-queries. The answer is unchanged; each refusal has a reason.
//!
//! One walk, bottom up. A subtree over one source is kept as a [`Scan`](tombolo_connector::Scan) tree and offered to the
//! source operator by operator. What was accepted becomes one [`SourceScan`] leaf; what was not stays above it.

mod candidate;
mod either;
mod node;
mod split;
mod walk;

use datafusion::logical_expr::LogicalPlan;
use tombolo_connector::Result;

use crate::error::from_datafusion;
use crate::settings::{PushdownRules, Strategy};
pub use either::Either;
pub use node::{NotPushedPart, SourceScan};

/// Cuts an optimised plan into sub-queries.
///
/// What `rules` leave out is not offered: with none of them, sources are asked for whole columns of their tables and nothing
/// else. `split` says when an aggregate over a join of two sources is begun in one of them.
///
/// # Errors
/// Only where the plan cannot be rebuilt, which would be a defect.
pub fn push_down(plan: LogicalPlan, rules: PushdownRules, split: Strategy) -> Result<LogicalPlan> {
    walk::push_down(plan, rules, split).map_err(from_datafusion)
}
