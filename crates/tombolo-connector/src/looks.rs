//! What a source has to look at to read a sub-query, which may be more than comes out of it, in milliseconds. No answer depends on it.

use std::sync::Arc;

use datafusion_expr::{Expr, JoinType};

use crate::{Scan, ScanJoin, ScanTable, TableDescription};

/// A row that a source looks at.
pub const ROW_LOOKED_AT: f64 = 0.000_1;
/// A row that a source finds by an index.
pub const ROW_FOUND: f64 = 0.000_4;
/// How many rows a table is held to have of which nothing is known.
pub const UNKNOWN_ROWS: f64 = 1_000_000.0;

/// A page that a source brings into its own memory, from that of its machine. MariaDB took 24 µs for a row by an index that leads to pages
/// anywhere in a table, of which two fifths did not fit into its memory, and 65 µs for each page of the whole table.
const PAGE_FETCHED: f64 = 0.06;
const PAGE_BYTES: f64 = 16_384.0;
/// A row for which a join in the source looks into an index.
const ROW_LOOKED_UP: f64 = 0.001;

/// What a source looks at for a sub-query.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks {
    /// Rows of its largest table.
    pub rows: f64,
    /// The milliseconds that it takes to look at all that it needs.
    pub ms: f64,
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
    /// What is looked at for a sub-query, of whose parts `rows_of` says how many rows they are expected to have.
    pub fn of(scan: &Scan, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> Self {
        let tables = scan.tables().into_iter().map(|table| table.description.as_ref());
        let largest = tables.max_by(|a, b| stored_rows(a).total_cmp(&stored_rows(b)));
        let kept = largest.map(Kept::of).unwrap_or_default();
        Self { rows: largest.map_or(0.0, stored_rows), ms: all(scan, rows_of), kept }
    }

    /// Whether there is more in the largest table than the source has room for in its memory.
    pub fn fetches(&self) -> bool {
        self.kept.page_ms > 0.0
    }

    /// The milliseconds that it takes to find rows by an index, of so many keys in so many requests.
    pub fn found(&self, keys: f64, requests: f64, rows: f64, is_in_order: bool) -> f64 {
        rows * ROW_FOUND + requests * self.kept.found(keys / requests, rows / requests, is_in_order)
    }
}

/// How many rows a table has.
pub fn stored_rows(table: &TableDescription) -> f64 {
    table.statistics.rows.value().map_or(UNKNOWN_ROWS, |rows| rows as f64)
}

/// How many rows the largest table of a tree has.
pub fn largest_table(scan: &Scan) -> f64 {
    scan.tables().iter().map(|table| stored_rows(&table.description)).fold(0.0, f64::max)
}

