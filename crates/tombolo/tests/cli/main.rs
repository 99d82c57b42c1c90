//! The program as a user drives it: the real binary, in a folder of its own, judged by what it prints and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Waits for another process, on a thread of its own.
#![allow(clippy::disallowed_methods)]

mod bad_input;
mod cartesian;
mod config;
mod connect;
mod demo;
mod docs;
mod explain;
mod export;
mod formats;
mod guardrails;
mod history;
mod query;
mod sandbox;
mod shell;
mod stopping;
