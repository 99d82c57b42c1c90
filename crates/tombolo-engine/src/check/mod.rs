//! Counters → receipt. Adds to the answer, and never hides rows.

mod explanation;
mod receipt;

pub use explanation::{Explanation, PlanStep, RemoteStep, StepActuals};
pub use receipt::{
    ColumnReceipt, JoinReceipt, JoinSideReceipt, LimitReceipt, NotPushed, Receipt, SubQueryOutcome, SubQueryReceipt,
};
