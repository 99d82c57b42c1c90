use tombolo_connector::Scan;

use crate::cost::{
    KEY_COMPARED, KEY_FOUND, REQUEST, ROW_FOUND, ROW_LOOKED_AT, distinct, grouped, is_indexed, largest_table, moved,
};
use crate::execute::SourceScanExec;

/// What shipping keys to one scan depends on. The figures are the source's own, or guesses where it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Rows of the tables that the source has to look at without keys.
    looked_at: f64,
    /// Rows that come without keys.
    pub(super) rows: f64,
    /// Bytes of each.
    row_bytes: Option<f64>,
    /// Whether the rows are groups that the source makes of those that it looks at.
    is_grouped: bool,
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
        let looked_at = largest_table(tree);
        let rows = statistics.rows.value().map_or(looked_at, |rows| rows as f64);
        let known = columns.iter().filter_map(|at| distinct(tree, *at)).reduce(f64::max);
        Self {
            looked_at,
            rows,
            row_bytes: statistics.bytes.filter(|_| rows > 0.0).map(|bytes| bytes as f64 / rows),
            is_grouped: tree.any(&|scan| matches!(scan, Scan::Aggregate(_))),
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
        REQUEST + self.looked_at * ROW_LOOKED_AT + self.sent(1.0)
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
        requests * REQUEST + work + self.sent(share)
    }

    /// What it takes to group so large a share of the rows, where that is asked, and to bring the rest here.
    fn sent(&self, share: f64) -> f64 {
        let groups = if self.is_grouped { grouped(share * self.looked_at, share * self.rows) } else { 0.0 };
        groups + moved(share * self.rows, self.row_bytes)
    }
}

/// The milliseconds that it is expected to take to read a scan without keys.
pub(in crate::fuse) fn read_all_ms(scan: &SourceScanExec) -> f64 {
    Target::of(scan, &[], None, 1).read_all()
}
