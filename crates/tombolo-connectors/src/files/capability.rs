use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, Volatility};
use serde::{Deserialize, Serialize};
use tombolo_connector::{
    Answer, Capabilities, Error, Fingerprint, Parallelism, Result, Scan, ScanOffer, ScanTable, TableDescription,
};

use super::catalog::TableFiles;
use super::types::Format;

pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        projection: true,
        filter: true,
        pruning: true,
        parallelism: Parallelism::Partitioned,
        cancel: true,
        statistics: true,
        ..Capabilities::default()
    }
}

/// What a description must remember of its files, so that offers need not look at them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// Changes with every file.
    pub(super) files: String,
    /// The format's name.
    pub(super) format: String,
    /// What stands for all of the files.
    pub(super) shown: String,
    /// The partition columns, which are the last of the table.
    pub(super) partitions: usize,
}

impl Layout {
    pub(super) fn of(table: &TableFiles) -> Self {
        Self {
            files: table.fingerprint(),
            format: table.format.name().to_owned(),
            shown: table.shown.clone(),
            partitions: table.partitions.len(),
        }
    }

    pub(super) fn written(&self) -> Option<Fingerprint> {
        Fingerprint::try_new(self).ok()
    }

    /// Reads it back from a description.
    pub(super) fn read(description: &TableDescription) -> Option<Arc<Self>> {
        description.fingerprint.as_ref()?.read()
    }

    pub(super) fn format(&self) -> Option<Format> {
        Format::from_name(&self.format)
    }
}

/// An accepted tree, which always comes to columns and predicates of one table.
#[derive(Debug)]
pub(super) struct FlatScan<'a> {
    pub(super) table: &'a ScanTable,
    /// The output, as positions in the description.
    pub(super) columns: Vec<usize>,
    /// The conjuncts, over unqualified columns of the description.
    pub(super) predicates: Vec<Expr>,
}

impl<'a> FlatScan<'a> {
    /// Flattens an accepted tree; `None` where it is of another form.
    pub(super) fn of(scan: &'a Scan) -> Option<Self> {
        match scan {
            Scan::Table(table) => Some(Self { table, columns: table.columns.clone(), predicates: Vec::new() }),
            Scan::Alias { input, .. } => Self::of(input),
            Scan::Filter { input, predicates } => {
                let mut flat = Self::of(input)?;
                for predicate in predicates {
                    let resolved = flat.resolve(predicate, input.schema())?;
                    flat.predicates.push(resolved);
                }
                Some(flat)
            }
            Scan::Project { input, exprs, .. } => {
                let flat = Self::of(input)?;
                let columns = exprs.iter().map(|expr| {
                    let Expr::Column(column) = expr else { return None };
                    flat.columns.get(input.schema().maybe_index_of_column(column)?).copied()
                });
                Some(Self { columns: columns.collect::<Option<_>>()?, ..flat })
            }
            _ => None,
        }
    }

    /// The same for a tree that was accepted.
    pub(super) fn accepted(scan: &'a Scan) -> Result<Self> {
        Self::of(scan).ok_or_else(|| Error::internal(format!("the files connector was given a {}", scan.operator())))
    }

    /// Rewrites an expression over the tree's output as one over the table's own columns.
    fn resolve(&self, expr: &Expr, schema: &DFSchema) -> Option<Expr> {
        let mut sound = true;
        let rewritten = expr.clone().transform(|node| match &node {
            Expr::Column(column) => {
                let index = schema.maybe_index_of_column(column).and_then(|index| self.columns.get(index));
                match index.and_then(|index| self.table.description.columns.get(*index)) {
                    Some(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.field.name())))),
                    None => {
                        sound = false;
                        Ok(Transformed::no(node))
                    }
                }
            }
            _ => Ok(Transformed::no(node)),
        });
        rewritten.ok().map(|rewritten| rewritten.data).filter(|_| sound)
    }

    /// Whether a predicate over the table's columns names partition columns only, so that whole files satisfy it or not.
    pub(super) fn on_partitions(&self, predicate: &Expr, partitions: usize) -> bool {
        let columns = &self.table.description.columns;
        let first = columns.len().saturating_sub(partitions);
        let named = predicate.column_refs();
        !named.is_empty()
            && named.iter().all(|named| columns[first..].iter().any(|column| *column.field.name() == named.name))
    }
}

pub(super) fn offer(scan: &Scan) -> ScanOffer {
    let refuse = |reason: &str| ScanOffer::all(Answer::refused(reason), scan.part_count());
    match scan {
        Scan::Table(_) => ScanOffer::all(Answer::Exact, 1),
        Scan::Alias { input, .. } if FlatScan::of(input).is_some() => ScanOffer::all(Answer::Exact, 1),
        Scan::Project { input, exprs, .. } if FlatScan::of(input).is_some() => {
            let answer = |expr: &Expr| match expr {
                Expr::Column(_) => Answer::Exact,
                Expr::Alias(_) => Answer::refused("files keep the names of their columns: renaming runs in Tombolo"),
                _ => Answer::refused("files hold columns as they are: computing runs in Tombolo"),
            };
            ScanOffer { parts: exprs.iter().map(answer).collect() }
        }
        Scan::Filter { input, predicates } => match FlatScan::of(input) {
            Some(flat) => ScanOffer { parts: predicates.iter().map(|p| offer_filter(&flat, p, input)).collect() },
            None => refuse("files have no query engine of their own"),
        },
        Scan::Limit { .. } => refuse("files are read as far as rows are asked for, so a limit gains nothing"),
        Scan::Sort { .. } => refuse("files have no query engine of their own: sorts run in Tombolo"),
        Scan::Join(_) => refuse("files have no query engine of their own: joins run in Tombolo"),
        Scan::Window { .. } => refuse("files have no query engine of their own: windows run in Tombolo"),
        Scan::Aggregate(_) => refuse("files have no query engine of their own: aggregates run in Tombolo"),
        Scan::Union { .. } => refuse("files have no query engine of their own: unions run in Tombolo"),
        Scan::Alias { .. } | Scan::Project { .. } => refuse("files have no query engine of their own"),
    }
}

fn offer_filter(flat: &FlatScan<'_>, predicate: &Expr, input: &Scan) -> Answer {
    if let Some(reason) = unsuitable(predicate) {
        return Answer::refused(reason);
    }
    let Some(resolved) = flat.resolve(predicate, input.schema()) else {
        return Answer::refused("the filter names a column that the table does not have");
    };
    let Some((layout, format)) = Layout::read(&flat.table.description).and_then(|layout| {
        let format = layout.format()?;
        Some((layout, format))
    }) else {
        return Answer::refused("the table was described by another version of Tombolo");
    };
    if flat.on_partitions(&resolved, layout.partitions) {
        Answer::Exact
    } else if resolved.column_refs().is_empty() {
        Answer::refused("the filter names no column")
    } else if format == Format::Parquet {
        Answer::Inexact
    } else {
        Answer::refused(format!("{format} files keep no statistics by which rows could be passed over"))
    }
}

/// Why a predicate cannot be evaluated apart from its query.
fn unsuitable(predicate: &Expr) -> Option<&'static str> {
    let mut reason = None;
    // The closure never fails, so the walk does not either.
    let _ = predicate.apply(|node| {
        reason = match node {
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                Some("a sub-select is evaluated in Tombolo")
            }
            Expr::OuterReferenceColumn(..) | Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                Some("the filter depends on a value that is not known yet")
            }
            Expr::ScalarFunction(function) if function.func.signature().volatility == Volatility::Volatile => {
                Some("the function gives another value for each row")
            }
            _ => None,
        };
        Ok(if reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    reason
}
