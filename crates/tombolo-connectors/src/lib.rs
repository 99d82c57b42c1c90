//! Tombolo's sources: one folder of the same files for each kind.

pub mod files;
pub mod memory;
pub mod sql;
pub mod sqlite;
