//! The engine over several sources of several kinds.

mod answers;
mod drift;
mod islands;
mod memory;
mod outage;
mod pushdown;
mod receipts;
mod stopping;
mod tpch;
