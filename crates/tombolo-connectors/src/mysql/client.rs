//! Connections to one server: how they are opened, lent, taken back and stopped.

mod connection;
mod failure;
mod packet;
mod signin;
mod socket;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tombolo_connector::{Error, ErrorCode, Result};

pub(super) use self::connection::{Command, Connection, LAST_PREPARED, Row};
pub(super) use self::failure::{GUARD, failure, unexpected};
pub(super) use self::packet::{ColumnDefinition, Reader, Status, is_eof, is_error};
use self::socket::Tls;
use super::config::Config;

/// An idle connection that is older is closed in place of being lent: what lies between may have forgotten it.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);

/// The longest that stopping a statement may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens and lends connections to one server.
pub(super) struct Client {
    name: String,
    config: Config,
    tls: Tls,
    idle: Mutex<Vec<(Connection, Instant)>>,
    slots: Arc<Semaphore>,
    /// Statements that are being stopped after their stream was dropped.
    stopping: Mutex<JoinSet<()>>,
}

impl Client {
    /// Makes a client; opens nothing yet.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] where the certificates cannot be read.
    pub(super) fn try_new(name: &str, config: Config) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            tls: Tls::try_new(&config)?,
            slots: Arc::new(Semaphore::new(config.max_connections)),
            config,
            idle: Mutex::default(),
            stopping: Mutex::default(),
        })
    }

    /// The source's name in the config.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lends a connection: an idle one that still answers, or a new one. Waits while all are lent.
    ///
    /// # Errors
    /// [`ErrorCode::SourceUnavailable`] and its kin where none can be opened.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        self.lend(slot.map_err(|_| Error::internal("the connections of a source were closed"))?).await
    }

    async fn lend(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> Result<Lease> {
        let connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.open().await.map_err(|error| error.with_source_name(&self.name))?,
        };
        Ok(Lease { connection: Some(connection), client: Arc::clone(self), _slot: slot })
    }

    /// Lends so many connections at once; none where not all of them are free, since those who wait for each other's would wait for
    /// ever.
    ///
    /// # Errors
    /// As [`Client::lease`].
    pub(super) async fn try_lease_many(self: &Arc<Self>, connections: usize) -> Result<Option<Vec<Lease>>> {
        let slots = (0..connections).map(|_| Arc::clone(&self.slots).try_acquire_owned());
        let Ok(slots) = slots.collect::<std::result::Result<Vec<_>, _>>() else { return Ok(None) };
        try_join_all(slots.into_iter().map(|slot| self.lend(slot))).await.map(Some)
    }

    async fn open(&self) -> Result<Connection> {
        let opened = tokio::time::timeout(self.config.connect_timeout, Connection::open(&self.config, &self.tls)).await;
        opened.unwrap_or_else(|_| {
            let place = format!("{}:{}", self.config.host, self.config.port);
            Err(Error::new(ErrorCode::SourceUnavailable, format!("no answer from {place}"))
                .with_detail(format!("waited {:?} for a connection", self.config.connect_timeout))
                .with_hint("See that the server runs and can be reached, or raise `connect_timeout`.")
                .retryable())
        })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE_TIME);
        // The last one back is the likeliest to be alive.
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    /// Runs statements and gives the rows of all of them, as text.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn query(self: &Arc<Self>, sql: &str) -> Result<Vec<Row>> {
        let mut lease = self.lease().await?;
        let rows = lease.connection().query(sql).await;
        rows.map_err(|error| error.with_source_name(&self.name))
    }

    /// What a statement gives, without running it.
    ///
    /// # Errors
    /// What the server says of the text.
    pub(super) async fn describe(self: &Arc<Self>, statement: &str) -> Result<Vec<ColumnDefinition>> {
        let mut lease = self.lease().await?;
        let columns = lease.connection().describe(statement).await;
        columns.map_err(|error| error.with_source_name(&self.name))
    }

    /// Asks the server to stop what a connection is at, and closes it.
    fn stop(self: &Arc<Self>, connection: Connection) {
        // Without a runtime nothing can be sent; closing the socket is what is left.
        let Ok(runtime) = Handle::try_current() else { return };
        let client = Arc::clone(self);
        let stopped = async move {
            let cancel = connection.cancel(&client.config, &client.tls);
            match tokio::time::timeout(STOP_TIMEOUT, cancel).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(source = client.name, %error, "a statement could not be stopped"),
                Err(_) => {
                    tracing::warn!(source = client.name, "the server did not take the request to stop a statement")
                }
            }
        };
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        while stopping.try_join_next().is_some() {}
        stopping.spawn_on(stopped, &runtime);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A connection that is lent. Dropping it gives it back; where it is still at work, that is stopped in the server.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    client: Arc<Client>,
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut Connection {
        // It is there until the lease is dropped.
        #[expect(clippy::expect_used, reason = "only dropping takes it")]
        self.connection.as_mut().expect("a lease holds its connection")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if connection.is_idle() {
            let mut idle = self.client.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((connection, Instant::now()));
        } else if connection.is_at_work() {
            self.client.stop(connection);
        }
    }
}
