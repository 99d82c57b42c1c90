use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tombolo_connector::Result;

use crate::postgres::client::{Client, Lease};

/// One snapshot for all streams of a scan: a transaction of its own exports it, and is held open while streams may begin.
#[derive(Debug)]
pub(super) struct Snapshot {
    client: Arc<Client>,
    streams: usize,
    /// The table, as a FROM clause names it.
    table: String,
    shared: OnceCell<Reading>,
}

/// How the streams of a scan read.
pub(super) enum Reading {
    /// Each its part, in the snapshot of this name.
    Together {
        name: String,
        /// Connections for the streams, set aside together: streams that waited for each other's would wait for ever.
        reserved: Mutex<OwnedSemaphorePermit>,
        _exporter: Mutex<Lease>,
    },
    /// The first reads all, since there are not so many connections free, or the server exports no snapshot.
    Alone,
}

impl Snapshot {
    pub(super) fn new(client: Arc<Client>, streams: usize, table: String) -> Self {
        Self { client, streams, table, shared: OnceCell::new() }
    }

    /// Finds out how to read, when the first stream begins.
    pub(super) async fn reading(&self) -> &Reading {
        let reading = async {
            match self.export().await {
                Ok(Some(reading)) => reading,
                Ok(None) => Reading::Alone,
                Err(error) => {
                    tracing::debug!(source = self.client.name(), %error, "no snapshot was exported: one stream reads all");
                    Reading::Alone
                }
            }
        };
        self.shared.get_or_init(|| reading).await
    }

    async fn export(&self) -> Result<Option<Reading>> {
        let Some(reserved) = self.client.try_reserve(self.streams + 1) else { return Ok(None) };
        let reserved = Mutex::new(reserved);
        let mut exporter = self.client.lease_of(&reserved).await?;
        // The look at the table locks it against what would move its rows to other pages, as VACUUM FULL does.
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SELECT FROM {} LIMIT 0; SELECT pg_export_snapshot()",
            self.table
        );
        let rows = exporter.connection().query(&[&begin]).await?;
        let name = rows.into_iter().flatten().flatten().next();
        Ok(name.map(|name| Reading::Together { name, reserved, _exporter: Mutex::new(exporter) }))
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Together { .. } => "Together",
            Self::Alone => "Alone",
        })
    }
}
