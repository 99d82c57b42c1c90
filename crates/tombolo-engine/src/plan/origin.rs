use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan};
use tombolo_connector::TableDescription;

use crate::catalog::SourceTable;

/// A column of a table of a source.
#[derive(Debug, Clone)]
pub(crate) struct SourceColumn {
    /// The source's name.
    pub(crate) source: String,
    /// The table.
    pub(crate) table: Arc<TableDescription>,
    /// The column's name.
    pub(crate) name: String,
}

/// Where a column of a plan came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The columns that it was made from, by their names as `source.schema.table.column`.
    pub(crate) columns: BTreeMap<String, SourceColumn>,
    /// Whether it is computed, rather than one column as it is.
    pub(crate) computed: bool,
}

impl Origin {
    /// What is made of several parts.
    pub(crate) fn computed(parts: impl IntoIterator<Item = Self>) -> Self {
        Self { columns: parts.into_iter().flat_map(|part| part.columns).collect(), computed: true }
    }

    /// The stored column that it is, with its full name.
    pub(crate) fn column(&self) -> Option<(&str, &SourceColumn)> {
        match self.columns.iter().next() {
            Some((name, column)) if !self.computed && self.columns.len() == 1 => Some((name, column)),
            _ => None,
        }
    }

    /// The names of the sources that it came from.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.columns.values().map(|column| column.source.as_str())
    }
}

/// Where one output column of a plan came from.
pub(crate) fn origin(plan: &LogicalPlan, index: usize) -> Origin {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = (scan.source.as_ref() as &dyn Any).downcast_ref::<SourceTable>();
            let column = scan.projected_schema.field(index).name();
            let named = table.map(|table| {
                let source = table.source().name().to_owned();
                let path = format!("{source}.{}.{column}", table.description().table);
                (path, SourceColumn { source, table: Arc::clone(table.description()), name: column.clone() })
            });
            Origin { columns: named.into_iter().collect(), computed: false }
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
        LogicalPlan::Distinct(Distinct::On(on)) => match on.select_expr.get(index) {
            Some(expr) => of_expr(expr, &on.input),
            None => Origin::computed([]),
        },
        LogicalPlan::RecursiveQuery(recursive) => origin(&recursive.static_term, index),
        LogicalPlan::Subquery(subquery) => origin(&subquery.subquery, index),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => Origin::computed([]),
        other => match other.inputs().as_slice() {
            [input] if index < input.schema().fields().len() => origin(input, index),
            _ => Origin::computed([]),
        },
    }
}

fn of_aggregate(aggregate: &Aggregate, index: usize) -> Origin {
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
