use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tombolo_connector::{Error, QueryContext, QueryScoped, ReadSnapshot, Result, Scan};

use crate::postgres::catalog::{TableProfile, literal};
use crate::postgres::client::{Client, Lease};

/// One snapshot for all that a query reads of one server. A transaction of its own exports it, and is held open until the
/// query ends, since a reader may begin at any time.
pub(super) struct QuerySnapshot {
    client: Arc<Client>,
    tag: String,
    /// How many things will be read, as far as is known.
    readings: AtomicUsize,
    /// The snapshot's name, or why there is none.
    exported: OnceCell<std::result::Result<String, String>>,
    held: Mutex<Held>,
    /// Whether one of the readers has begun in it.
    is_read: AtomicBool,
    /// Whether the server has refused the name, as one of several behind one address does that has not exported it.
    is_refused: AtomicBool,
}

/// What is held for the query until it ends.
#[derive(Default)]
struct Held {
    holder: Option<Lease>,
    /// Connections that were set aside for the streams of a scan.
    reserved: Vec<Reserved>,
    is_over: bool,
}

/// Connections that were set aside; none when the query is over.
type Reserved = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

impl QuerySnapshot {
    /// The snapshot of a query on this server.
    pub(super) fn of(context: &QueryContext, client: &Arc<Client>, tag: &str) -> Arc<Self> {
        context.state.get_or_insert_with(client.place(), || Self {
            client: Arc::clone(client),
            tag: tag.to_owned(),
            readings: AtomicUsize::new(0),
            exported: OnceCell::new(),
            held: Mutex::default(),
            is_read: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        })
    }

    /// Tells that so many more things will be read.
    pub(super) fn expect(&self, readings: usize) {
        self.readings.fetch_add(readings, Ordering::Relaxed);
    }

    /// The name of the snapshot; `None` where a reader has one of its own, which needs no other connection where nothing else is
    /// read.
    pub(super) async fn name(&self) -> Option<&str> {
        if self.exported.get().is_none() && !self.is_wanted() {
            return None;
        }
        self.exported().await
    }

    fn is_wanted(&self) -> bool {
        self.readings.load(Ordering::Relaxed) > 1 && self.client.shares_snapshots()
    }

    /// The same, also where nothing else is read.
    async fn exported(&self) -> Option<&str> {
        let exported = self.exported.get_or_init(|| async {
            let exported = self.export().await;
            if let Err(reason) = &exported {
                tracing::debug!(source = self.client.name(), reason, "no snapshot was exported");
            }
            exported
        });
        let name = exported.await.as_ref().ok()?;
        (!self.is_refused.load(Ordering::Relaxed)).then_some(name.as_str())
    }

    async fn export(&self) -> std::result::Result<String, String> {
        let failed = |error: Error| format!("the server has exported none: {}", error.message());
        let Some(mut holder) = self.client.try_hold().await.map_err(failed)? else {
            return Err("no connection was free to hold one for all".to_owned());
        };
        let begin = format!(
            "{} BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SELECT pg_export_snapshot()",
            self.tag
        );
        let rows = holder.connection().query(&[&begin]).await.map_err(failed)?;
        let name = rows.into_iter().flatten().flatten().next();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match name {
            Some(name) if !held.is_over => {
                held.holder = Some(holder);
                Ok(name)
            }
            name => {
                self.client.end(holder);
                Err(name.map_or("the server has exported none", |_| "the query has ended").to_owned())
            }
        }
    }

    /// Connections for so many streams of one scan, until the query ends; none where they are not all free.
    fn reserve(&self, streams: usize) -> Option<Reserved> {
        let reserved = Arc::new(Mutex::new(Some(self.client.try_reserve(streams)?)));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_over {
            return None;
        }
        held.reserved.push(Arc::clone(&reserved));
        Some(reserved)
    }

