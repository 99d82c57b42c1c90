use tombolo_connector::{Capabilities, KeySupport, Parallelism, SnapshotKind};

use super::config::Config;

/// The most keys in one statement. The server looks a list up by hashing; what bounds it is the statement's length.
const MAX_KEYS: usize = 50_000;

/// What PostgreSQL can do.
pub(super) fn capabilities(config: &Config) -> Capabilities {
    Capabilities {
        projection: true,
        filter: true,
        pruning: false,
        expression: true,
        join: true,
        aggregate: true,
        window: true,
        sort: true,
        index_order: true,
        limit: true,
        union: true,
        keys: KeySupport::Exact { max_keys: MAX_KEYS },
        parallelism: Parallelism::Partitioned,
        snapshot: if config.one_snapshot { SnapshotKind::PerQuery } else { SnapshotKind::PerSubQuery },
        cancel: true,
        statistics: true,
        native_queries: true,
        max_concurrency: Some(config.stream_connections() - config.holders()),
    }
}
