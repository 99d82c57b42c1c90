//! Stream → client. Backpressure reaches the source: a batch is made only when one is asked for.

mod running;

pub(crate) use running::{Prepared, Replan, Started};
pub use running::{QueryMonitor, QueryProgress, RunningQuery, SubQueryProgress};
