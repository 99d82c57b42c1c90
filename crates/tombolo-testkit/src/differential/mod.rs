//! The same query in many ways, which must give the same rows.
//!
//! A [`World`] has tables in several sources, an engine for each [`Way`] of running a query (pushed down, nothing pushed down,
//! each single rule off, one stream with small batches), and two engines that have all the data to themselves: plain DataFusion
//! and SQLite. [`World::judge`] compares all of them. [`fuzz`] does so with queries made at random, and makes those that show a
//! difference small.

mod alone;
mod fuzz;
mod judge;
mod known;
mod refusals;
mod shrink;
mod statement;
mod world;

pub use fuzz::{Counts, Found, Until, fuzz};
pub use judge::{AloneVerdict, Difference, Kind, Verdict};
pub use shrink::{shrunk, with_fewer_rows};
pub use statement::Statement;
pub use world::{Databases, Failure, Home, Placement, Way, World};
