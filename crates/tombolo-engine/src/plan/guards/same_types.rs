use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Keeps a rule of DataFusion from aggregates whose columns would have other types afterwards.
///
/// The rule for the values of one DISTINCT makes two aggregates of one, the `sum` beside it is then a sum of sums, and that of
/// decimals has ten digits more. What is above was typed before: a comparison of the sum with a decimal fails.
#[derive(Debug)]
pub(super) struct SameTypesRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SameTypesRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return self.0.rewrite(plan, config);
        }
        let rewritten = self.0.rewrite(plan.clone(), config)?;
        let types = |plan: &LogicalPlan| -> Vec<_> {
            plan.schema().fields().iter().map(|field| field.data_type().clone()).collect()
        };
        Ok(if types(&rewritten.data) == types(&plan) { rewritten } else { Transformed::no(plan) })
    }
}
