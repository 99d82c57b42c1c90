//! What Tombolo's tests over several sources are made of.
//!
//! [`Lab`] sets up sources in a folder of its own and asks an engine over them. [`Reference`] is plain DataFusion over the
//! same rows, and [`compare`] says whether two answers are the same. [`outline`] tells a plan without what varies, for
//! snapshots. [`proxy`] is a network that fails on purpose. [`tpch`] has the benchmark's tables and queries, and [`slt`] runs files of queries with their answers.
//!
//! The suite that every kind of source has to pass, and the generator of queries, will stand beside these.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate, and a fixture that cannot be set up ends its test"
)]

pub mod compare;
mod lab;
pub mod outline;
pub mod proxy;
mod reference;
pub mod slt;
pub mod tpch;

pub use lab::{Answer, FileFolder, Lab, SqliteFile, ask, ask_with};
pub use reference::{Reference, rows};
