use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{LogicalPlan, Sort};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Keeps DataFusion's rule that drops repeated expressions from dropping keys of a sort that it holds to be determined by others.
///
/// What a group's key determines is handed on through joins and the next DISTINCT as if the key were still alone in its row: in
/// `SELECT DISTINCT d.a, t.b FROM (SELECT a FROM … GROUP BY a) AS d CROSS JOIN t ORDER BY a, b` the second key is dropped.
#[derive(Debug)]
pub(super) struct SortKeysRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SortKeysRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Sort(Sort { mut expr, input, fetch }) = plan else { return self.0.rewrite(plan, config) };
        let keys = expr.len();
        let mut seen = HashSet::new();
        expr.retain(|key| seen.insert(key.expr.clone()));
        let is_changed = expr.len() < keys;
        Ok(Transformed::new_transformed(LogicalPlan::Sort(Sort { expr, input, fetch }), is_changed))
    }
}
