//! What Tombolo's tests over several sources are made of.
//!
//! [`Lab`] sets up sources in a folder of its own and asks an engine over them. [`Reference`] is plain DataFusion over the
//! same rows, and [`compare`] says whether two answers are the same. [`fixtures`] has the tables that every source is loaded
//! with. [`generate`] makes queries at random, and [`differential`] runs a query in many ways, which must agree. [`outline`]
//! tells a plan without what varies, for snapshots. [`proxy`] is a network that fails on purpose, and
//! [`tampered`] a connector that is not what it says. [`tpch`] has the benchmark's
//! tables and queries, and [`slt`] runs files of queries with their answers, ours and other engines'.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate, and a fixture that cannot be set up ends its test"
)]

pub mod compare;
pub mod conformance;
pub mod differential;
pub mod fixtures;
pub mod generate;
pub mod harness;
mod lab;
pub mod outline;
pub mod proxy;
mod reference;
pub mod samples;
pub mod slt;
pub mod tampered;
pub mod tpch;

pub use lab::{Answer, FileFolder, Lab, SqliteFile, ask, ask_with};
pub use reference::{Reference, rows};
