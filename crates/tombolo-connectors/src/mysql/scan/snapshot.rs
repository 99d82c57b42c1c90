use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join_all;
use tokio::sync::OnceCell;
use tombolo_connector::{Error, Result, TableRef};

use super::{BEGIN, Parts, ranges};
use crate::mysql::catalog::{RangeKey, engine_query};
use crate::mysql::client::{Client, Lease, Row};
use crate::mysql::native::{KeyRange, MysqlDialect};
use crate::sql::Dialect;

/// How often transactions are begun in the hope that nothing is committed between them.
const ATTEMPTS: usize = 8;

/// The snapshots of a scan: one for all streams of each time that it is read.
///
/// MariaDB has no name for a snapshot. `START TRANSACTION WITH CONSISTENT SNAPSHOT` takes it while no commit that is written to the
/// binary log can become visible, and notes how far the log was then: `Binlog_snapshot_file` and `Binlog_snapshot_position`. Equal
/// places mean that no such commit lies between. (MariaDB's documentation, "Enhancements for START TRANSACTION WITH CONSISTENT
/// SNAPSHOT"; `ha_start_consistent_snapshot` in its sources holds `LOCK_commit_ordered`.) What is committed past that log, by a
/// session with `sql_log_bin = 0` or where a filter leaves a database out, moves the log of InnoDB, so that this must not have moved
/// either.
pub(super) struct Snapshots {
    client: Arc<Client>,
    parts: Parts,
    /// How often each stream was opened, and the snapshot of each time.
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    times: Vec<usize>,
    cells: Vec<Arc<OnceCell<Reading>>>,
}

/// What one stream is to read.
pub(super) struct Part {
    client: Arc<Client>,
    stream: usize,
    streams: usize,
    table: TableRef,
    key: RangeKey,
    reading: Arc<OnceCell<Reading>>,
}

/// What a stream reads.
pub(super) enum Share {
    /// A range, over a connection whose transaction has begun.
    Range(Box<Lease>, KeyRange),
    /// All.
    All,
    /// Nothing, since another reads all.
    Nothing,
}

/// How the streams of a scan read.
enum Reading {
    /// Each its range, in the same snapshot.
    Together(Vec<Mutex<Option<(Lease, KeyRange)>>>),
    /// The first reads all, for this reason.
    Alone(String),
}

impl Snapshots {
    pub(super) fn new(client: Arc<Client>, parts: Parts) -> Self {
        Self { client, parts, opened: Mutex::default() }
    }

    pub(super) fn streams(&self) -> usize {
        match &self.parts {
            Parts::One(_) => 1,
            Parts::Several { streams, .. } => *streams,
        }
    }

    /// What a stream is to read, now that it is opened; none where there is one stream.
    pub(super) fn part(&self, stream: usize) -> Option<Part> {
        let Parts::Several { streams, table, key } = &self.parts else { return None };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = &mut *opened;
        opened.times.resize(*streams, 0);
        let times = opened.times.get_mut(stream)?;
        *times += 1;
        // What is read again is read in another snapshot, but by all streams in the same.
        while opened.cells.len() < *times {
            opened.cells.push(Arc::default());
        }
        let reading = Arc::clone(opened.cells.get(*times - 1)?);
        let (client, table, key) = (Arc::clone(&self.client), table.clone(), key.clone());
        Some(Part { client, stream, streams: *streams, table, key, reading })
    }

    /// What the table is read by, where somebody may wonder.
    pub(super) fn told(&self) -> Option<String> {
        let one = |reason: &str| Some(format!("one stream, since {reason}"));
        let (streams, key) = match &self.parts {
            Parts::One(reason) => return reason.as_deref().and_then(one),
            Parts::Several { streams, key, .. } => (*streams, key),
        };
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match opened.cells.first().and_then(|reading| reading.get()) {
            Some(Reading::Alone(reason)) => one(reason),
            _ => Some(format!("{streams} streams over ranges of `{}`, in one snapshot", key.column)),
        }
    }
}

