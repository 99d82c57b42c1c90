use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tombolo_connector::{Error, QueryContext, QueryScoped, ReadSnapshot};

use crate::postgres::client::{Client, Lease};

/// One snapshot for all that a query reads of one server. A transaction of its own exports it, and is held open until the
/// query ends, since a reader may begin at any time.
pub(super) struct QuerySnapshot {
    client: Arc<Client>,
    tag: String,
    /// How many things will be read, as far as is known.
    readings: AtomicUsize,
    exported: OnceCell<Result<Exported, String>>,
    /// Whether one of the readers has begun in it.
    is_read: AtomicBool,
    /// Whether the server has refused the name, as one of several behind one address does that has not exported it.
    is_refused: AtomicBool,
}

/// A snapshot that others can read.
struct Exported {
    name: String,
    holder: Mutex<Option<Lease>>,
}

impl QuerySnapshot {
    /// The snapshot of a query on this server.
    pub(super) fn of(context: &QueryContext, client: &Arc<Client>, tag: &str) -> Arc<Self> {
        context.state.get_or_insert_with(client.place(), || Self {
            client: Arc::clone(client),
            tag: tag.to_owned(),
            readings: AtomicUsize::new(0),
            exported: OnceCell::new(),
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
        self.readings.load(Ordering::Relaxed) > 1
    }

    /// The same, also where nothing else is read.
    pub(super) async fn exported(&self) -> Option<&str> {
        let exported = self.exported.get_or_init(|| async {
            let exported = self.export().await;
            if let Err(reason) = &exported {
                tracing::debug!(source = self.client.name(), reason, "no snapshot was exported");
            }
            exported
        });
        let exported = exported.await.as_ref().ok()?;
        (!self.is_refused.load(Ordering::Relaxed)).then_some(exported.name.as_str())
    }

    async fn export(&self) -> Result<Exported, String> {
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
        match rows.into_iter().flatten().flatten().next() {
            Some(name) => Ok(Exported { name, holder: Mutex::new(Some(holder)) }),
            None => Err("the server has exported none".to_owned()),
        }
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
        let Some(Ok(exported)) = self.exported.get() else { return };
        let holder = exported.holder.lock().unwrap_or_else(PoisonError::into_inner).take();
        holder.into_iter().for_each(|holder| self.client.end(holder));
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
    client: Arc<Client>,
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
        reserved: Mutex<OwnedSemaphorePermit>,
    },
    /// The first reads all, since there are not so many connections free, or the server exports no snapshot.
    Alone,
}

impl Streams {
    pub(super) fn new(client: Arc<Client>, streams: usize, query: Arc<QuerySnapshot>) -> Self {
        Self { client, streams, query, shared: OnceCell::new() }
    }

    /// Finds out how to read, when the first stream begins.
    pub(super) async fn reading(&self) -> &Reading {
        let reading = async {
            let Some(name) = self.query.exported().await else { return Reading::Alone };
            match self.client.try_reserve(self.streams) {
                Some(reserved) => Reading::Together { name: name.to_owned(), reserved: Mutex::new(reserved) },
                None => Reading::Alone,
            }
        };
        self.shared.get_or_init(|| reading).await
    }
}
