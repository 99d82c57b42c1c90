//! What Tombolo's tests over several sources are made of.
//!
//! [`Lab`] sets up sources in a folder of its own and asks an engine over them. [`Reference`] is plain DataFusion over the
//! same rows, and [`compare`] says whether two answers are the same. [`fixtures`] has the tables that every source is loaded
//! with. [`outline`] tells a plan without what varies, for snapshots. [`tpch`] has the benchmark's tables and queries, and
//! [`slt`] runs files of queries with their answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate, and a fixture that cannot be set up ends its test"
)]

pub mod compare;
pub mod conformance;
pub mod fixtures;
pub mod harness;
mod lab;
pub mod outline;
mod reference;
pub mod slt;
pub mod tpch;

pub use lab::{Answer, FileFolder, Lab, SqliteFile, ask};
pub use reference::{Reference, rows};
