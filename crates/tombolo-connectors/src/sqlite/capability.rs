use tombolo_connector::{Capabilities, KeySupport, Parallelism, SnapshotKind};

/// The most keys in one statement. SQLite keeps an IN list in a temporary index, so the bound is the statement's length.
const MAX_KEYS: usize = 20_000;

/// What SQLite can do.
pub(super) fn capabilities() -> Capabilities {
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
        parallelism: Parallelism::Single,
        snapshot: SnapshotKind::PerSubQuery,
        cancel: true,
        statistics: true,
        native_queries: false,
        max_concurrency: Some(16),
    }
}
