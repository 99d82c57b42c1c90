use tombolo_connector::{RowCount, Scan, TableDescription};

use crate::execute::SourceScanExec;

/// What a request costs beside its rows, in milliseconds: the way there and back, and its planning in the source.
const REQUEST: f64 = 0.7;
/// A row that a source looks at.
const ROW_LOOKED_AT: f64 = 0.000_1;
/// A row that a source finds by an index.
const ROW_FOUND: f64 = 0.000_4;
/// A row that comes here, and each of its bytes.
const ROW_MOVED: f64 = 0.000_25;
const BYTE_MOVED: f64 = 0.000_004;
/// A key in a request: to print, to parse, and to look up in an index or in a table that the source makes of the keys.
const KEY_FOUND: f64 = 0.005;
const KEY_COMPARED: f64 = 0.000_7;

/// What a table or a column is held to have where nothing is known.
const UNKNOWN_ROWS: f64 = 1_000_000.0;

/// What shipping keys to one scan depends on. The figures are the source's own, or guesses where it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Rows of the tables that the source has to look at without keys.
    looked_at: f64,
    /// Rows that come without keys.
    pub(super) rows: f64,
    /// Bytes of each.
    row_bytes: f64,
    /// Whether an index of the source begins with the key.
    is_indexed: bool,
    /// Distinct keys in the source.
    pub(super) distinct: f64,
    /// Keys in one request.
    pub(super) request_keys: usize,
}

impl Target {
    /// What is known of a scan whose output columns `columns` are compared with keys. `partners` is the number of distinct keys
    /// that the other side's table has, where it is known.
    pub(super) fn of(scan: &SourceScanExec, columns: &[usize], partners: Option<f64>, request_keys: usize) -> Self {
        let tree = &scan.scan().scan;
        let statistics = scan.scan_statistics();
        let looked_at = tree.tables().iter().map(|table| stored_rows(&table.description)).fold(0.0, f64::max);
        let rows = statistics.rows.value().map_or(looked_at, |rows| rows as f64);
        let bytes = statistics.bytes.map_or(64.0 * rows, |bytes| bytes as f64);
        let known = columns.iter().filter_map(|at| distinct(tree, *at)).reduce(f64::max);
        Self {
            looked_at,
            rows,
            row_bytes: if rows > 0.0 { bytes / rows } else { 64.0 },
            is_indexed: columns.iter().any(|at| is_indexed(tree, *at)),
            distinct: known.or(partners).unwrap_or(looked_at / 10.0).max(1.0),
            request_keys: request_keys.max(1),
        }
    }

    /// The share of rows that have one of so many keys.
    pub(super) fn share(&self, keys: f64) -> f64 {
        (keys / self.distinct).clamp(0.0, 1.0)
    }

    /// The milliseconds that it takes to read everything.
    pub(super) fn read_all(&self) -> f64 {
        REQUEST + self.looked_at * ROW_LOOKED_AT + self.moved(self.rows)
    }

    /// The milliseconds that it takes to read what has one of so many keys.
    pub(super) fn ship(&self, keys: f64) -> f64 {
        if keys == 0.0 {
            return 0.0;
        }
        let requests = (keys / self.request_keys as f64).ceil();
        let share = self.share(keys);
        let by_comparing = requests * self.looked_at * ROW_LOOKED_AT + keys * KEY_COMPARED;
        let by_index = keys * KEY_FOUND + share * self.looked_at * ROW_FOUND;
        let work = if self.is_indexed { by_index.min(by_comparing) } else { by_comparing };
        requests * REQUEST + work + self.moved(share * self.rows)
    }

    fn moved(&self, rows: f64) -> f64 {
        rows * (ROW_MOVED + self.row_bytes * BYTE_MOVED)
    }
}

fn stored_rows(table: &TableDescription) -> f64 {
    table.statistics.rows.value().map_or(UNKNOWN_ROWS, |rows| rows as f64)
}

/// How many distinct values a stored column has, where its source knows.
pub(super) fn distinct(scan: &Scan, at: usize) -> Option<f64> {
    let (table, column) = scan.column_origin(at)?;
    let table = &table.description;
    let name = column.field.name();
    let known = table.statistics.columns.get(name).and_then(|column| column.distinct).map(|distinct| distinct as f64);
    let is_unique = table.primary_key.iter().eq([name])
        || table.unique_keys.iter().any(|key| key.iter().eq([name]))
        || table
            .indexes
            .iter()
            .any(|index| index.unique && index.condition.is_none() && index.columns.iter().eq([name]));
    match (is_unique, table.statistics.rows) {
        (true, RowCount::Exact(rows) | RowCount::Estimated(rows)) => Some(rows as f64),
        _ => known,
    }
}

fn is_indexed(scan: &Scan, at: usize) -> bool {
    let Some((table, column)) = scan.column_origin(at) else { return false };
    let table = &table.description;
    let name = column.field.name();
    let leads = |columns: &[String]| columns.first() == Some(name);
    leads(&table.primary_key)
        || table.unique_keys.iter().any(|key| leads(key))
        || table.indexes.iter().any(|index| index.condition.is_none() && leads(&index.columns))
}
