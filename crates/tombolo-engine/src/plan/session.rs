use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use super::checked::{CheckedArithmeticRule, checked_sum};
use super::constant_not_in::ConstantNotInRule;
use super::constant_subquery::ConstantSubqueryRule;
use super::constants::ConstantsRule;
use super::distinct_limit::DistinctLimitRule;
use super::in_list::InListRule;
use super::literal_sides::LiteralSidesRule;
use super::null_equality::NullEqualityRule;
use super::one_row::OneRowRule;
use super::optional::OptionalRule;
use super::skip_order::SkipOrderRule;
use super::sort_merge::SortMergeRule;
use super::union_order::UnionOrderRule;
use crate::settings::Settings;

/// Rows in a batch where memory is short: what spilled is read back a batch from each file.
const FRUGAL_BATCH: usize = 1024;

/// Makes the DataFusion session of one query. A `frugal` one is slower and needs less memory: one stream, smaller batches,
/// and sort-merge joins wherever they can be.
pub(crate) fn new_session(settings: &Settings, runtime: Arc<RuntimeEnv>, frugal: bool) -> Result<SessionState> {
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
        .with_physical_optimizer_rules(if frugal { frugal_rules() } else { physical_rules() })
        .build();
    // The one time that all of a query's now(), current_date() and current_time() are.
    session.mark_start_execution();
    session.add_analyzer_rule(Arc::new(InListRule));
    session.add_analyzer_rule(Arc::new(CheckedArithmeticRule));
    // In place of DataFusion's own of that name.
    session.register_udaf(Arc::new(checked_sum()))?;
    Ok(session)
}

/// DataFusion's logical rules; some of them kept from plans that they give wrong rows of, and ours before others.
/// docs/dev/datafusion.md has a query for each.
pub fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "eliminate_cross_join" => rules.push(Arc::new(NullEqualityRule(rule))),
            "push_down_filter" => rules.extend([Arc::new(LiteralSidesRule) as _, Arc::new(OneRowRule(rule)) as _]),
            "decorrelate_predicate_subquery" => rules.extend([Arc::new(ConstantNotInRule) as _, rule]),
            "scalar_subquery_to_join" => rules.extend([Arc::new(ConstantSubqueryRule) as _, rule]),
            _ => rules.push(rule),
        }
    }
    rules
}

/// DataFusion's physical rules but for the two that push filters through operators. They find a filter's columns on the other
/// side of a join by name alone; where both sides have a column of that name, the filter can land on the wrong one, and rows are
/// wrong. The logical rules have pushed every filter before, and a source gets its filters from the push-down stage.
pub fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    for rule in &mut rules {
        if rule.name() == "ProjectionPushdown" {
            *rule = Arc::new(OptionalRule(Arc::clone(rule)));
        }
    }
    rules.insert(0, Arc::new(UnionOrderRule));
    rules.insert(1, Arc::new(ConstantsRule));
    rules.insert(2, Arc::new(SkipOrderRule::First));
    rules.extend([Arc::new(SkipOrderRule::Last) as _, Arc::new(DistinctLimitRule) as _]);
    rules
}

fn frugal_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = physical_rules();
    rules.insert(0, Arc::new(SortMergeRule));
    rules
}
