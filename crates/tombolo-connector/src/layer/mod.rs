//! What goes around any connector: each layer is a connector that passes every call on to the one inside it.
//!
//! Resilience is a layer and never repeated in a source. Present: [`Timeout`], [`ConcurrencyLimit`], [`Metrics`],
//! [`Trace`], and [`Chaos`] for tests. Retries, circuit breakers and hedged reads are further files here.

mod chaos;
mod concurrency;
mod metrics;
mod timeout;
mod trace;

use std::sync::Arc;
use std::time::Duration;

pub use chaos::{Call, Chaos, ChaosPlan, ChaosSwitch, Counted, Fault, RowPoint};
pub use concurrency::ConcurrencyLimit;
pub use metrics::{Metrics, SourceMetrics};
pub use timeout::Timeout;
pub use trace::Trace;

use crate::Connector;

/// How the layers around one source are set.
#[derive(Debug, Clone, Copy)]
pub struct LayerSettings {
    /// The longest that one metadata call, or the wait for one batch of rows, may take.
    pub timeout: Duration,
    /// The most streams that are open at once; `None` takes what the source declares.
    pub max_concurrency: Option<usize>,
}

/// Puts all layers around a source, trace outermost.
pub fn layered(
    name: &str,
    connector: Arc<dyn Connector>,
    settings: LayerSettings,
) -> (Arc<dyn Connector>, SourceMetrics) {
    let limit = settings.max_concurrency.or(connector.capabilities().max_concurrency);
    let connector: Arc<dyn Connector> = Arc::new(Timeout::new(name, connector, settings.timeout));
    let connector: Arc<dyn Connector> = match limit {
        Some(limit) => Arc::new(ConcurrencyLimit::new(connector, limit, settings.timeout)),
        None => connector,
    };
    let metrics = Metrics::new(connector);
    let counters = metrics.counters();
    (Arc::new(Trace::new(name, Arc::new(metrics))), counters)
}

/// Implements the methods that a layer only passes on.
macro_rules! pass_on {
    ($inner:ident) => {
        fn capabilities(&self) -> &$crate::Capabilities {
            self.$inner.capabilities()
        }

        fn offer(&self, scan: &$crate::Scan) -> $crate::ScanOffer {
            self.$inner.offer(scan)
        }

        fn offer_keys(&self, scan: &$crate::Scan, columns: &[usize]) -> $crate::Answer {
            self.$inner.offer_keys(scan, columns)
        }

        fn estimate(&self, scan: &$crate::Scan) -> $crate::ScanStatistics {
            self.$inner.estimate(scan)
        }

        fn index_advice(&self, table: &$crate::TableRef, columns: &[&str]) -> Option<String> {
            self.$inner.index_advice(table, columns)
        }

        fn native_query(&self, scan: &$crate::Scan) -> $crate::Result<$crate::NativeQuery> {
            self.$inner.native_query(scan)
        }
    };
}
use pass_on;
