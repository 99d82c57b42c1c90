//! The contract between Tombolo's engine and its sources: what a source can be asked, and what it answers.
//!
//! A *connector* is a kind of source (SQLite, files, …); a *source* is a configured instance of one. The engine offers a
//! connector a tree of relational operators over one source ([`Scan`]), one operator at a time; the connector answers for
//! each part of it [`Answer::Exact`], [`Answer::Inexact`] or [`Answer::Refused`] with the reason. What was accepted is
//! later executed as one native sub-query; what was not stays in the engine.
//!
//! This crate knows Arrow and DataFusion's expressions. It does not know the engine, a server or any one source.

mod bytes;
mod capability;
mod connector;
mod describe;
mod error;
mod fingerprint;
pub mod layer;
pub mod looks;
mod offer;
pub mod options;
mod query_state;
mod registry;
mod scan;
mod secret;

pub use bytes::data_bytes;
pub use capability::{Capabilities, KeySupport, Parallelism, SnapshotKind};
pub use connector::{
    Connector, ConnectorFactory, ConnectorSpec, NativeQuery, PlannedScan, QueryContext, ReadSnapshot, RemoteInfo,
    ScanInput, ScanReader, ScanStatistics, StreamWrapper, tombolo_error_in,
};
pub use describe::{
    Collation, ColumnDescription, ColumnStatistics, ForeignKey, Index, RowCount, TableDescription, TableKind, TableRef,
    TableStatistics, TextFormat,
};
pub use error::{Error, ErrorCode, Result, ResultExt, Retry};
pub use fingerprint::Fingerprint;
pub use offer::{Answer, ScanOffer};
pub use options::{OptionKind, OptionSpec, OptionValue, Options};
pub use query_state::{QueryScoped, QueryState};
pub use registry::Registry;
pub use scan::{KeyBatch, Scan, ScanAggregate, ScanJoin, ScanTable};
pub use secret::Secret;

/// The candidate that is nearest to `name`, if any is near enough to be meant.
///
/// Case is ignored. The distance allowed grows with the length of the name: one edit in three characters.
pub fn nearest_name<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (wanted.len() >= 3 && candidate.to_lowercase().starts_with(&wanted))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