impl Part {
    /// Finds out what to read; begins the transactions of all streams where this is the first.
    pub(super) async fn share(&self) -> Result<Share> {
        let reading = async {
            match self.begin().await {
                Ok(reading) => reading,
                Err(error) => {
                    tracing::debug!(source = self.client.name(), %error, "no shared snapshot: one stream reads all");
                    Reading::Alone(format!("the others could not begin: {error}"))
                }
            }
        };
        Ok(match self.reading.get_or_init(|| reading).await {
            Reading::Alone(_) if self.stream == 0 => Share::All,
            Reading::Alone(_) => Share::Nothing,
            // There may be fewer ranges than streams.
            Reading::Together(parts) => match parts.get(self.stream) {
                None => Share::Nothing,
                Some(part) => {
                    let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let (lease, range) = part.ok_or_else(|| Error::internal("a range of keys was read before"))?;
                    Share::Range(Box::new(lease), range)
                }
            },
        })
    }

    async fn begin(&self) -> Result<Reading> {
        let alone = |reason: &str| Ok(Reading::Alone(reason.to_owned()));
        let Some(mut leases) = self.client.try_lease_many(self.streams).await? else {
            return alone("not so many connections were free");
        };
        if let Some(reason) = unlogged(&mut leases).await? {
            return Ok(Reading::Alone(reason));
        }
        try_join_all(leases.iter_mut().map(|lease| lease.connection().query(PATIENCE))).await?;
        let table = MysqlDialect::default().table(&self.table);
        let mut is_shared = false;
        for _ in 0..ATTEMPTS {
            is_shared = begin_together(&mut leases, &table).await?;
            if is_shared {
                break;
            }
        }
        if !is_shared {
            return alone("the server wrote so often that no two streams had the same snapshot");
        }
        let Some(first) = leases.first_mut() else { return alone("there are no streams") };
        // The table is locked against a change of its form by now. It may have had another before.
        let engine = first.connection().query(&engine_query(&self.table)?).await?;
        if engine.into_iter().flatten().flatten().next().as_deref() != Some("InnoDB") {
            return alone("it is no table of InnoDB any more");
        }
        let Some(ranges) = ranges::ranges(first.connection(), &table, &self.key, self.streams).await? else {
            return alone("it has no rows");
        };
        let parts = leases.into_iter().zip(ranges);
        Ok(Reading::Together(parts.map(|(lease, range)| Mutex::new(Some((lease, range)))).collect()))
    }
}

/// A stream that is not read yet is not one that is forgotten.
const PATIENCE: &str = "SET wait_timeout = 28800, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0";

/// Why commits may not be in the binary log, as far as the server's settings say.
async fn unlogged(leases: &mut [Lease]) -> Result<Option<String>> {
    let Some(first) = leases.first_mut() else { return Ok(None) };
    Ok(unlogged_by(&first.connection().query(SETTINGS).await?).map(str::to_owned))
}

/// What says which commits are in the binary log. Filters are variables from MariaDB 11.2 on.
const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('log_bin', 'log_slave_updates', 'binlog_do_db', \
                        'binlog_ignore_db', 'binlog_optimize_thread_scheduling', 'wsrep_on'); \
                        SHOW GLOBAL STATUS LIKE 'Slaves_running'";

fn unlogged_by(rows: &[Row]) -> Option<&'static str> {
    let value = |name: &str| {
        let row = rows.iter().find(|row| row.first().is_some_and(|found| found.as_deref() == Some(name)));
        row.and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default()
    };
    let is_on = |name: &str| value(name) == "ON";
    let is_replica = value("Slaves_running") != "0" || is_on("wsrep_on");
    if !is_on("log_bin") || !is_on("binlog_optimize_thread_scheduling") {
        Some("the server's binary log is off")
    } else if is_replica && !is_on("log_slave_updates") {
        Some("the server's binary log is without what comes from other servers (`log_slave_updates` is off)")
    } else if !value("binlog_do_db").is_empty() || !value("binlog_ignore_db").is_empty() {
        Some("the server's binary log is without some databases")
    } else {
        None
    }
}

