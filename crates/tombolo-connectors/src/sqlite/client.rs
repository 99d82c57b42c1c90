#[cfg_attr(not(unix), path = "client/held_elsewhere.rs")]
mod held;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::{Connection, FileControl, OpenFlags};
use tombolo_connector::{Error, ErrorCode, Result};

use self::held::Held;
use super::config::Config;

/// Idle connections kept open.
const MAX_IDLE: usize = 8;

/// How often a file that is replaced while it is opened is opened again.
const OPEN_ATTEMPTS: usize = 5;

/// How many steps of its machine SQLite does between two looks at whether it should stop: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 4_000;

/// Opens and lends read-only connections to one file.
pub(super) struct Client {
    name: String,
    path: PathBuf,
    busy_timeout: Duration,
    idle: Mutex<Vec<Opened>>,
    lent: AtomicUsize,
    /// By table: the mark at which it was described, and the latest at which it was found to be the same still.
    unchanged: Mutex<HashMap<String, (String, String)>>,
}

/// A connection, and the files it reads. The connection is closed first: only then may the files be.
#[derive(Debug)]
struct Opened {
    connection: Connection,
    file: Held,
    /// The index of the write-ahead log; more than one where it was removed and made again.
    wal_index: RefCell<Vec<Held>>,
}

/// Tells the work behind a future or a stream to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    pub(super) fn at(deadline: Option<Instant>) -> Self {
        Self { flag: Arc::default(), deadline }
    }

    pub(super) fn now(&self) {
        self.flag.store(true, Ordering::Release);
    }

    fn is_due(&self) -> bool {
        self.flag.load(Ordering::Acquire) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Stops the work when its future is dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl Client {
    pub(super) fn new(name: &str, config: &Config) -> Self {
        Self {
            name: name.to_owned(),
            path: config.path.clone(),
            busy_timeout: config.busy_timeout,
            idle: Mutex::default(),
            lent: AtomicUsize::new(0),
            unchanged: Mutex::default(),
        }
    }

    /// Whether a table that was described at one mark was found to be the same at another.
    pub(super) fn is_unchanged(&self, table: &str, described: &str, mark: &str) -> bool {
        let unchanged = self.unchanged.lock().unwrap_or_else(PoisonError::into_inner);
        unchanged.get(table).is_some_and(|(from, to)| from == described && to == mark)
    }

    /// Remembers that a table is the same at a later mark, so that its values are not read again for each sub-query.
    pub(super) fn set_unchanged(&self, table: &str, described: &str, mark: &str) {
        let mut unchanged = self.unchanged.lock().unwrap_or_else(PoisonError::into_inner);
        unchanged.insert(table.to_owned(), (described.to_owned(), mark.to_owned()));
    }

    /// The source's name in the config.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many connections are in use.
    #[cfg(test)]
    pub(super) fn lent(&self) -> usize {
        self.lent.load(Ordering::Acquire)
    }

    /// Runs blocking work on a connection, off the asynchronous threads. Dropping the future stops the work.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Lease<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stop = Stop::default();
        let _stop_on_drop = StopOnDrop(stop.clone());
        let client = Arc::clone(self);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn_blocking(move || client.with(&stop, work));
        match tasks.join_next().await {
            Some(Ok(result)) => result.map_err(|error| error.with_source_name(&self.name)),
            _ => Err(Error::internal("the work on a SQLite connection ended without a result")),
        }
    }

    /// Runs work on a connection that stops its statements when `stop` says so. The connection is kept for the next work.
    pub(super) fn with<T>(&self, stop: &Stop, work: impl FnOnce(&Lease<'_>) -> Result<T>) -> Result<T> {
        let _lent = Lent::count(&self.lent);
        let mut opened = match self.take_idle() {
            Some(opened) => opened,
            None => self.open()?,
        };
        let watched = stop.clone();
        opened
            .connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || watched.is_due()))
            .map_err(|error| self.error(error))?;
        let result = work(&Lease { client: self, opened: &opened, stop });
        self.give_back(opened);
        result
    }

    /// An idle connection whose file is still the one at the path.
    fn take_idle(&self) -> Option<Opened> {
        loop {
            let opened = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let mut moved = 0;
            let asked = opened.connection.file_control(None::<&str>, FileControl::HasMoved(&mut moved));
            if asked.is_ok() && moved == 0 {
                return Some(opened);
            }
        }
    }

    /// Keeps a connection, unless it cannot be made idle again: then it is closed by being dropped.
    fn give_back(&self, mut opened: Opened) {
        let connection = &mut opened.connection;
        let ended = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        let unwatched = connection.progress_handler(0, None::<fn() -> bool>).is_ok();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if ended && unwatched && idle.len() < MAX_IDLE {
            idle.push(opened);
        }
    }

    fn open(&self) -> Result<Opened> {
        for _ in 0..OPEN_ATTEMPTS {
            // The file is held first, since SQLite tells a missing one and a forbidden one with the same words.
            let file = Held::try_new(&self.path).map_err(|cause| self.file_error(cause))?;
            let connection = self.connect()?;
            if file.is_at(&self.path) {
                return Ok(Opened { connection, file, wal_index: RefCell::default() });
            }
        }
        let path = self.path.display();
        Err(Error::new(ErrorCode::SourceBusy, format!("the SQLite file {path} is replaced again and again"))
            .with_source_name(&self.name)
            .retryable())
    }

    fn connect(&self) -> Result<Connection> {
        let connection =
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|error| self.error(error))?;
        connection.busy_timeout(self.busy_timeout).map_err(|error| self.error(error))?;
        // LIKE folds ASCII letters unless told otherwise; the engine's does not.
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA case_sensitive_like = ON;")
            .map_err(|error| self.error(error))?;
        Ok(connection)
    }

    fn file_error(&self, cause: std::io::Error) -> Error {
        let path = self.path.display();
        let error = match cause.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(ErrorCode::SourceUnavailable, format!("there is no SQLite file at {path}"))
                    .with_hint("Check the path: the file is never created here.")
            }
            std::io::ErrorKind::PermissionDenied => {
                Error::new(ErrorCode::PermissionDenied, format!("the SQLite file {path} may not be read"))
                    .with_hint("Give the user who runs this read permission on the file.")
            }
            std::io::ErrorKind::IsADirectory => {
                Error::new(ErrorCode::SourceUnavailable, format!("{path} is not a file"))
                    .with_hint("Name the database file itself.")
            }
            _ => Error::new(ErrorCode::SourceUnavailable, format!("the SQLite file {path} could not be opened")),
        };
        error.with_detail(cause.to_string()).with_source_name(&self.name).with_cause(cause)
    }

    /// Puts an error of the driver into Tombolo's shape.
    pub(super) fn error(&self, error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        let path = self.path.display();
        let code = error.sqlite_error_code();
        let shaped = match code {
            Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => {
                Error::new(ErrorCode::SourceBusy, format!("the SQLite file {path} is locked by another program"))
                    .with_hint("Try again when the other program has finished, or raise `busy_timeout`.")
                    .retryable()
            }
            Some(Code::NotADatabase) => Error::new(ErrorCode::CorruptData, format!("{path} is not a SQLite database"))
                .with_hint("Check the path; an encrypted database cannot be read."),
            Some(Code::DatabaseCorrupt) => {
                Error::new(ErrorCode::CorruptData, format!("the SQLite file {path} is damaged"))
                    .with_hint("Run `PRAGMA integrity_check` on it with the sqlite3 program.")
            }
            Some(Code::PermissionDenied | Code::AuthorizationForStatementDenied) => {
                Error::new(ErrorCode::PermissionDenied, format!("the SQLite file {path} may not be read"))
            }
            Some(Code::CannotOpen | Code::ReadOnly) => {
                Error::new(ErrorCode::SourceUnavailable, format!("the SQLite file {path} could not be opened"))
                    .with_hint("A database in WAL mode needs a folder in which its -shm file can be written.")
            }
            Some(Code::DiskFull) => {
                Error::new(ErrorCode::DiskFull, "the disk is full: SQLite could not write a temporary file")
            }
            Some(Code::OutOfMemory) => Error::new(ErrorCode::OutOfMemory, "SQLite ran out of memory"),
            Some(Code::OperationInterrupted) => Error::new(ErrorCode::Cancelled, "the SQLite sub-query was stopped"),
            Some(Code::SchemaChanged) => {
                Error::new(ErrorCode::SchemaChanged, "the tables of the SQLite file changed meanwhile").retryable()
            }
            _ if error.to_string().contains("integer overflow") => {
                Error::new(ErrorCode::ComputationFailed, "a sum of integers is larger than 64 bits hold")
            }
            _ => Error::new(ErrorCode::SourceFailed, "SQLite could not run its sub-query"),
        };
        shaped.with_detail(error.to_string()).with_source_name(&self.name).with_cause(error)
    }

    /// Reads the schema, so that a file which is no database is found out.
    pub(super) fn check(lease: &Lease<'_>) -> Result<()> {
        lease.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(|error| lease.error(error))
    }

    /// The file's size in bytes.
    pub(super) fn size(lease: &Lease<'_>) -> Result<u64> {
        Self::check(lease)?;
        let metadata = std::fs::metadata(&lease.client.path).map_err(|cause| lease.client.file_error(cause))?;
        Ok(metadata.len())
    }

    /// A mark that differs whenever the stored data does: size, time and change counters of the file, and the state of its
    /// write-ahead log.
    ///
    /// The counters are those of the [file format](https://www.sqlite.org/fileformat2.html): offsets 24 (change counter) and
    /// 40 (schema cookie) of the file, and the 48 bytes of the WAL index header, in which each commit changes a counter and
    /// a checksum.
    pub(super) fn mark(lease: &Lease<'_>) -> Result<String> {
        let path = &lease.client.path;
        let (metadata, header) = lease.opened.file.start::<100>().map_err(|cause| lease.client.file_error(cause))?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mut mark = format!("{}-{}-", metadata.len(), modified.unwrap_or_default().as_nanos());
        if let Some(header) = header {
            append_hex(&mut mark, &header[24..28]);
            append_hex(&mut mark, &header[40..44]);
        }
        let wal_bytes = std::fs::metadata(beside(path, "-wal")).map(|metadata| metadata.len()).unwrap_or(0);
        if wal_bytes > 0 {
            if let Some(index) = lease.opened.wal_index(&beside(path, "-shm")) {
                append_hex(&mut mark, &index);
            }
            mark.push_str(&format!("-{wal_bytes}"));
        }
        Ok(mark)
    }
}

