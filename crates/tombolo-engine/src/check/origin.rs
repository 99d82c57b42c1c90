use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::receipt::ColumnReceipt;
use crate::catalog::SourceTable;

/// Where the columns of a plan's answer came from, under the names of `named`. The plan is the optimised one, before it is
/// cut into sub-queries.
pub fn column_origins(plan: &LogicalPlan, named: &SchemaRef) -> Vec<ColumnReceipt> {
    let fields = named.fields();
    let receipt = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
        let Origin { columns, computed } = origin(plan, index);
        ColumnReceipt {
            name: field.name().clone(),
            data_type: plan.schema().field(index).data_type().to_string(),
            origins: columns.into_iter().collect(),
            computed,
        }
    };
    fields.iter().enumerate().map(receipt).collect()
}

struct Origin {
    columns: BTreeSet<String>,
    computed: bool,
}

impl Origin {
    fn computed(parts: impl IntoIterator<Item = Origin>) -> Self {
        Self { columns: parts.into_iter().flat_map(|part| part.columns).collect(), computed: true }
    }
}

/// Where one output column of a plan came from.
fn origin(plan: &LogicalPlan, index: usize) -> Origin {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = (scan.source.as_ref() as &dyn std::any::Any).downcast_ref::<SourceTable>();
            let column = scan.projected_schema.field(index).name();
            let name = table.map(|table| format!("{}.{}.{column}", table.source().name(), table.description().table));
            Origin { columns: name.into_iter().collect(), computed: false }
        }
        LogicalPlan::Projection(projection) => of_expr(&projection.expr[index], &projection.input),
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => match sets.distinct_expr().get(index) {
                Some(expr) => of_expr(expr, &aggregate.input),
                None => of_aggregate(aggregate, index.saturating_sub(sets.distinct_expr().len() + 1)),
            },
            group if index < group.len() => of_expr(&group[index], &aggregate.input),
            group => of_aggregate(aggregate, index - group.len()),
        },
        LogicalPlan::Window(window) => {
            let width = window.input.schema().fields().len();
            match index.checked_sub(width) {
                Some(index) => of_expr(&window.window_expr[index], &window.input),
                None => origin(&window.input, index),
            }
        }
        LogicalPlan::Join(join) => {
            let (qualifier, field) = join.schema.qualified_field(index);
            let column = Column::from((qualifier, field));
            [&join.left, &join.right]
                .into_iter()
                .find_map(|side| Some(origin(side, side.schema().maybe_index_of_column(&column)?)))
                .unwrap_or_else(|| Origin::computed([]))
        }
        LogicalPlan::Union(union) => {
            let parts: Vec<Origin> = union.inputs.iter().map(|input| origin(input, index)).collect();
            let computed = parts.iter().any(|part| part.computed);
            Origin { computed, ..Origin::computed(parts) }
        }
        LogicalPlan::Unnest(unnest) => {
            let below = unnest.dependency_indices[index];
            let unnested = unnest.list_type_columns.iter().any(|(column, _)| *column == below)
                || unnest.struct_type_columns.contains(&below);
            let part = origin(&unnest.input, below);
            Origin { computed: part.computed || unnested, columns: part.columns }
        }
        LogicalPlan::RecursiveQuery(recursive) => origin(&recursive.static_term, index),
        LogicalPlan::Subquery(subquery) => origin(&subquery.subquery, index),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => Origin::computed([]),
        other => match other.inputs().as_slice() {
            [input] if index < input.schema().fields().len() => origin(input, index),
            _ => Origin::computed([]),
        },
    }
}

fn of_aggregate(aggregate: &datafusion::logical_expr::Aggregate, index: usize) -> Origin {
    match aggregate.aggr_expr.get(index) {
        Some(expr) => of_expr(expr, &aggregate.input),
        None => Origin::computed([]),
    }
}

fn of_expr(expr: &Expr, input: &LogicalPlan) -> Origin {
    let of_column = |column: &Column| input.schema().maybe_index_of_column(column).map(|index| origin(input, index));
    match expr.clone().unalias() {
        Expr::Column(column) => of_column(&column).unwrap_or_else(|| Origin::computed([])),
        other => Origin::computed(other.column_refs().into_iter().filter_map(of_column)),
    }
}
