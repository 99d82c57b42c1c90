use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Keeps a rule of DataFusion's from plans in which an inner join holds null to equal null, where it would give keys of another kind
/// that equality too.
#[derive(Debug)]
pub(super) struct NullEqualityRule {
    rule: Arc<dyn OptimizerRule + Send + Sync>,
    leaves: fn(&LogicalPlan) -> Result<bool>,
}

impl NullEqualityRule {
    /// The rule against cross joins.
    ///
    /// It makes one list of the keys of inner joins that stand over each other, and of a filter above them, and gives all the
    /// joins that it makes of them whether null equals null in the topmost. So where one key is compared by `IS NOT DISTINCT FROM`,
    /// nulls find each other in the others too, or do not find each other there. Without the rule, joins stay in the order of the
    /// statement; what a filter says of them still becomes their condition.
    pub(super) fn of_cross_joins(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Self {
        Self { rule, leaves: joins_nulls }
    }

    /// The rule that makes keys of a join's equalities.
    ///
    /// A condition that comes to a join later, from a filter above, would become a key by which nulls are equal, as they are by those
    /// that it has. It stays a condition.
    pub(super) fn of_equalities(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Self {
        Self { rule, leaves: |plan| Ok(equates_nulls(plan)) }
    }
}

impl OptimizerRule for NullEqualityRule {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if (self.leaves)(&plan)? { Ok(Transformed::no(plan)) } else { self.rule.rewrite(plan, config) }
    }
}

fn equates_nulls(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull)
}

fn joins_nulls(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Join(join)
            if join.join_type == JoinType::Inner && join.null_equality == NullEquality::NullEqualsNull);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
