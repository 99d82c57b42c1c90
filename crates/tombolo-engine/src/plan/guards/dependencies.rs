use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchemaRef, FunctionalDependencies, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerConfig;

use super::rule::EachNode;

/// Forgets which columns are determined by others, before rules that drop keys of groups and DISTINCT for it.
///
/// What a group's key determines is handed on through a join and the next DISTINCT as if the key were still alone in its row: over
/// `SELECT DISTINCT d.a, t.b FROM (SELECT a FROM … GROUP BY a) AS d CROSS JOIN t`, `GROUP BY a, b` became `GROUP BY a`.
pub(super) const RULE: EachNode = EachNode { name: "dependencies", rewrite };

fn rewrite(mut plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let schema = match &mut plan {
        LogicalPlan::Aggregate(node) => &mut node.schema,
        LogicalPlan::Projection(node) => &mut node.schema,
        LogicalPlan::SubqueryAlias(node) => &mut node.schema,
        LogicalPlan::Join(node) => &mut node.schema,
        LogicalPlan::Window(node) => &mut node.schema,
        _ => return Ok(Transformed::no(plan)),
    };
    forget(schema)?;
    // No operator is another, so that no rule has to run again for it.
    Ok(Transformed::no(plan))
}

fn forget(schema: &mut DFSchemaRef) -> Result<()> {
    if !schema.functional_dependencies().is_empty() {
        *schema = Arc::new(schema.as_ref().clone().with_functional_dependencies(FunctionalDependencies::empty())?);
    }
    Ok(())
}
