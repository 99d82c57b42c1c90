//! DataFusion's rules as Tombolo uses them, kept from plans that they give wrong rows of. docs/dev/datafusion.md has a query for
//! each. They are public for tests that compare with DataFusion.

mod aggregate_limit;
mod computed_not_in;
mod constant_subquery;
mod constants;
mod correlated_names;
mod dependencies;
mod empty_groups;
mod exists_value;
mod float_extremes;
mod floats;
mod in_list;
mod like_escape;
mod literal_sides;
mod misjudged;
mod null_equality;
mod one_row;
mod optional;
mod partition_order;
mod rule;
mod same_types;
mod single_values;
mod skip_order;
mod sort_keys;
mod union_names;
mod union_order;
pub(super) mod unknown_range;
mod unordered;
mod yielding_joins;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

pub use correlated_names::CorrelatedNamesRule;
pub use floats::floats;
pub(super) use floats::without_plus_zero;
pub use in_list::InListRule;
pub(super) use like_escape::LikeEscapeRule;
pub(crate) use misjudged::is_misjudged;
pub use misjudged::{careful_order, is_out_of_order};
use null_equality::NullEqualityRule;
use one_row::OneRowRule;
use optional::OptionalRule;
use rule::EachNode;
pub(super) use rule::{EachOperator, Rewritten, each_expression};
use same_types::SameTypesRule;
use sort_keys::SortKeysRule;
pub(crate) use unordered::UnorderedExec;

/// DataFusion's logical rules, ours before and around some of them.
pub fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "eliminate_duplicated_expr" => rules.push(Arc::new(SortKeysRule(rule))),
            "extract_equijoin_predicate" => rules.push(Arc::new(NullEqualityRule::of_equalities(rule))),
            "eliminate_cross_join" => rules.push(Arc::new(NullEqualityRule::of_cross_joins(rule))),
            "single_distinct_aggregation_to_group_by" => rules.push(Arc::new(SameTypesRule(rule))),
            "push_down_filter" => rules.extend([each_node(literal_sides::RULE), Arc::new(OneRowRule(rule)) as _]),
            "decorrelate_predicate_subquery" => {
                rules.extend([each_node(empty_groups::RULE), each_node(computed_not_in::RULE), rule]);
            }
            "scalar_subquery_to_join" => {
                rules.extend([each_node(exists_value::RULE), each_node(constant_subquery::RULE), rule]);
            }
            "replace_distinct_aggregate" | "eliminate_join" | "optimize_projections" => {
                rules.extend([each_node(dependencies::RULE), rule]);
            }
            _ => rules.push(rule),
        }
    }
    rules.push(each_node(union_names::RULE));
    rules
}

/// DataFusion's physical rules but for the two that push filters through operators. They find a filter's columns on the other
/// side of a join by name alone; where both sides have a column of that name, the filter can land on the wrong one, and rows are
/// wrong. The logical rules have pushed every filter before, and a source gets its filters from the push-down stage.
pub fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let theirs = PhysicalOptimizer::new().rules.into_iter().filter(|rule| !rule.name().starts_with("FilterPushdown"));
    let theirs = theirs.map(|rule| match rule.name() {
        "ProjectionPushdown" | "aggregate_statistics" => Arc::new(OptionalRule(rule)) as _,
        _ => rule,
    });
    let before = [single_values::RULE, union_order::RULE, constants::RULE, skip_order::FIRST, skip_order::ABOVE]
        .map(each_operator);
    let after =
        [skip_order::LAST, aggregate_limit::RULE, yielding_joins::RULE, partition_order::RULE].map(each_operator);
    before.into_iter().chain(theirs).chain(after).collect()
}

fn each_node(rule: EachNode) -> Arc<dyn OptimizerRule + Send + Sync> {
    Arc::new(rule)
}

fn each_operator(rule: EachOperator) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(rule)
}