    /// Takes note that a reader has begun in it.
    pub(super) fn has_begun(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    /// Whether readers may go on with snapshots of their own after the server has refused this one: not where another has
    /// read it.
    pub(super) fn forgo(&self) -> bool {
        self.is_refused.store(true, Ordering::Relaxed);
        !self.is_read.load(Ordering::Relaxed)
    }

    /// What is told of a reader that has ended up with this name, or none.
    pub(super) fn told(&self, name: Option<&str>) -> Option<ReadSnapshot> {
        if !self.is_wanted() {
            return None;
        }
        Some(match (name, self.exported.get()?) {
            (Some(name), _) => ReadSnapshot::Shared(name.to_owned()),
            (None, Err(reason)) => ReadSnapshot::Own(reason.clone()),
            (None, Ok(_)) => ReadSnapshot::Own("the server does not know the one that was exported".to_owned()),
        })
    }
}

impl QueryScoped for QuerySnapshot {
    fn end(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.is_over = true;
        for reserved in held.reserved.drain(..) {
            *reserved.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        held.holder.take().into_iter().for_each(|holder| self.client.end(holder));
    }
}

impl Drop for QuerySnapshot {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for QuerySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerySnapshot").field("client", &self.client).finish_non_exhaustive()
    }
}

/// How the streams of one scan read the snapshot together.
#[derive(Debug)]
pub(super) struct Streams {
    streams: usize,
    query: Arc<QuerySnapshot>,
    shared: OnceCell<Reading>,
}

/// How the streams of a scan read.
#[derive(Debug)]
pub(super) enum Reading {
    /// Each its part, in the snapshot of this name.
    Together {
        name: String,
        /// Connections for the streams, set aside together: streams that waited for each other's would wait for ever.
        reserved: Reserved,
    },
    /// The first reads all, since there are not so many connections free, or the server exports no snapshot.
    Alone,
}

impl Streams {
    pub(super) fn new(streams: usize, query: Arc<QuerySnapshot>) -> Self {
        Self { streams, query, shared: OnceCell::new() }
    }

    /// Finds out how to read, when the first stream begins.
    pub(super) async fn reading(&self) -> &Reading {
        let reading = async {
            let Some(name) = self.query.exported().await else { return Reading::Alone };
            match self.query.reserve(self.streams) {
                Some(reserved) => Reading::Together { name: name.to_owned(), reserved },
                None => Reading::Alone,
            }
        };
        self.shared.get_or_init(|| reading).await
    }

    /// A connection for one of the streams.
    pub(super) async fn lease(&self, reserved: &Reserved) -> Result<Lease> {
        self.query.client.lease_of(reserved).await
    }
}

/// What a reader asks before it ends: what it has read that is not, or may not be, as it was when the snapshot was taken.
///
/// A table that is emptied or rewritten has no rows for a snapshot of before ("Caveats" of the chapter on concurrency in
/// PostgreSQL's documentation), and names and partitions are looked up as they are now. What a transaction has read it has
/// locked; the catalog's tables are read as of the snapshot, and functions tell what is so now. So these are told, as rows of a kind and a
/// name:
/// - `changed`: a table that was described, and is not what its name meant; one that is newer than the snapshot or has another
///   file now, or a partition or heir more or fewer. An index or a partition may well be newer: they have no row for it.
/// - `foreign`: a table of another server's, which knows nothing of the snapshot.
///
/// # Errors
/// Where a name cannot be written.
pub(super) fn doubts(scan: &Scan) -> Result<String> {
    let mut named = Vec::new();
    for table in scan.tables() {
        if let Some(oid) = TableProfile::of(&table.description).and_then(|profile| profile.oid()) {
            named.push(format!("({oid}, {})", literal(&table.table().to_string())?));
        }
    }
    let named = match named.as_slice() {
        [] => String::new(),
        named => format!(
            "SELECT 'changed', v.name FROM (VALUES {}) v(oid, name) WHERE v.oid NOT IN (SELECT relation FROM held) UNION ALL ",
            named.join(", ")
        ),
    };
    Ok(format!(
        "WITH held AS (SELECT l.relation, c.oid, c.relkind, c.relfilenode FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation \
         WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'), \
         parts AS (SELECT h.relation AS parent, t.relid::oid AS child \
         FROM held h, pg_catalog.pg_partition_tree(h.relation::regclass) t \
         WHERE h.relkind = 'p' AND t.parentrelid::oid = h.relation) \
         {named}SELECT 'changed', relation::regclass::text FROM held WHERE oid IS NULL \
         AND pg_catalog.pg_get_indexdef(relation) IS NULL AND relation NOT IN (SELECT child FROM parts) \
         OR relkind IN ('r', 'm') AND relfilenode <> 0 AND relfilenode <> pg_catalog.pg_relation_filenode(oid) \
         UNION ALL SELECT 'changed', h.relation::regclass::text FROM held h \
         JOIN pg_catalog.pg_inherits i ON i.inhparent = h.relation \
         WHERE h.relkind = 'p' AND i.inhrelid NOT IN (SELECT child FROM parts) \
         OR h.relkind = 'r' AND i.inhrelid NOT IN (SELECT relation FROM held) \
         UNION ALL SELECT 'changed', p.parent::regclass::text FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.child \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = p.child AND i.inhparent = p.parent) \
         UNION ALL SELECT 'foreign', relation::regclass::text FROM held WHERE relkind = 'f'"
    ))
}
