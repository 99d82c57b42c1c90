use tombolo_connector::{Capabilities, KeySupport, Parallelism, SnapshotKind};

use super::config::Config;

/// The most keys in one statement. What bounds it is the longest statement that a server takes, which is 4 MB by default in MySQL 5.7.
const MAX_KEYS: usize = 10_000;

/// What MySQL can do.
pub(super) fn capabilities(config: &Config) -> Capabilities {
    Capabilities {
        projection: true,
        filter: true,
        pruning: false,
        expression: true,
        join: true,
        aggregate: true,
        sort: true,
        // Without a limit it would rather sort.
        index_order: false,
        limit: true,
        union: true,
        keys: KeySupport::Exact { max_keys: MAX_KEYS },
        parallelism: Parallelism::Single,
        snapshot: SnapshotKind::PerSubQuery,
        cancel: true,
        statistics: true,
        native_queries: true,
        max_concurrency: Some(config.max_connections),
    }
}
