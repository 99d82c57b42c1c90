//! The engine over several sources of several kinds.

// The lints know tests by this, and let them unwrap.
#![cfg(test)]

mod answers;
mod conformance;
mod drift;
mod fixtures;
mod islands;
mod liars;
mod memory;
mod outage;
mod pushdown;
mod receipts;
mod stopping;
mod tpch;
