//! Connections to one server: how they are opened, lent, taken back and stopped.

mod connection;
mod failure;
mod socket;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tombolo_connector::{Error, ErrorCode, Result};

pub(super) use self::connection::{Connection, Frame, OutputColumn, Row, text_row};
pub(super) use self::failure::failure;
use self::socket::Tls;
use super::config::Config;

/// An idle connection that is older is closed in place of being lent: what lies between may have forgotten it.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);

/// The longest that stopping a statement may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens and lends connections to one server.
pub(super) struct Client {
    name: String,
    /// The source and where its server is.
    place: String,
    config: Config,
    tls: Tls,
    idle: Mutex<Vec<(Connection, Instant)>>,
    /// Connections for streams and for those that hold their snapshots.
    slots: Arc<Semaphore>,
    /// A connection that is left for the questions that planning asks, however many streams wait to be read; of one alone the same.
    questions: Arc<Semaphore>,
    /// How many may hold a snapshot and do nothing else: streams that are read in turns need several at once.
    holders: Arc<Semaphore>,
    /// Statements and transactions that are being ended after those who read were dropped.
    stopping: Mutex<JoinSet<()>>,
}

impl Client {
    /// Makes a client; opens nothing yet.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] where the certificates cannot be read.
    pub(super) fn try_new(name: &str, config: Config) -> Result<Self> {
        let slots = Arc::new(Semaphore::new(config.stream_connections()));
        let left = config.max_connections - config.stream_connections();
        let questions = if left == 0 { Arc::clone(&slots) } else { Arc::new(Semaphore::new(left)) };
        Ok(Self {
            name: name.to_owned(),
            tls: Tls::try_new(&config)?,
            slots,
            questions,
            holders: Arc::new(Semaphore::new(config.holders())),
            place: format!("{name} {}:{}/{}", config.host, config.port, config.database),
            config,
            idle: Mutex::default(),
            stopping: Mutex::default(),
        })
    }

    /// The source's name in the config.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The source and where its server is, which no other client has.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether queries may have one snapshot for all that they read.
    pub(super) fn shares_snapshots(&self) -> bool {
        self.config.one_snapshot
    }

    /// Lends a connection: an idle one that still answers, or a new one. Waits while all are lent.
    ///
    /// # Errors
    /// [`ErrorCode::SourceUnavailable`] and its kin where none can be opened.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        self.lend(acquired(&self.slots).await?, None).await
    }

    /// The same for a question of a moment.
    async fn lease_for_question(self: &Arc<Self>) -> Result<Lease> {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => acquired(&self.questions).await?,
        };
        self.lend(slot, None).await
    }

    async fn lend(self: &Arc<Self>, slot: OwnedSemaphorePermit, held: Option<OwnedSemaphorePermit>) -> Result<Lease> {
        let connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.open().await.map_err(|error| error.with_source_name(&self.name))?,
        };
        Ok(Lease { connection: Some(connection), client: Arc::clone(self), _slot: slot, _held: held })
    }

    /// Lends a connection that will hold a snapshot for others; none where that would leave none for them. Never waits.
    ///
    /// # Errors
    /// As [`Client::lease`].
    pub(super) async fn try_hold(self: &Arc<Self>) -> Result<Option<Lease>> {
        let Ok(held) = Arc::clone(&self.holders).try_acquire_owned() else { return Ok(None) };
        let slot = self.try_reserve(2).and_then(|mut slots| slots.split(1));
        let Some(slot) = slot else { return Ok(None) };
        self.lend(slot, Some(held)).await.map(Some)
    }

    /// Ends the transaction of a connection that has held a snapshot, and takes it back.
    pub(super) fn end(self: &Arc<Self>, mut lease: Lease) {
        // Without a runtime nothing can be sent; the closed socket ends the transaction too.
        let Ok(runtime) = Handle::try_current() else { return };
        let ended = async move {
            let ended = tokio::time::timeout(STOP_TIMEOUT, lease.connection().query(&["COMMIT"])).await;
            if !matches!(ended, Ok(Ok(_))) {
                tracing::debug!(source = lease.client.name, "the transaction of a snapshot was not ended in peace");
            }
        };
        self.at_the_end(ended, &runtime);
    }

    fn at_the_end(&self, work: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        while stopping.try_join_next().is_some() {}
        stopping.spawn_on(work, runtime);
    }

    /// Sets so many connections aside at once; none where not all of them are free.
    pub(super) fn try_reserve(&self, connections: usize) -> Option<OwnedSemaphorePermit> {
        let connections = u32::try_from(connections).ok()?;
        Arc::clone(&self.slots).try_acquire_many_owned(connections).ok()
    }

    /// Lends one of the connections that were set aside.
    ///
    /// # Errors
    /// As [`Client::lease`].
    pub(super) async fn lease_of(self: &Arc<Self>, reserved: &Mutex<Option<OwnedSemaphorePermit>>) -> Result<Lease> {
        let slot = reserved.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|slots| slots.split(1));
        match slot {
            Some(slot) => self.lend(slot, None).await,
            None => self.lease().await,
        }
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

    /// Runs statements in a read-only transaction and gives the rows of all of them, as text.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn query(self: &Arc<Self>, sql: &str) -> Result<Vec<Row>> {
        let mut lease = self.lease_for_question().await?;
        // A request is taken apart before any of it is done, so what says how text is quoted goes before.
        let begin = "BEGIN READ ONLY; SET LOCAL standard_conforming_strings = on";
        let rows = lease.connection().query(&[begin, &format!("{sql}; COMMIT")]).await;
        rows.map_err(|error| error.with_source_name(&self.name))
    }

    /// What a statement gives, without running it.
    ///
    /// # Errors
    /// What the server says of the text.
    pub(super) async fn describe(self: &Arc<Self>, statement: &str) -> Result<Vec<OutputColumn>> {
        let mut lease = self.lease_for_question().await?;
        let connection = lease.connection();
        // Quotes must mean here what they mean when it is run.
        connection.query(&["BEGIN READ ONLY; SET LOCAL standard_conforming_strings = on"]).await?;
        let columns = connection.describe(statement).await;
        connection.query(&["ROLLBACK"]).await?;
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
        self.at_the_end(stopped, &runtime);
    }
}

async fn acquired(slots: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let slot = Arc::clone(slots).acquire_owned().await;
    slot.map_err(|_| Error::internal("the connections of a source were closed"))
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
    _held: Option<OwnedSemaphorePermit>,
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
