//! Physical plan → streams: bounded, cancellable, counted.

mod counters;
mod memory;
mod planner;
mod scan_exec;

pub use counters::{ScanCounters, ScanSnapshot};
pub use memory::{PeakPool, has_hash_join, runtime};
pub use planner::SourceScanPlanner;
pub use scan_exec::SourceScanExec;
