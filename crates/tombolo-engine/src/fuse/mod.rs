//! Streams → one stream. Adaptive choices are recorded.
//!
//! Joins, unions, aggregates and sorts over several sources run on DataFusion's operators. What is added here ships the keys of
//! one side of a join to the source of the other ([`ship`]), and counts, for every join, which rows of both sides found a partner.

mod count_exec;
mod count_node;
mod either_exec;
pub mod ship;
mod tally;

pub use count_exec::{Counter, JoinCountExec, JoinCountPlanner};
pub use count_node::{CountedJoin, JoinStrategy, count_joins};
pub use either_exec::{EitherExec, EitherPlanner};
pub use ship::{CollectKeysExec, LookupJoinExec, ShipKeysRule, has_lookup, reading_ms, windows_ms};
pub use tally::{JoinCounts, JoinTally, SideCounts, Which};