/// Whether a sub-query has joins, and each of them takes less by an index than by reading both sides.
pub fn joins_by_index(scan: &Scan, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> bool {
    let is_better = |scan: &Scan| match scan {
        Scan::Join(join) => matches!(ways(join, rows_of), (both, Some(by_index)) if by_index < both),
        _ => true,
    };
    scan.any(&|scan| matches!(scan, Scan::Join(_))) && !scan.any(&|scan| !is_better(scan))
}

/// The milliseconds that it takes a source to look at all that a sub-query needs.
fn all(scan: &Scan, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> f64 {
    match scan {
        Scan::Table(table) => {
            let pages = if is_in_an_index(table) { 0.0 } else { Kept::of(&table.description).all() };
            stored_rows(&table.description) * ROW_LOOKED_AT + pages
        }
        Scan::Join(join) => {
            let (both, by_index) = ways(join, rows_of);
            by_index.map_or(both, |by_index| by_index.min(both))
        }
        _ => scan.inputs().into_iter().map(|input| all(input, rows_of)).sum(),
    }
}

/// What a join takes that reads both sides, and the least that it takes by an index, where one serves.
fn ways(join: &ScanJoin, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> (f64, Option<f64>) {
    let [left, right] = [&join.left, &join.right].map(|side| all(side, rows_of));
    let by_index = [looked_up(join, true, left, rows_of), looked_up(join, false, right, rows_of)];
    (left + right, by_index.into_iter().flatten().reduce(f64::min))
}

/// What a join takes that looks up the rows of one side, for which `outer_ms` are needed, in an index of the other side's table.
fn looked_up(join: &ScanJoin, from_left: bool, outer_ms: f64, rows_of: &dyn Fn(&Scan) -> Option<f64>) -> Option<f64> {
    let is_possible = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => true,
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => from_left,
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => !from_left,
        JoinType::Full => false,
    };
    let (outer, inner): (&Arc<Scan>, &Arc<Scan>) =
        if from_left { (&join.left, &join.right) } else { (&join.right, &join.left) };
    if !is_possible {
        return None;
    }
    let table = inner.plain_table()?.description.as_ref();
    let keys = join.on.iter().map(|(left, right)| if from_left { right } else { left });
    let columns = keys.filter_map(|key| {
        let Expr::Column(column) = key else { return None };
        Some(inner.column_origin(inner.schema().maybe_index_of_column(column)?)?.1.field.name())
    });
    let rows = rows_of(outer)?;
    let ways = columns.filter(|name| table.leads_index(&[name.as_str()])).map(|name| {
        let found = rows * stored_rows(table) / table.distinct(name).unwrap_or_else(|| stored_rows(table)).max(1.0);
        found * ROW_FOUND + Kept::of(table).found(rows, found, is_in_order_of(table, name))
    });
    Some(outer_ms + rows * ROW_LOOKED_UP + ways.reduce(f64::min)?)
}

/// Whether rows that have one value of a column are kept beside each other.
pub fn is_in_order_of(table: &TableDescription, column: &str) -> bool {
    table.primary_key.first().is_some_and(|first| first == column)
}

/// Whether all columns that are read of a table are in one of its indexes, which takes the place of the rows.
fn is_in_an_index(table: &ScanTable) -> bool {
    table.description.covering_indexes(&table.columns).next().is_some()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use datafusion_common::{DFSchema, NullEquality, TableReference};
    use datafusion_expr::col;

    use super::*;
    use crate::{ColumnDescription, Index, RowCount, TableKind, TableRef};

    /// Pairs of a part and a supplier, by parts, of 200 MB, of which so large a share is in memory; and parts.
    fn tables(cached: Option<f64>) -> [Arc<Scan>; 2] {
        let table = |name: &str, columns: [&str; 3], keys: &[&str], rows: u64| {
            let columns: Vec<_> = columns
                .into_iter()
                .map(|name| ColumnDescription::new(Arc::new(Field::new(name, DataType::Int64, false)), "bigint"))
                .collect();
            let mut description = TableDescription::new(TableRef::new("main", name), TableKind::Table, columns);
            description.primary_key = keys.iter().map(|key| (*key).to_owned()).collect();
            description.statistics.rows = RowCount::Estimated(rows);
            (description.statistics.bytes, description.statistics.cached) = (Some(200 << 20), cached);
            description
        };
        let mut pairs = table("pairs", ["part", "supplier", "cost"], &["part", "supplier"], 800_000);
        let index = vec!["supplier".to_owned()];
        pairs.indexes.push(Index { name: "s".to_owned(), columns: index, unique: false, condition: None });
        pairs.statistics.columns.entry("part".to_owned()).or_default().distinct = Some(200_000);
        [pairs, table("parts", ["id", "size", "name"], &["id"], 2_000)].map(|description| scan(description, &[0, 1, 2]))
    }

    fn scan(description: TableDescription, columns: &[usize]) -> Arc<Scan> {
        let schema = description.arrow_schema().project(columns).unwrap();
        let name = TableReference::bare(description.table.table.clone());
        let schema = Arc::new(DFSchema::try_from_qualified_schema(name, &schema).unwrap());
        Arc::new(Scan::Table(ScanTable { description: Arc::new(description), columns: columns.to_vec(), schema }))
    }

    fn description(scan: &Scan) -> TableDescription {
        scan.tables()[0].description.as_ref().clone()
    }

    fn ms(scan: &Scan) -> f64 {
        all(scan, &|scan| scan.tables().into_iter().map(|table| stored_rows(&table.description)).reduce(f64::min))
    }

    #[test]
    fn pages_count_where_a_table_does_not_fit_into_memory() {
        for cached in [None, Some(1.0), Some(2.0)] {
            assert_eq!(ms(&tables(cached)[0]), 80.0, "{cached:?}");
        }
        // 12,800 pages, all of which have gone by the time that they are wanted again.
        let [pairs, _] = tables(Some(0.5));
        assert_eq!(ms(&pairs).round(), 80.0 + 768.0);
        // The index has both of these columns, and not the third.
        assert_eq!(ms(&scan(description(&pairs), &[0, 1])), 80.0);
        assert_eq!(ms(&scan(description(&pairs), &[1, 2])).round(), 848.0);
    }

    #[test]
    fn rows_by_an_index_are_on_pages_of_their_own_unless_the_table_is_in_its_order() {
        let kept = Kept::of(&description(&tables(Some(0.5))[0]));
        assert_eq!(kept.found(400.0, 32_000.0, false).round(), 960.0);
        assert_eq!(kept.found(400.0, 1_600.0, true), 12.0);
        assert_eq!(kept.found(100_000.0, 400_000.0, true).round(), 384.0);
        assert!(is_in_order_of(&description(&tables(None)[0]), "part"));
        assert!(!is_in_order_of(&description(&tables(None)[0]), "supplier"));
    }

    #[test]
    fn a_join_by_an_index_looks_at_what_it_finds() {
        let stored =
            |scan: &Scan| scan.tables().into_iter().map(|table| stored_rows(&table.description)).reduce(f64::min);
        let join = |join_type: JoinType, key: &str| {
            let [pairs, parts] = tables(Some(0.5));
            let schema = Arc::new(pairs.schema().join(parts.schema()).unwrap());
            Scan::Join(ScanJoin {
                left: pairs,
                right: parts,
                join_type,
                on: vec![(col(format!("pairs.{key}")), col("parts.id"))],
                condition: None,
                null_equality: NullEquality::NullEqualsNothing,
                null_aware: false,
                schema,
            })
        };
        let joined = |join_type, key| ms(&join(join_type, key));
        let [pairs, parts] = tables(Some(0.5));
        let both = ms(&pairs) + ms(&parts);
        // Of each of 2,000 parts a page, and four rows.
        let by_part = ms(&parts) + 2_000.0 * ROW_LOOKED_UP + 8_000.0 * ROW_FOUND + 2_000.0 * 0.03;
        assert!(by_part < both / 1.5);
        for join_type in [JoinType::Inner, JoinType::LeftSemi, JoinType::Right] {
            assert_eq!(joined(join_type, "part"), by_part, "{join_type}");
        }
        // All pairs are wanted, whatever they find; and no index begins with the cost.
        assert_eq!(joined(JoinType::LeftAnti, "part"), both);
        assert_eq!(joined(JoinType::Inner, "cost"), both);
        assert!(joins_by_index(&join(JoinType::LeftSemi, "part"), &stored));
        assert!(!joins_by_index(&join(JoinType::LeftAnti, "part"), &stored));
        assert!(!joins_by_index(&join(JoinType::Inner, "cost"), &stored));
        assert!(!joins_by_index(&pairs, &stored));
    }
}
