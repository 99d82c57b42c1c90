//! Physical plan → streams: bounded, cancellable, counted.

mod budget;
mod buffer;
mod counted_stream;
mod counters;
mod key_filter;
mod key_range;
mod keys;
mod memory;
mod panics;
mod planner;
mod promise;
mod row_guard;
mod scan_exec;
mod shared;

pub use budget::{Budget, Expected};
pub use buffer::{Buffer, Draining};
pub(crate) use counted_stream::with_schema;
pub use counters::{ScanCounters, ScanSnapshot};
pub use key_range::KeyRange;
pub(crate) use key_range::least_and_greatest;
pub use keys::{KeyChoice, KeyOutcome, KeyReport, KeySupply};
pub use memory::{PeakPool, has_hash_join, runtime};
pub use panics::{CaughtPanics, panicked};
pub use planner::SourceScanPlanner;
pub use row_guard::{RowGuardExec, TooMany};
pub use scan_exec::SourceScanExec;
pub use shared::{SharedExec, SharedPlanner, inputs};
