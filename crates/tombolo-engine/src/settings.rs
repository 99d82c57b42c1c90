use std::path::PathBuf;
use std::time::Duration;

use crate::type_mapping::TypeMapping;

/// The engine's limits and wishes; the `federation` table of the config.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest that a query may take; `None` is without limit.
    pub max_query_time: Option<Duration>,
    /// Bytes that the operators of all running queries may reserve. What can spill then spills; what cannot, fails.
    pub max_memory: u64,
    /// Bytes that temporary files may take.
    pub max_temp_bytes: u64,
    /// Where temporary files go; `None` is the system's folder.
    pub temp_dir: Option<PathBuf>,
    /// Rows in a batch.
    pub batch_size: usize,
    /// How many streams and operators run side by side.
    pub parallel: usize,
    /// The time zone of a time that says its offset, and of a text that is read as such a time and says none; `None` reads what
    /// says no offset as a time without a zone.
    pub time_zone: Option<String>,
    /// How old the description of a table may be before the source is asked again.
    pub catalog_ttl: Duration,
    /// The most rows that a Cartesian product may have; one of unknown size is held to have more. `None` is without limit.
    pub max_cartesian_rows: Option<u64>,
    /// Whether joins that run here count matched and unmatched rows for the receipt.
    pub join_counts: bool,
    /// Whether the rows that sub-queries gave, and the time that sources took, correct what is expected of later ones.
    pub observed_statistics: bool,
    /// The longest that tables of unknown size are counted for, before a query of several sources is put in order.
    pub counting_time: Duration,
    /// In which order joins are done.
    pub join_order: JoinOrder,
    /// How a join's keys are sent to the source of its other side.
    pub key_shipping: KeyShipping,
    /// When an aggregate over a join of two sources is begun in one of them, by groups.
    pub split_aggregates: Strategy,
    /// When what stands in a statement more than once, such as a query named by WITH, is made once.
    pub shared_rows: Strategy,
    /// When joins, groups and windows of one source's tables are done here, although the source could do them.
    pub local_work: Strategy,
    /// Columns that are compared with columns of other sources as something else than their own type.
    pub type_mappings: Vec<TypeMapping>,
    /// Which operators may be pushed into sources. With none, every source is read table by table: the same answer, slower.
    pub pushdown: PushdownRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_query_time: Some(Duration::from_secs(300)),
            max_memory: 2 << 30,
            max_temp_bytes: 100 << 30,
            temp_dir: None,
            batch_size: 8192,
            parallel: std::thread::available_parallelism().map_or(1, usize::from),
            time_zone: Some("UTC".to_owned()),
            catalog_ttl: Duration::from_secs(300),
            max_cartesian_rows: Some(1_000_000),
            join_counts: true,
            observed_statistics: true,
            counting_time: Duration::from_millis(300),
            join_order: JoinOrder::Cost,
            key_shipping: KeyShipping::default(),
            split_aggregates: Strategy::Adaptive,
            shared_rows: Strategy::Adaptive,
            local_work: Strategy::Adaptive,
            type_mappings: Vec::new(),
            pushdown: PushdownRules::ALL,
        }
    }
}

/// In which order joins are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinOrder {
    /// In the one that is expected to cost least.
    Cost,
    /// As the statement has them.
    Written,
    /// In the one that is expected to cost most: to find faults.
    Worst,
}

/// How the distinct keys of one side of a join are sent to the source of its other side, which then sends only rows that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyShipping {
    /// When keys are sent.
    pub strategy: Strategy,
    /// When rows from the least key to the greatest are asked for, where the keys themselves are not sent.
    pub ranges: Strategy,
    /// When one side of a join is read part by part, and the keys of each part are sent before the next is read.
    pub lookup: Strategy,
    /// The most keys in one request, where the source does not take fewer.
    pub batch_keys: usize,
    /// The most distinct keys that are collected. With more of them the source is read without keys.
    pub max_keys: usize,
}

/// When something is done that may cost more than it saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Where it is expected to cost less; of keys, their number at run time decides again.
    Adaptive,
    /// Wherever it is right: to compare, and to find faults.
    Always,
    /// Never.
    Never,
}

impl Default for KeyShipping {
    fn default() -> Self {
        Self {
            strategy: Strategy::Adaptive,
            ranges: Strategy::Adaptive,
            lookup: Strategy::Adaptive,
            batch_keys: 10_000,
            max_keys: 1_000_000,
        }
    }
}

/// Which operators are offered to sources. All are, but where faults are looked for: whatever is switched off runs here, and the
/// answer is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushdownRules(u16);

/// What is pushed into sources and can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the operator of its name; keys are those that arrive at run time")]
pub enum PushdownRule {
    Filter,
    Projection,
    Alias,
    Join,
    Aggregate,
    Window,
    Sort,
    Limit,
    Union,
    Keys,
}

impl PushdownRule {
    /// All rules.
    pub const ALL: &'static [Self] = &[
        Self::Filter,
        Self::Projection,
        Self::Alias,
        Self::Join,
        Self::Aggregate,
        Self::Window,
        Self::Sort,
        Self::Limit,
        Self::Union,
        Self::Keys,
    ];
}

impl PushdownRules {
    /// Everything is offered.
    pub const ALL: Self = Self(u16::MAX);
    /// Nothing is offered.
    pub const NONE: Self = Self(0);

    /// These rules but one.
    #[must_use]
    pub fn without(self, rule: PushdownRule) -> Self {
        Self(self.0 & !(1 << rule as u16))
    }

    /// One rule alone.
    pub fn only(rule: PushdownRule) -> Self {
        Self(1 << rule as u16)
    }

    /// Whether an operator is offered.
    pub fn allows(self, rule: PushdownRule) -> bool {
        self.0 & (1 << rule as u16) != 0
    }
}
