//! Stream → client. Backpressure reaches the source: no more than one batch is made before it is asked for.

mod running;

pub(crate) use running::{Prepared, Replan, Started};
pub use running::{QueryMonitor, QueryProgress, RunningQuery, SubQueryProgress};
