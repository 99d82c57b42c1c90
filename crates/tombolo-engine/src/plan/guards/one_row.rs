use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Keeps DataFusion's rule that pushes filters from pushing them below an aggregate without groups.
///
/// The rule takes every filter below an aggregate whose columns are all keys of groups, and so also one that has no columns:
/// `WHERE (SELECT …)`. But an aggregate without groups has one row whatever it reads, and so it had where the filter was false.
/// Here each such aggregate is the root of a plan of its own while the rule is at work, and a leaf for what is above it.
#[derive(Debug)]
pub(super) struct OneRowRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for OneRowRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The whole plan at once.
    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut is_changed = false;
        let hidden = plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
            if !aggregate.group_expr.is_empty() {
                return Ok(Transformed::no(plan));
            }
            let below = self.pushed(plan, config)?;
            is_changed |= below.transformed;
            Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(OneRow(below.data)) })))
        })?;
        let above = self.pushed(hidden.data, config)?;
        is_changed |= above.transformed;
        let shown = above.data.transform_down_with_subqueries(|plan| {
            let LogicalPlan::Extension(extension) = &plan else { return Ok(Transformed::no(plan)) };
            Ok(match extension.node.as_any().downcast_ref::<OneRow>() {
                Some(OneRow(aggregate)) => Transformed::yes(aggregate.clone()),
                None => Transformed::no(plan),
            })
        })?;
        Ok(Transformed::new_transformed(shown.data, is_changed))
    }
}

impl OneRowRule {
    fn pushed(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down_with_subqueries(|plan| self.0.rewrite(plan, config))
    }
}

/// An aggregate that the rule is not to see.
#[derive(Debug, PartialEq, Eq, PartialOrd, Hash)]
struct OneRow(LogicalPlan);

impl UserDefinedLogicalNodeCore for OneRow {
    fn name(&self) -> &str {
        "OneRow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        self.0.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneRow")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(Self(self.0.clone()))
    }
}
