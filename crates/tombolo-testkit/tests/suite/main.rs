//! The engine over several sources of several kinds.

// The lints know tests by this, and let them unwrap.
#![cfg(test)]

mod advice;
mod answers;
mod cartesian;
mod conformance;
mod datafusion_slt;
mod differential;
mod drift;
mod faults;
mod fixtures;
mod found;
mod fuzz;
mod guardrails;
mod islands;
mod join_order;
mod key_kinds;
mod key_shipping;
mod leaks;
mod liars;
mod local_work;
mod lookup;
mod lookup_answers;
mod lookup_order;
mod memory;
mod mysql;
mod mysql_statistics;
mod mysql_streams;
mod native;
mod network;
mod observed;
mod one_snapshot;
mod outage;
mod peak;
mod postgres;
mod pushdown;
mod receipts;
mod samples;
mod shards;
mod shared_rows;
mod split_aggregates;
mod stopping;
mod tpch;
mod type_tables;
