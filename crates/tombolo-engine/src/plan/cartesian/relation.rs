use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use crate::plan::origin::{BaseColumn, BaseTable, base_column_at, tables_read};

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
        let column = |(index, field): (usize, &Arc<Field>)| RelationColumn {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            base: base_column_at(node, index),
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