/// Begins a transaction on each connection; whether all have the same snapshot.
async fn begin_together(leases: &mut [Lease], table: &str) -> Result<bool> {
    let before = innodb_log(leases).await?;
    try_join_all(leases.iter_mut().map(|lease| lease.connection().query(BEGIN))).await?;
    let after = innodb_log(leases).await?;
    // The look at the table locks it against a change of its form.
    let place = format!("SHOW STATUS LIKE 'binlog_snapshot_%'; SELECT 1 FROM {table} LIMIT 0");
    let places = try_join_all(leases.iter_mut().map(|lease| lease.connection().query(&place))).await?;
    Ok(before.is_some() && before == after && is_one_place(&places))
}

/// How far the log of InnoDB is.
async fn innodb_log(leases: &mut [Lease]) -> Result<Option<Row>> {
    let Some(first) = leases.first_mut() else { return Ok(None) };
    Ok(first.connection().query("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'").await?.pop())
}

/// Whether what connections say of their places in the binary log is all the same, and says something.
fn is_one_place(places: &[Vec<Row>]) -> bool {
    let is_place = |rows: &Vec<Row>| {
        let is_given = |name: &str| {
            let is_it =
                |row: &Row| matches!(row.as_slice(), [Some(found), Some(value)] if found == name && !value.is_empty());
            rows.iter().any(is_it)
        };
        is_given("Binlog_snapshot_file") && is_given("Binlog_snapshot_position")
    };
    places.iter().all(is_place) && places.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("parts", &self.parts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, is_one_place, unlogged_by};

    fn rows(text: &str) -> Vec<Row> {
        let row = |line: &str| line.split('=').map(|cell| Some(cell.trim().to_owned())).collect();
        text.split(';').filter(|line| !line.trim().is_empty()).map(row).collect()
    }

    #[test]
    fn a_binary_log_that_may_lack_commits_says_nothing() {
        let whole =
            "log_bin=ON; log_slave_updates=OFF; binlog_optimize_thread_scheduling=ON; wsrep_on=OFF; Slaves_running=0";
        assert_eq!(unlogged_by(&rows(whole)), None);
        let is_told = |from: &str, to: &str| unlogged_by(&rows(&whole.replace(from, to))).is_some();
        assert!(is_told("log_bin=ON", "log_bin=OFF"));
        assert!(is_told("scheduling=ON", "scheduling=OFF"));
        assert!(is_told("Slaves_running=0", "Slaves_running=1"));
        assert!(is_told("Slaves_running=0", ""), "what is not told may be so");
        assert!(is_told("wsrep_on=OFF", "wsrep_on=ON"));
        assert!(is_told("wsrep_on=OFF", "binlog_do_db=shop"));
        assert!(is_told("wsrep_on=OFF", "binlog_ignore_db=shop"));
        let logs_others = whole.replace("updates=OFF", "updates=ON");
        assert_eq!(unlogged_by(&rows(&logs_others.replace("running=0", "running=1"))), None);
        assert_eq!(unlogged_by(&rows(&format!("{whole}; binlog_do_db=; binlog_ignore_db="))), None);
    }

    #[test]
    fn places_are_one_where_all_are_told_and_the_same() {
        let place = |file: &str, at: u32| rows(&format!("Binlog_snapshot_file={file}; Binlog_snapshot_position={at}"));
        assert!(is_one_place(&[place("a", 1), place("a", 1), place("a", 1)]));
        assert!(!is_one_place(&[place("a", 1), place("a", 1), place("a", 2)]));
        assert!(!is_one_place(&[place("a", 1), place("b", 1)]));
        assert!(!is_one_place(&[place("", 0), place("", 0)]), "a log that is off has no place");
        assert!(!is_one_place(&[Vec::new(), Vec::new()]));
    }
}
