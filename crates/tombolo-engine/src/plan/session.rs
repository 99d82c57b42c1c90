use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::SessionConfig;

use super::checked::{CheckedArithmeticRule, checked_sum};
use super::conditions;
use super::guards::{CorrelatedNamesRule, InListRule, LikeEscapeRule, logical_rules, physical_rules, unknown_range};
use super::sort_merge;
use crate::settings::Settings;

/// Rows in a batch where memory is short: what spilled is read back a batch from each file.
const FRUGAL_BATCH: usize = 1024;

type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Makes the DataFusion session of one query. A `frugal` one is slower and needs less memory: one stream, smaller batches,
/// and sort-merge joins wherever they can be. `fusion` is a later stage's rule about joins; it comes when their sides were chosen,
/// and before streams are split and sorted for them.
pub(crate) fn new_session(
    settings: &Settings,
    runtime: Arc<RuntimeEnv>,
    frugal: bool,
    fusion: PhysicalRule,
) -> Result<SessionState> {
    let parallel = if frugal { 1 } else { settings.parallel.max(1) };
    let batch_size = if frugal { settings.batch_size.min(FRUGAL_BATCH) } else { settings.batch_size };
    let mut config = SessionConfig::new()
        .with_target_partitions(parallel)
        .with_batch_size(batch_size.max(1))
        .with_information_schema(false);
    let options = config.options_mut();
    // Each stream of a sort keeps so much for its merge, and DataFusion's 10 MB would be all of a small limit.
    let fair_share = usize::try_from(settings.max_memory).unwrap_or(usize::MAX) / (8 * parallel);
    options.execution.sort_spill_reservation_bytes = fair_share.min(options.execution.sort_spill_reservation_bytes);
    options.execution.collect_statistics = true;
    options.execution.time_zone = settings.time_zone.clone();
    let mut session = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(rules(frugal, fusion))
        .build();
    // The one time that all of a query's now(), current_date() and current_time() are.
    session.mark_start_execution();
    session.add_analyzer_rule(Arc::new(InListRule));
    session.add_analyzer_rule(Arc::new(CorrelatedNamesRule));
    session.add_analyzer_rule(Arc::new(LikeEscapeRule));
    session.add_analyzer_rule(Arc::new(CheckedArithmeticRule));
    // In place of DataFusion's own of that name.
    session.register_udaf(Arc::new(checked_sum()))?;
    unknown_range::register(&mut session)?;
    Ok(session)
}

fn rules(frugal: bool, fusion: PhysicalRule) -> Vec<PhysicalRule> {
    let mut rules = physical_rules();
    let chosen = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(chosen, fusion);
    rules.push(Arc::new(conditions::RULE));
    if frugal {
        // It moves projections below sort-merge joins, and leaves the columns of the join's condition where they were.
        rules.retain(|rule| rule.name() != "ProjectionPushdown");
        rules.insert(0, Arc::new(sort_merge::RULE));
    }
    rules
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn a_condition_beside_the_keys_of_a_sort_merge_join_reads_its_own_columns() {
        let fusion = Arc::new(sort_merge::RULE);
        let session = new_session(&Settings::default(), Arc::default(), true, fusion).unwrap();
        let context = SessionContext::new_with_state(session);
        for table in ["a", "b"] {
            let made = format!(
                "CREATE TABLE {table} AS SELECT * FROM (VALUES (1, 7, 3, 'x'), (2, 8, 1, 'y')) AS t(x, z, k, t)"
            );
            context.sql(&made).await.unwrap();
        }
        let sql = "SELECT a.k, a.t, b.k AS l, b.t AS u FROM a JOIN b ON a.k = b.k AND a.x < b.z ORDER BY a.k";
        let frame = context.sql(sql).await.unwrap();
        let shown = pretty_format_batches(&frame.collect().await.unwrap()).unwrap().to_string();
        assert_eq!(shown.lines().count(), 6, "{shown}");
    }
}
