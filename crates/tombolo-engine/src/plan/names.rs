use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::text::expr_text;

/// The columns of a plan's answer under the names that a reader expects: what has no name of its own is called as it was
/// written (`1 / 2`), not as DataFusion prints it (`Int64(1) / Int64(2)`).
pub(crate) fn named_output(plan: &LogicalPlan) -> SchemaRef {
    let schema = plan.schema().inner();
    let Some(exprs) = selected(plan).filter(|exprs| exprs.len() == schema.fields().len()) else {
        return Arc::clone(schema);
    };
    let fields = schema.fields().iter().zip(exprs).map(|(field, expr)| match expr {
        Expr::Alias(_) | Expr::Column(_) => Arc::clone(field),
        computed => Arc::new(field.as_ref().clone().with_name(expr_text(&unqualified(computed)))),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn unqualified(expr: &Expr) -> Expr {
    let bare = expr.clone().transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    });
    bare.map_or_else(|_| expr.clone(), |bare| bare.data)
}

/// The select list of the outermost SELECT.
fn selected(plan: &LogicalPlan) -> Option<&[Expr]> {
    match plan {
        LogicalPlan::Projection(projection) => Some(&projection.expr),
        LogicalPlan::Sort(sort) => selected(&sort.input),
        LogicalPlan::Limit(limit) => selected(&limit.input),
        LogicalPlan::Union(union) => selected(union.inputs.first()?),
        LogicalPlan::Distinct(datafusion::logical_expr::Distinct::All(input)) => selected(input),
        _ => None,
    }
}
