mod column;
mod ranges;
mod snapshot;
mod value;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use tombolo_connector::looks::joins_by_index;
use tombolo_connector::{Error, ErrorCode, KeyBatch, QueryContext, Result, Scan, ScanReader, TableRef};

use self::column::{ColumnReader, Wire};
use self::snapshot::{Share, Snapshots};
use super::capability::spare;
use super::catalog::{RangeKey, Server, TableProfile, covering_key};
use super::client::{
    Client, ColumnDefinition, Command, Connection, LAST_PREPARED, Lease, Reader, Status, failure, is_eof, is_error,
    unexpected,
};
use super::config::Config;
use super::native::MysqlDialect;
use crate::sql;

/// A batch ends when its rows have so many bytes, however few they are.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Begins to read in one snapshot.
const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Reads one accepted tree.
#[derive(Debug)]
pub(super) struct MysqlReader {
    client: Arc<Client>,
    dialect: MysqlDialect,
    scan: Arc<Scan>,
    schema: SchemaRef,
    batch_size: usize,
    deadline: Option<Instant>,
    /// Who asks, as a comment of the statement.
    tag: String,
    /// What is set for the statement alone.
    setting: &'static str,
    snapshots: Snapshots,
}

/// Has MariaDB join by indexes, where they are expected to find what it takes in less time than to read the tables: with joins by hashing
/// at hand, it takes these wherever they can be.
const BY_INDEX: &str = "SET STATEMENT join_cache_level = 2 FOR ";

/// The most streams over one table.
const MAX_STREAMS: usize = 16;

/// How a scan is to be read.
#[derive(Debug)]
pub(super) enum Parts {
    /// By one stream, where it matters with the reason.
    One(Option<String>),
    /// By several, each of which reads a range of the key.
    Several { streams: usize, table: TableRef, key: RangeKey },
}

/// Cuts a large table that is read row by row into ranges of its key.
pub(super) fn parts(scan: &Scan, config: &Config, server: &Server, wanted: usize) -> Parts {
    let Some(found) = scan.plain_table() else { return Parts::One(None) };
    let Some(profile) = TableProfile::of(&found.description) else { return Parts::One(None) };
    let worth = usize::try_from(profile.data_bytes / config.stream_bytes).unwrap_or(MAX_STREAMS);
    let streams = worth.min(wanted).min(MAX_STREAMS);
    if streams < 2 {
        return Parts::One(None);
    }
    let streams = streams.min(spare(config.max_connections));
    let one = |reason: &str| Parts::One(Some(reason.to_owned()));
    // The server takes an index with all that is read for the rows; ranges of another would make it read these.
    let key = covering_key(&found.description, &profile, &found.columns).or_else(|| profile.clustered.clone());
    match (server.shares_snapshots, profile.engine.as_deref(), key) {
        (Err(reason), ..) => one(reason),
        (_, Some("InnoDB"), Some(key)) if streams > 1 => Parts::Several { streams, table: found.table().clone(), key },
        (_, Some("InnoDB"), Some(_)) => one("`max_connections` leaves no second connection for it"),
        (_, Some("InnoDB"), None) => one("its rows are not kept in the order of an integer"),
        (_, engine, _) => one(&format!("tables of {} have no snapshots", engine.unwrap_or("an unknown engine"))),
    }
}

impl MysqlReader {
    pub(super) fn new(
        client: Arc<Client>,
        dialect: MysqlDialect,
        scan: Scan,
        parts: Parts,
        context: &QueryContext,
    ) -> Self {
        let schema = Arc::clone(scan.schema().inner());
        // A name could end the comment.
        let plain = |text: &str| text.replace(['*', '/', '\0'], "_");
        let user = if context.user.is_empty() { String::new() } else { format!(" user {}", plain(&context.user)) };
        let tag = format!("/* tombolo query {}{user} */", plain(&context.query_id));
        let (batch_size, deadline) = (context.batch_size.max(1), context.deadline);
        let snapshots = Snapshots::new(Arc::clone(&client), parts);
        let rows_of = |scan: &Scan| sql::estimate(scan).rows.value().map(|rows| rows as f64);
        let setting = if dialect.is_mariadb && joins_by_index(&scan, &rows_of) { BY_INDEX } else { "" };
        Self { client, dialect, scan: Arc::new(scan), schema, batch_size, deadline, tag, setting, snapshots }
    }
}

