//! A filter is held to leave one value of a column, where the range of what is computed of that column is one value: DataFusion
//! takes the range back through casts and arithmetic, as if no two values had one result. `CAST(at AS DATE) = DATE '2024-01-01'`
//! leaves one time by that, and an order by time is dropped as needless.
//!
//! A conjunct that it would take back so is put behind [`Opaque`], which has no range.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::intervals::utils::check_support;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

use super::rule::{EachOperator, Rewritten};

pub(super) const RULE: EachOperator = EachOperator { name: "no_single_values_by_inverses", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
    let schema = filter.input().schema();
    let conjuncts = split_conjunction(filter.predicate());
    // Of what has no ranges at all nothing is derived.
    if !check_support(filter.predicate(), &schema) || conjuncts.iter().all(|conjunct| is_exact(conjunct, &schema)) {
        return Ok(Transformed::no(plan));
    }
    let guarded = conjuncts.into_iter().map(|conjunct| -> Arc<dyn PhysicalExpr> {
        if is_exact(conjunct, &schema) { Arc::clone(conjunct) } else { Arc::new(Opaque(Arc::clone(conjunct))) }
    });
    let predicate = guarded.reduce(|before, next| Arc::new(BinaryExpr::new(before, Operator::And, next)));
    let Some(predicate) = predicate else { return Ok(Transformed::no(plan)) };
    Ok(Transformed::yes(Arc::new(FilterExecBuilder::from(filter).with_predicate(predicate).build()?)))
}

/// Derives nothing of filters at all. That a column equals what is computed of others has DataFusion sort by the latter, an order that
/// it does not find again.
pub(super) const OF_ALL: EachOperator = EachOperator { name: "no_values_of_filters", rewrite: rewrite_all };

fn rewrite_all(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
    let predicate: Arc<dyn PhysicalExpr> = Arc::new(Opaque(Arc::clone(filter.predicate())));
    Ok(Transformed::yes(Arc::new(FilterExecBuilder::from(filter).with_predicate(predicate).build()?)))
}

/// Whether it compares columns with constants or with each other as they are. Floats have values, such as NaN, that statistics
/// leave out of a column's range.
fn is_exact(conjunct: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_plain = |side: &Arc<dyn PhysicalExpr>| {
        (side.is::<Column>() || side.is::<Literal>())
            && side.data_type(schema).is_ok_and(|data_type| !data_type.is_floating())
    };
    conjunct.downcast_ref::<BinaryExpr>().is_some_and(|both| is_plain(both.left()) && is_plain(both.right()))
}

/// A condition of which nothing is derived.
#[derive(Debug)]
struct Opaque(Arc<dyn PhysicalExpr>);

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Opaque {}

impl Hash for Opaque {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Opaque {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) if children.is_empty() => Ok(Arc::new(Self(condition))),
            _ => internal_err!("a condition that nothing is derived of is one"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
