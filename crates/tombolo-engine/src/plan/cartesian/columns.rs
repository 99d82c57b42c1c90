use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{LogicalPlan, TableScan};
use tombolo_connector::TableDescription;

use crate::catalog::Source;
use crate::catalog::SourceTable;

/// A table of a source, wherever it stands in a plan.
#[derive(Debug, Clone)]
pub(crate) struct BaseTable {
    source: Arc<Source>,
    description: Arc<TableDescription>,
}

impl BaseTable {
    fn of(scan: &TableScan) -> Option<Self> {
        let table = (scan.source.as_ref() as &dyn Any).downcast_ref::<SourceTable>()?;
        Some(Self { source: Arc::clone(table.source()), description: Arc::clone(table.description()) })
    }

    pub(crate) fn source(&self) -> &str {
        self.source.name()
    }

    pub(crate) fn description(&self) -> &TableDescription {
        &self.description
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.source() == other.source() && self.description.table == other.description.table
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
        let statistics = &self.table.description().statistics;
        let rows = || statistics.rows.value().filter(|_| self.is_unique());
        let known = statistics.columns.get(&self.name).and_then(|column| column.distinct);
        known.or_else(rows).map(|distinct| distinct as f64)
    }

    /// Whether no value stands in it twice.
    pub(super) fn is_unique(&self) -> bool {
        self.table.has_unique_key_among(std::slice::from_ref(self))
    }
}

/// The column of a source that a column of a plan is, unchanged.
pub(crate) fn base_column(plan: &LogicalPlan, column: &Column) -> Option<BaseColumn> {
    base_of(plan, plan.schema().maybe_index_of_column(column)?)
}

fn base_of(plan: &LogicalPlan, index: usize) -> Option<BaseColumn> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            Some(BaseColumn { table: BaseTable::of(scan)?, name: scan.projected_schema.field(index).name().clone() })
        }
        LogicalPlan::Projection(projection) => {
            base_column(&projection.input, super::size::bare(projection.expr.get(index)?)?)
        }
        LogicalPlan::Aggregate(aggregate) => {
            base_column(&aggregate.input, super::size::bare(aggregate.group_expr.get(index)?)?)
        }
        LogicalPlan::Join(join) => {
            let (qualifier, field) = join.schema.qualified_field(index);
            let column = Column::from((qualifier, field));
            base_column(&join.left, &column).or_else(|| base_column(&join.right, &column))
        }
        LogicalPlan::Window(window) if index < window.input.schema().fields().len() => base_of(&window.input, index),
        LogicalPlan::SubqueryAlias(alias) => base_of(&alias.input, index),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_) => base_of(plan.inputs().first()?, index),
        _ => None,
    }
}

/// Something after FROM, with all its columns.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) reference: TableReference,
    pub(super) columns: Vec<RelationColumn>,
}

#[derive(Debug, Clone)]
pub(super) struct RelationColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) base: Option<BaseColumn>,
}

impl Relation {
    /// What stands under this name in a plan that is not optimised yet, so that no column is left out. Of several the one
    /// that reads the same tables is meant.
    pub(super) fn find(plan: &LogicalPlan, reference: &TableReference, reads: &BTreeSet<String>) -> Option<Self> {
        let mut found: Vec<LogicalPlan> = Vec::new();
        let _ = plan.apply_with_subqueries(|node| {
            let is_meant = match node {
                LogicalPlan::SubqueryAlias(alias) => alias.alias == *reference,
                LogicalPlan::TableScan(scan) => scan.table_name == *reference,
                _ => false,
            };
            if is_meant {
                found.push(node.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        let node = found.iter().find(|node| tables_read(node) == *reads).or_else(|| found.first())?;
        let column = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| RelationColumn {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            base: base_of(node, index),
        };
        let columns = node.schema().fields().iter().enumerate().map(column).collect();
        Some(Self { reference: reference.clone(), columns })
    }

    /// The columns that are the columns of this name of a table.
    pub(super) fn columns_of<'a>(&'a self, table: &'a BaseTable, name: &'a str) -> Option<&'a RelationColumn> {
        self.columns
            .iter()
            .find(|column| column.base.as_ref().is_some_and(|base| base.name == name && base.table.is(table)))
    }

    /// The tables of sources that its columns are from, each once.
    pub(super) fn tables(&self) -> Vec<&BaseTable> {
        let mut tables: Vec<&BaseTable> = Vec::new();
        for base in self.columns.iter().filter_map(|column| column.base.as_ref()) {
            if !tables.iter().any(|known| known.is(&base.table)) {
                tables.push(&base.table);
            }
        }
        tables
    }
}

impl RelationColumn {
    pub(super) fn is_unique(&self) -> bool {
        self.base.as_ref().is_some_and(BaseColumn::is_unique)
    }
}

/// The tables of sources that a plan reads.
pub(super) fn tables_read(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = BaseTable::of(scan)
        {
            names.insert(format!("{}.{}", table.source(), table.description().table));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}
