//! What work costs, in milliseconds: guesses for a source on the same network, by which strategies are compared, and what was
//! seen of a source in their place. Used by the stages that choose between strategies.

use tombolo_connector::Scan;
pub(crate) use tombolo_connector::looks::{
    Looks, ROW_FOUND, ROW_LOOKED_AT, UNKNOWN_ROWS, is_in_order_of, largest_table, stored_rows,
};

use crate::catalog::Source;

/// What a request costs beside its rows, where nothing was seen: the way there and back, and its planning in the source.
const REQUEST: f64 = 0.7;
/// A key in a request: to print, to parse, and to look up in an index or in a table that the source makes of the keys.
pub(crate) const KEY_FOUND: f64 = 0.005;
pub(crate) const KEY_COMPARED: f64 = 0.000_7;
/// A row that comes here, and each of its bytes.
const ROW_MOVED: f64 = 0.000_25;
const BYTE_MOVED: f64 = 0.000_004;
/// A row that a source puts into one of few groups, or into one of many.
const ROW_OF_FEW_GROUPS: f64 = 0.000_15;
const ROW_OF_MANY_GROUPS: f64 = 0.000_7;
const FEW_GROUPS: f64 = 20_000.0;
/// A row that a source joins.
pub(crate) const ROW_JOINED: f64 = 0.000_3;
/// A row that a join here keeps, and one that it looks up or puts out.
pub(crate) const ROW_BUILT: f64 = 0.000_15;
pub(crate) const ROW_PROBED: f64 = 0.000_05;

/// A row that is compared with keys here, that is put into a group here, or that is sorted here.
pub(crate) const ROW_FILTERED: f64 = 0.000_015;
pub(crate) const ROW_GROUPED: f64 = 0.000_08;
pub(crate) const ROW_SORTED: f64 = 0.000_1;
/// A row that is sorted here for a window and put through it, with what it takes of memory: much, beside a row that is read. Of TPC-H's query 17
/// at scale 1, over files, all rows through a window took three times as long as to read and to group them once more, a half as long as that, and
/// a fifth half as long.
pub(crate) const ROW_WINDOWED: f64 = 0.002;

/// What is done with a row here of a join and its groups.
pub(crate) const ROW_WORKED_ON: f64 = ROW_BUILT + ROW_GROUPED;

/// What a row is held to have where nothing is known.
const UNKNOWN_BYTES: f64 = 64.0;

/// How fast a source answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed {
    /// Milliseconds that a request takes beside its rows.
    pub(crate) request_ms: f64,
    /// The time that rows take to come, as a multiple of that from a source on the same network.
    pub(crate) slowness: f64,
}

impl Default for Speed {
    fn default() -> Self {
        Self { request_ms: REQUEST, slowness: 1.0 }
    }
}

impl Speed {
    /// What it takes to bring rows here, of so many bytes each where that is known.
    pub(crate) fn moved(self, rows: f64, row_bytes: Option<f64>) -> f64 {
        self.slowness * moved(rows, row_bytes)
    }
}

/// What it takes to bring rows here from a source on the same network, of so many bytes each where that is known.
pub(crate) fn moved(rows: f64, row_bytes: Option<f64>) -> f64 {
    rows * (ROW_MOVED + row_bytes.unwrap_or(UNKNOWN_BYTES) * BYTE_MOVED)
}

/// What it takes a source to group rows.
pub(crate) fn grouped(rows: f64, groups: f64) -> f64 {
    rows * if groups < FEW_GROUPS { ROW_OF_FEW_GROUPS } else { ROW_OF_MANY_GROUPS }
}

/// What a source that is connected has to look at for a sub-query.
pub(crate) fn looks(source: &Source, scan: &Scan) -> Looks {
    Looks::of(scan, &|scan| {
        let connector = source.connector_if_connected()?;
        source.estimate(connector.as_ref(), scan).rows.value().map(|rows| rows as f64)
    })
}

/// How many distinct values a stored column has, where its source knows.
pub(crate) fn distinct(scan: &Scan, at: usize) -> Option<f64> {
    let (table, column) = scan.column_origin(at)?;
    table.description.distinct(column.field.name())
}

pub(crate) fn is_indexed(scan: &Scan, at: usize) -> bool {
    scan.column_origin(at).is_some_and(|(table, column)| table.description.leads_index(&[column.field.name()]))
}

/// What shipping keys to one scan depends on. The figures are the source's own, or guesses where it has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyTarget {
    /// What the source has to look at without keys.
    pub(crate) looks: Looks,
    /// Rows that come without keys.
    pub(crate) rows: f64,
    /// Bytes of each.
    pub(crate) row_bytes: Option<f64>,
    /// Whether the rows are groups that the source makes of those that it looks at.
    pub(crate) is_grouped: bool,
    /// Whether an index of the source begins with the key.
    pub(crate) is_indexed: bool,
    /// Whether the rows of its largest table are kept in the order of the key.
    pub(crate) is_in_order: bool,
    /// Distinct keys in the source.
    pub(crate) distinct: f64,
    /// Keys in one request.
    pub(crate) request_keys: usize,
    /// How fast the source answers.
    pub(crate) speed: Speed,
    /// What is done with a row on its way to the join, where the source takes no keys and rows are compared with them here.
    pub(crate) spared: Option<f64>,
}

impl KeyTarget {
    /// The share of rows that have one of so many keys.
    pub(crate) fn share(&self, keys: f64) -> f64 {
        (keys / self.distinct).clamp(0.0, 1.0)
    }

    /// The milliseconds that it takes to read everything.
    pub(crate) fn read_all(&self) -> f64 {
        if let Some(spared) = self.spared {
            return self.rows * spared;
        }
        self.speed.request_ms + self.looks.ms + self.sent(1.0)
    }

    /// The milliseconds that it takes to read what has one of so many keys.
    pub(crate) fn ship(&self, keys: f64) -> f64 {
        if keys == 0.0 {
            return 0.0;
        }
        let share = self.share(keys);
        if let Some(spared) = self.spared {
            return self.rows * (ROW_FILTERED + share * spared);
        }
        let requests = (keys / self.request_keys as f64).ceil();
        let by_comparing = requests * self.looks.ms + keys * KEY_COMPARED;
        let by_index = keys * KEY_FOUND + self.looks.found(keys, requests, share * self.looks.rows, self.is_in_order);
        // Which pages it has to fetch is nothing that a source thinks of when it takes an index.
        let work = match self.is_indexed {
            true if self.looks.fetches() => by_index,
            true => by_index.min(by_comparing),
            false => by_comparing,
        };
        requests * self.speed.request_ms + work + self.sent(share)
    }

    /// What it takes to group so large a share of the rows, where that is asked, and to bring the rest here.
    fn sent(&self, share: f64) -> f64 {
        let groups = if self.is_grouped { grouped(share * self.looks.rows, share * self.rows) } else { 0.0 };
        groups + self.speed.moved(share * self.rows, self.row_bytes)
    }
}
