use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;

use crate::settings::Settings;

/// Makes the DataFusion session of one query. Without `hash_joins`, joins that can be are sort-merge joins.
pub(crate) fn new_session(settings: &Settings, runtime: Arc<RuntimeEnv>, hash_joins: bool) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.parallel.max(1))
        .with_batch_size(settings.batch_size.max(1))
        .with_information_schema(false);
    let options = config.options_mut();
    // A filter that a top-k or an aggregate fills never completes before its scan: a leaf that waits for it waits for ever.
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.prefer_hash_join = hash_joins;
    options.execution.collect_statistics = true;
    options.execution.time_zone = Some("UTC".to_owned());
    SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build()
}
