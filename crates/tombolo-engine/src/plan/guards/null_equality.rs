use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Keeps DataFusion's rule against cross joins from plans in which an inner join holds null to equal null.
///
/// The rule makes one list of the keys of inner joins that stand over each other, and of a filter above them, and gives all the
/// joins that it makes of them whether null equals null in the topmost. So where one key is compared by `IS NOT DISTINCT FROM`,
/// nulls find each other in the others too, or do not find each other there. Without the rule, joins stay in the order of the
/// statement; what a filter says of them still becomes their condition.
#[derive(Debug)]
pub(super) struct NullEqualityRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for NullEqualityRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if joins_nulls(&plan)? { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// Keeps DataFusion's rule that makes keys of a join's equalities from joins that hold null to equal null already: a condition that comes
/// to them later, from a filter above, would become a key of that kind. It stays a condition.
#[derive(Debug)]
pub(super) struct EquijoinRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for EquijoinRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
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