impl Opened {
    /// The start of the write-ahead log's index, where there is one.
    fn wal_index(&self, path: &Path) -> Option<[u8; 48]> {
        let mut held = self.wal_index.borrow_mut();
        if !held.last().is_some_and(|index| index.is_at(path)) {
            // One that is no longer at the path is kept, since SQLite may still hold locks on it.
            held.push(Held::try_new(path).ok()?);
        }
        held.last()?.start().ok()?.1
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn append_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
}

/// A connection in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease<'a> {
    client: &'a Client,
    opened: &'a Opened,
    stop: &'a Stop,
}

impl Lease<'_> {
    pub(super) fn client(&self) -> &Client {
        self.client
    }

    /// The error of a statement, as a timeout where the deadline stopped it.
    pub(super) fn error(&self, error: rusqlite::Error) -> Error {
        let passed = self.stop.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if passed && error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
            return Error::new(ErrorCode::Timeout, "the time limit was reached while SQLite ran its sub-query")
                .with_source_name(&self.client.name);
        }
        self.client.error(error)
    }
}

impl Deref for Lease<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.opened.connection
    }
}

/// Counts a connection as lent while it lives.
struct Lent<'a>(&'a AtomicUsize);

impl<'a> Lent<'a> {
    fn count(lent: &'a AtomicUsize) -> Self {
        lent.fetch_add(1, Ordering::AcqRel);
        Self(lent)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
