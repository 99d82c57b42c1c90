use tombolo_connector::{Capabilities, KeySupport, Parallelism, SnapshotKind};

use super::catalog::Server;
use super::config::Config;

/// The most keys in one statement. What bounds it is the longest statement that a server takes, which is 4 MB by default in MySQL 5.7.
const MAX_KEYS: usize = 10_000;

/// What MySQL can do, and MariaDB by its settings.
pub(super) fn capabilities(config: &Config, server: &Server) -> Capabilities {
    let shares_snapshots = server.shares_snapshots.is_ok();
    Capabilities {
        projection: true,
        filter: true,
        pruning: false,
        expression: true,
        join: true,
        aggregate: true,
        window: server.has_windows(),
        sort: true,
        // Without a limit it would rather sort.
        index_order: false,
        limit: true,
        union: true,
        keys: KeySupport::Exact { max_keys: MAX_KEYS },
        parallelism: if shares_snapshots { Parallelism::Partitioned } else { Parallelism::Single },
        snapshot: SnapshotKind::PerSubQuery,
        cancel: true,
        statistics: true,
        native_queries: true,
        // Where a table may take several, one connection is left for the questions that planning asks.
        max_concurrency: Some(if shares_snapshots { spare(config.max_connections) } else { config.max_connections }),
    }
}

/// The connections that streams may take.
pub(super) fn spare(max_connections: usize) -> usize {
    max_connections.saturating_sub(1).max(1)
}
