use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;

use super::receipt::ColumnReceipt;
use crate::plan::{Origin, origin};

/// Where the columns of a plan's answer came from, under the names of `named`. The plan is the optimised one, before it is
/// cut into sub-queries.
pub fn column_origins(plan: &LogicalPlan, named: &SchemaRef) -> Vec<ColumnReceipt> {
    let fields = named.fields();
    let receipt = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
        let Origin { columns, computed } = origin(plan, index);
        ColumnReceipt {
            name: field.name().clone(),
            data_type: plan.schema().field(index).data_type().to_string(),
            origins: columns.into_keys().collect(),
            computed,
        }
    };
    fields.iter().enumerate().map(receipt).collect()
}
