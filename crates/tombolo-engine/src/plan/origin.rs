use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, TableScan};
use tombolo_connector::TableDescription;

use crate::catalog::{Source, SourceTable};

/// A table of a source, wherever it stands in a plan.
#[derive(Debug, Clone)]
pub(crate) struct BaseTable {
    source: Arc<Source>,
    description: Arc<TableDescription>,
}

impl BaseTable {
    pub(super) fn of(scan: &TableScan) -> Option<Self> {
        let table = SourceTable::of(scan)?;
        Some(Self { source: Arc::clone(table.source()), description: Arc::clone(table.description()) })
    }

    pub(crate) fn source(&self) -> &str {
        self.source.name()
    }

    pub(crate) fn description(&self) -> &TableDescription {
        &self.description
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.source() == other.source() && self.description.table == other.description.table
    }

    /// Its name with that of its source.
    fn path(&self) -> String {
        format!("{}.{}", self.source(), self.description.table)
    }

    /// Whether these columns hold all of a unique key of this table.
    pub(crate) fn has_unique_key_among(&self, columns: &[BaseColumn]) -> bool {
        let holds = |name: &str| columns.iter().any(|column| column.name == name && column.table.is(self));
        self.description().has_key_among(holds)
    }
}

/// A column of a table of a source.
#[derive(Debug, Clone)]
pub(crate) struct BaseColumn {
    pub(crate) table: BaseTable,
    pub(crate) name: String,
}

impl BaseColumn {
    /// How many values it has, where that is known.
    pub(crate) fn distinct(&self) -> Option<f64> {
        self.table.description.distinct(&self.name)
    }

    /// Whether no value stands in it twice.
    pub(crate) fn is_unique(&self) -> bool {
        self.table.has_unique_key_among(std::slice::from_ref(self))
    }
}

/// Where a column of a plan came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The columns that it was made from, by their names as `source.schema.table.column`.
    pub(crate) columns: BTreeMap<String, BaseColumn>,
    /// Whether it is computed, rather than one column as it is.
    pub(crate) computed: bool,
}

impl Origin {
    /// What is made of several parts.
    pub(crate) fn computed(parts: impl IntoIterator<Item = Self>) -> Self {
        Self { columns: parts.into_iter().flat_map(|part| part.columns).collect(), computed: true }
    }

    /// The stored column that it is, with its full name.
    pub(crate) fn column(&self) -> Option<(&str, &BaseColumn)> {
        match self.columns.iter().next() {
            Some((name, column)) if !self.computed && self.columns.len() == 1 => Some((name, column)),
            _ => None,
        }
    }

    /// The names of the sources that it came from.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.columns.values().map(|column| column.table.source())
    }
}

/// The column of a source that a column of a plan is, unchanged.
pub(crate) fn base_column(plan: &LogicalPlan, column: &Column) -> Option<BaseColumn> {
    base_column_at(plan, plan.schema().maybe_index_of_column(column)?)
}

/// The same of the column at a position.
pub(crate) fn base_column_at(plan: &LogicalPlan, index: usize) -> Option<BaseColumn> {
    origin(plan, index).column().map(|(_, column)| column.clone())
}

/// The tables of sources that a plan reads.
pub(crate) fn tables_read(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.extend(BaseTable::of(scan).map(|table| table.path()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}

/// Where one output column of a plan came from.
pub(crate) fn origin(plan: &LogicalPlan, index: usize) -> Origin {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let name = scan.projected_schema.field(index).name();
            let named = BaseTable::of(scan)
                .map(|table| (format!("{}.{name}", table.path()), BaseColumn { table, name: name.clone() }));
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
        Expr::ScalarSubquery(subquery) => origin(&subquery.subquery, 0),
        other => {
            let columns = other.column_refs().into_iter().filter_map(of_column);
            Origin::computed(columns.chain(scalar_subqueries(&other)))
        }
    }
}

/// Where the values of the scalar sub-selects in an expression came from.
pub(crate) fn scalar_subqueries(expr: &Expr) -> Vec<Origin> {
    let mut origins = Vec::new();
    let _ = expr.apply(|expr| {
        if let Expr::ScalarSubquery(subquery) = expr {
            origins.push(origin(&subquery.subquery, 0));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    origins
}
