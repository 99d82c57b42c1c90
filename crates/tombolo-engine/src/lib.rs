//! The path of a Tombolo query, a folder a stage: parse → catalog → policy → plan → pushdown → execute → fuse → check →
//! deliver. A stage imports only stages before it. The engine knows the connector contract, and no connector.

pub mod catalog;
pub mod check;
mod settings;

pub use settings::Settings;
pub use tombolo_connector::{Error, ErrorCode, Result};
