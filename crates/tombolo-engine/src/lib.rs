//! The path of a Tombolo query, a folder a stage: parse → catalog → policy → plan → pushdown → execute → fuse → check →
//! deliver. A stage imports only stages before it. The engine knows the connector contract, and no connector.
//!
//! [`Engine`] is the façade: everything that a command line, a server or a program that embeds Tombolo needs.

pub mod catalog;
pub mod check;
mod cost;
pub mod deliver;
mod engine;
mod error;
pub mod execute;
pub mod fuse;
mod guardrails;
mod one_input;
mod parse;
mod plan;
mod policy;
mod products;
pub mod pushdown;
mod settings;
mod sizes;
mod type_mapping;

pub use catalog::{Guardrails, ScanLimits, SourceConfig, TableGuardrails};
pub use check::{Explanation, Receipt};
pub use deliver::{QueryMonitor, QueryProgress, RunningQuery, SubQueryProgress};
pub use engine::{Engine, EngineConfig, QueryOptions};
pub use plan::cartesian::StatementChange;
#[doc(hidden)]
pub use plan::guards;
pub use settings::{JoinOrder, KeyShipping, PushdownRule, PushdownRules, Settings, Strategy};
pub use tombolo_connector::{Error, ErrorCode, Result};
pub use type_mapping::{KeyType, TypeMapping};
