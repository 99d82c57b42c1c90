use serde::{Deserialize, Serialize};

/// What a source can do, as plain data. The default is that it cannot.
///
/// Capabilities choose the trials of the conformance suite and the words of the reference; whether one given operator over
/// one given tree is accepted is said by [`crate::Connector::offer`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Reads only the columns that are asked for.
    pub projection: bool,
    /// Evaluates at least some filters exactly.
    pub filter: bool,
    /// Uses filters to read less, so that they must be checked again.
    pub pruning: bool,
    /// Computes expressions in its output.
    pub expression: bool,
    /// Joins tables of its own.
    pub join: bool,
    /// Groups and aggregates.
    pub aggregate: bool,
    /// Computes window functions.
    pub window: bool,
    /// Sorts.
    pub sort: bool,
    /// Asked for the first rows of an order, follows an index that has it and does not sort the table, also where no limit is named.
    pub index_order: bool,
    /// Limits the rows of its answer.
    pub limit: bool,
    /// Appends the rows of several selects.
    pub union: bool,
    /// Accepts keys that arrive at run time.
    pub keys: KeySupport,
    /// Reads one table over several streams at once.
    pub parallelism: Parallelism,
    /// How consistent one query's reads of this source are.
    pub snapshot: SnapshotKind,
    /// Stops its own work when a stream is dropped.
    pub cancel: bool,
    /// Knows row counts without reading the rows.
    pub statistics: bool,
    /// Reads what a query in its own language gives.
    pub native_queries: bool,
    /// How many sub-queries it takes at once; `None` is without limit.
    pub max_concurrency: Option<usize>,
}

/// Whether and how a source takes keys that arrive at run time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySupport {
    /// Takes none.
    #[default]
    None,
    /// Takes up to this many exact keys in one request.
    Exact {
        /// The most keys that one request may carry.
        max_keys: usize,
    },
}

/// Whether one scan can be read over several streams at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parallelism {
    /// One stream.
    #[default]
    Single,
    /// Several streams over one table's scan.
    Partitioned,
}

/// How consistent the reads of one query are within this source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// Nothing is promised.
    #[default]
    None,
    /// Each sub-query reads one snapshot of its own.
    PerSubQuery,
    /// All sub-queries of one query read the same snapshot.
    PerQuery,
}
