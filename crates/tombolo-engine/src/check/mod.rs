//! Counters → receipt. Adds to the answer, and never hides rows.

mod advice;
mod build;
mod explanation;
mod guardrails;
mod observe;
mod origin;
mod receipt;
mod steps;

pub(crate) use build::{join, notice, notices, spilled_bytes, sub_query};
pub use explanation::{Explanation, PlanStep, RemoteStep, StepActuals};
pub(crate) use guardrails::{check_budgets, sorted_rows};
pub(crate) use observe::observe;
pub use origin::column_origins;
pub use receipt::{
    ColumnReceipt, JoinReceipt, JoinSideReceipt, KeyReceipt, LimitReceipt, NotPushed, Receipt, SubQueryOutcome,
    SubQueryReceipt,
};
pub(crate) use steps::steps;