impl ScanReader for MysqlReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        self.snapshots.streams()
    }

    fn streams(&self) -> Option<String> {
        self.snapshots.told()
    }

    fn takes_keys(&self, keys: &KeyBatch) -> bool {
        sql::takes_keys(&self.dialect, &self.scan, keys)
    }

    fn open(
        &self,
        partition: usize,
        keys: Option<&KeyBatch>,
        _task: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let printed = sql::print(&self.dialect, &self.scan, keys)?;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (at, field) in self.schema.fields().iter().enumerate() {
            columns.push(ColumnReader::try_new(field, printed.origins.get(at).cloned().flatten())?);
        }
        // Rows of single keys are found by an index, if at all, and not by ranges of another.
        let part = keys.is_none().then(|| self.snapshots.part(partition)).flatten();
        let (dialect, tag) = (self.dialect.clone(), self.tag.clone());
        let part = part.map(|part| Part { dialect, scan: Arc::clone(&self.scan), tag, part });
        let rows = Rows {
            client: Arc::clone(&self.client),
            statement: format!("{} {}{}", self.tag, self.setting, printed.text),
            part,
            deadline: self.deadline,
            lease: None,
            has_ended: false,
            schema: Arc::clone(&self.schema),
            columns,
            definitions: Vec::new(),
            batch_size: self.batch_size,
            waiting: 0,
            waiting_bytes: 0,
        };
        let name = self.client.name().to_owned();
        let batches = stream::try_unfold(rows, move |mut rows| {
            let name = name.clone();
            async move {
                let next = rows.next().await.map_err(|error| DataFusionError::from(error.with_source_name(&name)))?;
                Ok(next.map(|batch| (batch, rows)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// The rows of one sub-query as they come. Dropping it stops the statement in the server.
struct Rows {
    client: Arc<Client>,
    /// What reads all.
    statement: String,
    /// What this stream reads, where there are several.
    part: Option<Part>,
    deadline: Option<Instant>,
    /// The connection, from the first poll on.
    lease: Option<Lease>,
    /// Whether the server has said that these were all.
    has_ended: bool,
    schema: SchemaRef,
    columns: Vec<ColumnReader>,
    /// What the server says of the columns that it sends.
    definitions: Vec<ColumnDefinition>,
    batch_size: usize,
    waiting: usize,
    waiting_bytes: usize,
}

/// One stream of several.
struct Part {
    dialect: MysqlDialect,
    scan: Arc<Scan>,
    tag: String,
    part: snapshot::Part,
}

impl Rows {
    /// The next batch; `None` when the server has said that these were all.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.has_ended {
            return Ok(None);
        }
        if self.lease.is_none() && !self.start().await? {
            self.has_ended = true;
            return Ok(None);
        }
        loop {
            let Some(lease) = &mut self.lease else { return Err(Error::internal("a statement has no connection")) };
            let connection = lease.connection();
            let Some(frame) = connection.frame()? else {
                connection.fill().await?;
                continue;
            };
            let row = connection.payload(frame);
            if is_eof(row) {
                let status = Status::of_eof(row)?;
                connection.consume(frame);
                connection.ended(Some(status));
                commit(connection).await?;
                self.lease = None;
                self.has_ended = true;
                return if self.waiting == 0 { Ok(None) } else { self.batch().map(Some) };
            }
            if is_error(row) {
                let error = failure(row);
                connection.consume(frame);
                return Err(refused(connection, error).await);
            }
            decode(row, &mut self.columns, &self.definitions)?;
            self.waiting += 1;
            self.waiting_bytes += row.len();
            connection.consume(frame);
            if self.waiting >= self.batch_size || self.waiting_bytes >= MAX_BATCH_BYTES {
                return self.batch().map(Some);
            }
        }
    }

    /// Sends the statement; false where another stream reads all.
    async fn start(&mut self) -> Result<bool> {
        let begun = match &self.part {
            None => None,
            Some(Part { dialect, scan, tag, part }) => match part.share().await? {
                Share::Range(lease, range) => {
                    let printed = sql::print(&MysqlDialect { part: Some(range), ..dialect.clone() }, scan, None)?;
                    Some((*lease, format!("{tag} {}", printed.text)))
                }
                Share::All => None,
                Share::Nothing => return Ok(false),
            },
        };
        let is_begun = begun.is_some();
        let mut lease = match begun {
            Some((lease, statement)) => {
                self.statement = statement;
                lease
            }
            None => self.client.lease().await?,
        };
        let limit = self.deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            lease.connection().time_limit(u64::try_from(left).unwrap_or(u64::MAX))
        });
        let (limit, lift) = limit.unzip();
        // The transaction of one stream of several began with those of the others.
        let begin = if is_begun { None } else { Some(BEGIN.to_owned()) };
        let begin: Vec<String> = limit.into_iter().chain(begin).collect();
        // The limit would bind the questions of the connection's next query.
        let end: Vec<String> = std::iter::once("COMMIT".to_owned()).chain(lift).collect();
        self.definitions = self.begin(lease.connection(), &begin.join("; "), &end.join("; ")).await?;
        self.lease = Some(lease);
        Ok(true)
    }

    /// Begins a transaction, prepares the statement, runs it, and asks for the end of the transaction behind it. With MariaDB
    /// that is one round trip; MySQL has to tell the statement's number before it can be run.
    async fn begin(&self, connection: &mut Connection, begin: &str, end: &str) -> Result<Vec<ColumnDefinition>> {
        let prepare = Command::Prepare(&self.statement);
        let prepare = if begin.is_empty() { vec![prepare] } else { vec![Command::Query(begin), prepare] };
        let is_mariadb = connection.is_mariadb();
        if is_mariadb {
            let execute = [Command::Execute(LAST_PREPARED), Command::Query(end)];
            connection.send(&[prepare.as_slice(), &execute].concat()).await?;
        } else {
            connection.send(&prepare).await?;
        }
        let begun = if begin.is_empty() { Ok(()) } else { statements_end(connection).await };
        let prepared = prepared(connection).await;
        let id = match (begun, prepared) {
            (Ok(()), Ok(id)) => id,
            (Err(error), _) | (_, Err(error)) if is_mariadb => return Err(refused_early(connection, error).await),
            (Err(error), _) | (_, Err(error)) => {
                connection.send(&[Command::Query(end)]).await?;
                return Err(refused(connection, error).await);
            }
        };
        if !is_mariadb {
            connection.send(&[Command::Execute(id), Command::Close(id), Command::Query(end)]).await?;
        }
        match executed(connection).await {
            Ok(definitions) if definitions.len() == self.columns.len().max(1) => {
                if is_mariadb {
                    connection.send(&[Command::Close(id)]).await?;
                }
                Ok(definitions)
            }
            Ok(definitions) => unexpected(&format!("{} columns", definitions.len())),
            Err(error) => Err(refused(connection, error).await),
        }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let columns = self.columns.iter_mut().map(ColumnReader::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.waiting));
        (self.waiting, self.waiting_bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|error| {
            Error::internal("the rows of MySQL do not fit their schema").with_detail(error.to_string())
        })
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}

/// Reads the answer to statements without rows.
async fn statements_end(connection: &mut Connection) -> Result<()> {
    loop {
        let packet = connection.packet().await?;
        if is_error(&packet) {
            connection.ended(None);
            return Err(failure(&packet));
        }
        let status = Status::of_ok(&packet)?;
        if !status.has_more() {
            connection.ended(Some(status));
            return Ok(());
        }
    }
}

/// Reads the number of the statement that was prepared.
async fn prepared(connection: &mut Connection) -> Result<u32> {
    let packet = connection.packet().await?;
    if is_error(&packet) {
        connection.ended(None);
        return Err(failure(&packet));
    }
    let mut reader = Reader(&packet);
    reader.u8()?;
    let (id, columns, parameters) = (reader.u32()?, reader.u16()?, reader.u16()?);
    connection.definitions(u64::from(parameters)).await?;
    connection.definitions(u64::from(columns)).await?;
    connection.ended(None);
    Ok(id)
}

/// Reads what comes before the rows of a statement that was run.
async fn executed(connection: &mut Connection) -> Result<Vec<ColumnDefinition>> {
    let packet = connection.packet().await?;
    if is_error(&packet) {
        return Err(failure(&packet));
    }
    connection.columns(&packet).await
}

/// Reads the end of the transaction, so that the connection can be lent again.
async fn commit(connection: &mut Connection) -> Result<()> {
    statements_end(connection).await
}

/// The error of a statement, when the end of its transaction was read, or its connection given up.
async fn refused(connection: &mut Connection, error: Error) -> Error {
    connection.ended(None);
    // Whatever goes wrong now, the first error is the one to tell.
    match commit(connection).await {
        Ok(()) => error,
        Err(second) => error.with_cause(second),
    }
}

/// The error of a statement that could not be prepared, where it was asked to be run all the same: the server says that
/// there is none.
async fn refused_early(connection: &mut Connection, error: Error) -> Error {
    match executed(connection).await {
        Ok(_) => Error::internal("a statement runs that could not be prepared").with_cause(error),
        Err(_) => refused(connection, error).await,
    }
}

/// Reads a binary row: a zero, a bit for each null, then the values one after another.
fn decode(row: &[u8], columns: &mut [ColumnReader], definitions: &[ColumnDefinition]) -> Result<()> {
    let malformed = || Error::new(ErrorCode::SourceFailed, "the server's row is not in the form that it should have");
    let mut reader = Reader(row);
    if reader.u8()? != 0 {
        return Err(malformed());
    }
    // The first two bits are of no column.
    let nulls = reader.bytes((definitions.len() + 9) / 8)?;
    for (at, definition) in definitions.iter().enumerate() {
        let bit = at + 2;
        let is_null = nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        let value = if is_null { Wire::Null } else { Wire::read(&mut reader, definition)? };
        // A select of no columns has one all the same.
        let Some(column) = columns.get_mut(at) else { continue };
        if let Err(reason) = column.append(value) {
            return Err(column.refuse(&reason));
        }
    }
    if reader.0.is_empty() { Ok(()) } else { Err(malformed()) }
}
