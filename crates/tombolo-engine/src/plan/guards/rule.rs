use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};

/// Rewrites each expression of a node from its leaves up; the columns that come out keep their names.
pub(in crate::plan) fn each_expression(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(&rewrite)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

/// A logical rule that looks at each node by itself, from the root down.
#[derive(Debug)]
pub(super) struct EachNode {
    pub(super) name: &'static str,
    pub(super) rewrite: fn(LogicalPlan, &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>>,
}

impl OptimizerRule for EachNode {
    fn name(&self) -> &str {
        self.name
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        (self.rewrite)(plan, config)
    }
}

/// What a rule makes of an operator.
pub(in crate::plan) type Rewritten = Result<Transformed<Arc<dyn ExecutionPlan>>>;

/// A physical rule that looks at each operator by itself, from the leaves up.
#[derive(Debug)]
pub(in crate::plan) struct EachOperator {
    pub(in crate::plan) name: &'static str,
    pub(in crate::plan) rewrite: fn(Arc<dyn ExecutionPlan>) -> Rewritten,
}

impl PhysicalOptimizerRule for EachOperator {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(self.rewrite)?.data)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether it is one of DataFusion's joins.
pub(super) fn is_join(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<SortMergeJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.is::<PiecewiseMergeJoinExec>()
        || plan.is::<SymmetricHashJoinExec>()
}
