use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Union};
use datafusion::optimizer::OptimizerConfig;

use super::rule::EachNode;

/// Gives the first branch of a union the union's names.
///
/// A union is named by its first branch. Where that is found to have no rows, DataFusion leaves it out, and keeps the names in the
/// logical plan while the physical one goes by the branch that is now the first; what stands above then fails for it.
pub(super) const RULE: EachNode = EachNode { name: "union_names", rewrite };

fn rewrite(plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(Union { inputs, schema }) = &plan else { return Ok(Transformed::no(plan)) };
    let Some(first) = inputs.first() else { return Ok(Transformed::no(plan)) };
    let names = || schema.fields().iter().map(|field| field.name());
    if first.schema().fields().iter().map(|field| field.name()).eq(names()) {
        return Ok(Transformed::no(plan));
    }
    let columns = first.schema().columns().into_iter().zip(names());
    let renamed = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect();
    let mut inputs = inputs.clone();
    inputs[0] = Arc::new(LogicalPlan::Projection(Projection::try_new(renamed, Arc::clone(first))?));
    Ok(Transformed::yes(LogicalPlan::Union(Union { inputs, schema: Arc::clone(schema) })))
}
