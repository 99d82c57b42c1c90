//! What a source has to look at to read a sub-query, which may be more than comes out of it.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, JoinType};
use tombolo_connector::{Scan, ScanJoin, ScanTable, TableDescription};

use super::{ROW_FOUND, ROW_LOOKED_AT, largest_table, stored_rows};
use crate::catalog::Source;

/// A page that a source brings into its own memory, from that of its machine. MariaDB took 24 µs for a row by an index that leads to pages
/// anywhere in a table, of which two fifths did not fit into its memory, and 65 µs for each page of the whole table.
const PAGE_FETCHED: f64 = 0.06;
const PAGE_BYTES: f64 = 16_384.0;
/// A row for which a join in the source looks into an index.
const ROW_LOOKED_UP: f64 = 0.001;

/// What a source looks at for a sub-query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looks {
    /// Rows of its largest table.
    pub(crate) rows: f64,
    /// The milliseconds that it takes to look at all that it needs.
    pub(crate) ms: f64,
    /// How the largest table is kept.
    kept: Kept,
}

/// How a table is kept.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// The milliseconds that it takes to come by one of its pages, as an average of those in memory and the others.
    page_ms: f64,
    pages: f64,
}

impl Kept {
    fn of(table: &TableDescription) -> Self {
        let missing = table.statistics.cached.map_or(0.0, |cached| (1.0 - cached).clamp(0.0, 1.0));
        let bytes = table.statistics.bytes.unwrap_or_default();
        Self { page_ms: missing * PAGE_FETCHED, pages: bytes as f64 / PAGE_BYTES }
    }

    /// What it takes to read all of it. A table that does not fit into memory has left it by the time that it is read again.
    fn all(self) -> f64 {
        if self.page_ms > 0.0 { self.pages * PAGE_FETCHED } else { 0.0 }
    }

    /// What it takes to find rows that have one of so many keys: anywhere, or one after another where the table is in the order of these.
    fn found(self, keys: f64, rows: f64, is_in_order: bool) -> f64 {
        self.page_ms * if is_in_order { keys.min(self.pages) } else { rows }
    }
}

impl Looks {
    /// What is looked at for a sub-query of a source that is connected.
    pub(crate) fn of(source: &Source, scan: &Scan) -> Self {
        let rows_of = |scan: &Scan| {
            let connector = source.connector_if_connected()?;
            source.estimate(connector.as_ref(), scan).rows.value().map(|rows| rows as f64)
        };
        let tables = scan.tables();
        let largest = tables.iter().max_by(|a, b| stored_rows(&a.description).total_cmp(&stored_rows(&b.description)));
        let kept = largest.map(|table| Kept::of(&table.description)).unwrap_or_default();
        Self { rows: largest_table(scan), ms: all(scan, &rows_of), kept }
    }

    /// Whether there is more in the largest table than the source has room for in its memory.
    pub(crate) fn fetches(&self) -> bool {
        self.kept.page_ms > 0.0
    }

    /// The milliseconds that it takes to find rows by an index, of so many keys in so many requests.
    pub(crate) fn found(&self, keys: f64, requests: f64, rows: f64, is_in_order: bool) -> f64 {
        rows * ROW_FOUND + requests * self.kept.found(keys / requests, rows / requests, is_in_order)
    }
}

/// The milliseconds that it takes a source to look at all that a sub-query needs.
fn all(scan: &Scan, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> f64 {
    let both = || scan.inputs().into_iter().map(|input| all(input, rows_of)).sum::<f64>();
    match scan {
        Scan::Table(table) => {
            let pages = if is_in_an_index(table) { 0.0 } else { Kept::of(&table.description).all() };
            stored_rows(&table.description) * ROW_LOOKED_AT + pages
        }
        Scan::Join(join) => {
            let ways = [looked_up(join, true, rows_of), looked_up(join, false, rows_of)];
            ways.into_iter().flatten().fold(both(), f64::min)
        }
        _ => both(),
    }
}

/// What a join takes that looks up the rows of one side in an index of the other side's table.
fn looked_up(join: &ScanJoin, from_left: bool, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> Option<f64> {
    let is_possible = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => true,
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => from_left,
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => !from_left,
        JoinType::Full => false,
    };
    let (outer, inner): (&Arc<Scan>, &Arc<Scan>) =
        if from_left { (&join.left, &join.right) } else { (&join.right, &join.left) };
    if !is_possible || !is_of_one_table(inner) {
        return None;
    }
    let keys = join.on.iter().map(|(left, right)| if from_left { right } else { left });
    let columns = keys.filter_map(|key| {
        let Expr::Column(column) = key else { return None };
        inner.column_origin(inner.schema().maybe_index_of_column(column)?)
    });
    let rows = rows_of(outer)?;
    let ways = columns.filter_map(|(table, column)| {
        let (table, name) = (table.description.as_ref(), column.field.name());
        table.leads_index(&[name.as_str()]).then(|| {
            let found = rows * stored_rows(table) / table.distinct(name).unwrap_or_else(|| stored_rows(table)).max(1.0);
            found * ROW_FOUND + Kept::of(table).found(rows, found, is_in_order_of(table, name))
        })
    });
    Some(all(outer, rows_of) + rows * ROW_LOOKED_UP + ways.reduce(f64::min)?)
}

fn is_of_one_table(scan: &Scan) -> bool {
    match scan {
        Scan::Table(_) => true,
        Scan::Filter { input, .. } | Scan::Project { input, .. } | Scan::Alias { input, .. } => is_of_one_table(input),
        _ => false,
    }
}

/// Whether rows that have one value of a column are kept beside each other.
pub(crate) fn is_in_order_of(table: &TableDescription, column: &str) -> bool {
    table.primary_key.first().is_some_and(|first| first == column)
}

/// Whether all columns that are read of a table are in one of its indexes, which takes the place of the rows.
fn is_in_an_index(table: &ScanTable) -> bool {
    table.description.covering_indexes(&table.columns).next().is_some()
}
