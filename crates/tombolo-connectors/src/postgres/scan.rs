mod column;
mod snapshot;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use postgres_protocol::message::backend::Message;
use tombolo_connector::{Error, ErrorCode, KeyBatch, QueryContext, ReadSnapshot, Result, Scan, ScanReader};

use self::column::ColumnReader;
use self::snapshot::{QuerySnapshot, Reading, Streams};
use super::catalog::TableProfile;
use super::client::{Client, Frame, Lease, text_row};
use super::native::{Pages, PostgresDialect};
use crate::sql::{self, Form};

/// A batch ends when its values have so many bytes, however few rows they are.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What a binary copy begins with: a signature of 11 bytes, flags of 4, and the length of what else there is in the header.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEADER_BYTES: usize = 19;

/// Reads one accepted tree.
#[derive(Debug)]
pub(super) struct PostgresReader {
    client: Arc<Client>,
    dialect: PostgresDialect,
    scan: Arc<Scan>,
    schema: SchemaRef,
    batch_size: usize,
    deadline: Option<Instant>,
    /// The longest that the server lets a statement run anyway, in milliseconds.
    limit_ms: Option<u64>,
    /// Whether it is the first rows that should come soon.
    reads_first_rows: bool,
    /// Who asks, as a comment of the statement.
    tag: String,
    /// What each stream reads of the table; empty where one reads all.
    parts: Vec<Pages>,
    streams: Arc<Streams>,
    snapshot: Arc<OwnSnapshot>,
}

/// The most streams over one table.
const MAX_STREAMS: usize = 16;

/// Cuts a large table that is read row by row into ranges of its pages; empty where it is not worth it.
pub(super) fn parts(scan: &Scan, stream_bytes: u64, wanted: usize) -> Vec<Pages> {
    let Some(profile) = scan.plain_table().and_then(|table| TableProfile::of(&table.description)) else {
        return Vec::new();
    };
    let pages = profile.pages.unwrap_or_default();
    let worth = pages.saturating_mul(profile.page_bytes) / stream_bytes;
    let streams = usize::try_from(worth).unwrap_or(MAX_STREAMS).min(wanted).min(MAX_STREAMS) as u64;
    if streams < 2 {
        return Vec::new();
    }
    // The table may have grown since, so the last part has no end.
    let bound = |at: u64| pages * at / streams;
    (0..streams).map(|at| Pages { from: bound(at), to: (at + 1 < streams).then(|| bound(at + 1)) }).collect()
}

impl PostgresReader {
    pub(super) fn new(
        client: Arc<Client>,
        dialect: PostgresDialect,
        limit_ms: Option<u64>,
        scan: Scan,
        parts: Vec<Pages>,
        context: &QueryContext,
    ) -> Self {
        let schema = Arc::clone(scan.schema().inner());
        // A name could end the comment.
        let plain = |text: &str| text.replace(['*', '/', '\0'], "_");
        let user = if context.user.is_empty() { String::new() } else { format!(" user {}", plain(&context.user)) };
        let tag = format!("/* tombolo query {}{user} */", plain(&context.query_id));
        let query = QuerySnapshot::of(context, &client, &tag);
        let streams = Arc::new(Streams::new(parts.len(), Arc::clone(&query)));
        let snapshot = Arc::new(OwnSnapshot { query, told: Mutex::default() });
        let (batch_size, deadline) = (context.batch_size.max(1), context.deadline);
        let reads_first_rows = context.reads_first_rows;
        Self {
            client,
            dialect,
            scan: Arc::new(scan),
            schema,
            batch_size,
            deadline,
            limit_ms,
            reads_first_rows,
            tag,
            parts,
            streams,
            snapshot,
        }
    }
}

impl PostgresReader {
    fn has_query(&self) -> bool {
        self.scan.tables().iter().any(|table| table.table().is_query())
    }
}

impl ScanReader for PostgresReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        self.parts.len().max(1)
    }

    fn takes_keys(&self, keys: &KeyBatch) -> bool {
        sql::takes_keys(&self.dialect, &self.scan, keys)
    }

    fn expect_readings(&self, more: usize) {
        self.snapshot.query.expect(more);
    }

    fn snapshot(&self) -> Option<ReadSnapshot> {
        self.snapshot.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            let form = printed.forms.get(at).copied().unwrap_or(Form::NATURAL);
            let origin = printed.origins.get(at).cloned().flatten();
            columns.push(ColumnReader::try_new(field, form, origin)?);
        }
        let copy = |text: &str| format!("{} COPY ({text}) TO STDOUT (FORMAT binary)", self.tag);
        // Rows of single keys are found by an index, if at all, and not by ranges of pages.
        let part = match self.parts.get(partition).filter(|_| keys.is_none()) {
            None => None,
            pages => {
                let dialect = PostgresDialect { pages: pages.copied(), ..self.dialect };
                let statement = copy(&sql::print(&dialect, &self.scan, None)?.text);
                Some(Part { statement, is_first: partition == 0, streams: Arc::clone(&self.streams) })
            }
        };
        let rows = Rows {
            client: Arc::clone(&self.client),
            statement: copy(&printed.text),
            // A read-only transaction lets some functions write all the same (large objects, before version 16), and only a text
            // of the user's own can name one. Otherwise COMMIT, since servers are watched for transactions that are rolled back.
            end_statement: if self.has_query() { "ROLLBACK" } else { "COMMIT" },
            part,
            snapshot: Arc::clone(&self.snapshot),
            imported: false,
            scan: Arc::clone(&self.scan),
            deadline: self.deadline,
            limit_ms: self.limit_ms,
            reads_first_rows: self.reads_first_rows && keys.is_none(),
            lease: None,
            schema: Arc::clone(&self.schema),
            columns,
            batch_size: self.batch_size,
            waiting: 0,
            waiting_bytes: 0,
            received: 0,
            is_over: false,
            progress: Progress::default(),
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
    /// What ends the transaction.
    end_statement: &'static str,
    /// What this stream reads, where there are several.
    part: Option<Part>,
    snapshot: Arc<OwnSnapshot>,
    /// Whether it was to read the query's snapshot.
    imported: bool,
    scan: Arc<Scan>,
    deadline: Option<Instant>,
    limit_ms: Option<u64>,
    reads_first_rows: bool,
    /// The connection, from the first poll on.
    lease: Option<Lease>,
    schema: SchemaRef,
    columns: Vec<ColumnReader>,
    batch_size: usize,
    waiting: usize,
    waiting_bytes: usize,
    received: u64,
    is_over: bool,
    progress: Progress,
}

/// One stream of several.
struct Part {
    statement: String,
    is_first: bool,
    streams: Arc<Streams>,
}

/// What one reader has to do with the query's snapshot.
#[derive(Debug)]
struct OwnSnapshot {
    query: Arc<QuerySnapshot>,
    /// What its streams have read.
    told: Mutex<Option<ReadSnapshot>>,
}

impl OwnSnapshot {
    /// Once one of its streams has read a snapshot of its own, that is what is told.
    fn tell(&self, now: Option<ReadSnapshot>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*told, Some(ReadSnapshot::Own(_))) {
            *told = now;
        }
    }
}

/// How far the server's answers have come.
#[derive(Debug, Default)]
struct Progress {
    /// Statements that were sent, and those whose end was read.
    sent: usize,
    ended: usize,
    /// Whether the copy's header was read.
    has_begun: bool,
    /// Whether the copy's own mark of the end was read.
    has_trailer: bool,
    /// How many rows the server says that it has sent.
    announced: Option<u64>,
    /// The first error that it told of, and how many statements had ended by then.
    error: Option<Error>,
    failed_after: usize,
    /// The tables that are not as they were in the snapshot, and one that takes no part in it.
    changed: Vec<String>,
    foreign: Option<String>,
}

impl Rows {
    /// The next batch; `None` when the server has said that these were all.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.is_over || (self.lease.is_none() && !self.start().await?) {
            self.is_over = true;
            return Ok(None);
        }
        loop {
            let Some(lease) = &mut self.lease else { return Err(Error::internal("a copy has no connection")) };
            let connection = lease.connection();
            match connection.frame()? {
                // A server that ends the session says why before it closes the connection.
                None => match (connection.fill().await, self.progress.error.take()) {
                    (Err(_), Some(said)) => return Err(said),
                    (Err(lost), None) => return Err(lost),
                    (Ok(()), said) => self.progress.error = said,
                },
                Some(Frame::Data(length)) => {
                    let bytes = connection.buffered().get(..length).unwrap_or_default();
                    decode(bytes, &mut self.columns, &mut self.progress, &mut self.waiting, &mut self.waiting_bytes)?;
                    connection.consume(length);
                    if self.waiting >= self.batch_size || self.waiting_bytes >= MAX_BATCH_BYTES {
                        return self.batch().map(Some);
                    }
                }
                Some(Frame::Other(message)) => match *message {
                    Message::CommandComplete(body) => {
                        let rows = body.tag().ok().and_then(|tag| tag.strip_prefix("COPY ")?.parse().ok());
                        self.progress.announced = self.progress.announced.or(rows);
                    }
                    Message::DataRow(body) => {
                        let row: Vec<String> = text_row(&body)?.into_iter().flatten().collect();
                        match <[String; 2]>::try_from(row) {
                            Ok([kind, table]) if kind == "foreign" => self.progress.foreign = Some(table),
                            Ok([_, table]) if self.progress.changed.contains(&table) => {}
                            Ok([_, table]) => self.progress.changed.push(table),
                            Err(_) => return Err(Error::internal("a question was not answered in its form")),
                        }
                    }
                    Message::ErrorResponse(body) if self.progress.error.is_none() => {
                        self.progress.error = Some(super::client::failure(&body));
                        self.progress.failed_after = self.progress.ended;
                    }
                    Message::ReadyForQuery(_) => {
                        self.progress.ended += 1;
                        if self.imported && self.progress.error.is_none() {
                            self.snapshot.query.has_begun();
                        }
                        if self.progress.ended == self.progress.sent && self.is_refused() {
                            self.lease = None;
                            self.start().await?;
                        } else if self.progress.ended == self.progress.sent {
                            return self.end();
                        }
                    }
                    // The begin and the end of the copy, which its own header and trailer say too.
                    _ => {}
                },
            }
        }
    }

    /// Sends the statement; false where another stream reads all.
    async fn start(&mut self) -> Result<bool> {
        let reading = match &self.part {
            None => &Reading::Alone,
            Some(part) => part.streams.reading().await,
        };
        let (name, mut lease, statement) = match (&self.part, reading) {
            (Some(part), Reading::Together { name, reserved }) => {
                (Some(name.as_str()), part.streams.lease(reserved).await?, &part.statement)
            }
            (Some(part), Reading::Alone) if !part.is_first => return Ok(false),
            _ => {
                let name = self.snapshot.query.name().await;
                (name, self.client.lease().await?, &self.statement)
            }
        };
        let (begin, doubts) = (self.begin(name), name.map(|_| snapshot::doubts(&self.scan)).transpose()?);
        // Sent at once, so that it takes one round trip.
        let statements = [Some(begin.as_str()), Some(statement), doubts.as_deref(), Some(self.end_statement)];
        let statements: Vec<&str> = statements.into_iter().flatten().collect();
        lease.connection().send(&statements).await?;
        self.progress = Progress { sent: statements.len(), ..Progress::default() };
        self.snapshot.tell(self.snapshot.query.told(name));
        (self.imported, self.lease) = (name.is_some(), Some(lease));
        Ok(true)
    }

    /// Whether the server does not know the query's snapshot: of a wrong name it says 22023, or 42704 since version 16.
    fn is_unknown(&self) -> bool {
        let said = self.progress.error.as_ref().map(Error::code);
        let is_said = matches!(said, Some(ErrorCode::ComputationFailed | ErrorCode::SchemaChanged));
        is_said && self.imported && self.progress.failed_after == 0
    }

    /// The same where a snapshot of its own will do.
    fn is_refused(&self) -> bool {
        self.is_unknown() && self.part.is_none() && self.snapshot.query.forgo()
    }

    /// Reads in one snapshot, and by settings under which text means the same everywhere.
    fn begin(&self, snapshot: Option<&str>) -> String {
        // The name is the server's own, of digits, letters and hyphens. It must be said before anything is read.
        let snapshot = snapshot.map(|name| format!("; SET TRANSACTION SNAPSHOT '{name}'")).unwrap_or_default();
        let mut text = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY{snapshot}");
        text.push_str(
            "; SET LOCAL TimeZone = 'UTC'; \
                        SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; \
                        SET LOCAL extra_float_digits = 1; SET LOCAL standard_conforming_strings = on",
        );
        if self.reads_first_rows {
            // A copy is planned to be read to its end, for which the server would rather sort a table than follow an index.
            text.push_str("; SET LOCAL enable_sort = off");
        }
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            let most = self.limit_ms.map_or(i32::MAX as u128, u128::from);
            // At least one, since 0 is without a limit.
            let left = left.clamp(1, most);
            text.push_str(&format!("; SET LOCAL statement_timeout = {left}"));
        }
        text
    }

    fn end(&mut self) -> Result<Option<RecordBatch>> {
        (self.lease, self.is_over) = (None, true);
        let is_unknown = self.is_unknown();
        if let Some(error) = self.progress.error.take() {
            return Err(if is_unknown { snapshot_is_gone(&error) } else { error });
        }
        if !self.progress.changed.is_empty() {
            return Err(has_changed(&self.progress.changed));
        }
        if let Some(table) = self.progress.foreign.take() {
            let reason = format!("{table} is a table of another server, which takes no part in it");
            self.snapshot.tell(Some(ReadSnapshot::Own(reason)));
        }
        self.received += self.waiting as u64;
        if !self.progress.has_trailer || self.progress.announced != Some(self.received) {
            return Err(Error::new(ErrorCode::SourceFailed, "the server sent other rows than it says").with_detail(
                format!("{:?} rows were announced, and {} came", self.progress.announced, self.received),
            ));
        }
        self.received -= self.waiting as u64;
        if self.waiting == 0 { Ok(None) } else { self.batch().map(Some) }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let columns = self.columns.iter_mut().map(ColumnReader::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.waiting));
        self.received += self.waiting as u64;
        (self.waiting, self.waiting_bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|error| {
            Error::internal("the rows of PostgreSQL do not fit their schema").with_detail(error.to_string())
        })
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// The server does not know the query's snapshot, in which others of its readers have read.
fn snapshot_is_gone(said: &Error) -> Error {
    Error::new(ErrorCode::SourceFailed, "the snapshot that the query reads is gone")
        .with_detail(format!("{}; {}", said.message(), said.detail().unwrap_or_default()))
        .with_hint("Run the query again. The transaction that held the snapshot may have been ended by the server, or the address may be of several servers.")
        .retryable()
}

fn has_changed(tables: &[String]) -> Error {
    let tables = tables.join(" and ");
    Error::new(ErrorCode::SourceFailed, format!("{tables} was emptied, rewritten or replaced while the query ran"))
        .with_detail(
            "what the query read of it was not of the moment that the query reads, which is one for all of its tables",
        )
        .with_hint("Run the query again.")
        .retryable()
}

/// Reads a message of a binary copy: its header, rows, its trailer. Format: the page of COPY in PostgreSQL's documentation.
fn decode(
    mut bytes: &[u8],
    columns: &mut [ColumnReader],
    progress: &mut Progress,
    rows: &mut usize,
    row_bytes: &mut usize,
) -> Result<()> {
    let malformed = || Error::new(ErrorCode::SourceFailed, "the server's copy is not in the form that it should have");
    if !progress.has_begun {
        let header = bytes.get(..HEADER_BYTES).filter(|header| header.starts_with(SIGNATURE)).ok_or_else(malformed)?;
        let extra = header.last_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
        bytes = bytes.get(HEADER_BYTES + extra..).ok_or_else(malformed)?;
        progress.has_begun = true;
    }
    while !bytes.is_empty() {
        let (count, rest) = bytes.split_first_chunk::<2>().ok_or_else(malformed)?;
        bytes = rest;
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            progress.has_trailer = true;
            continue;
        }
        // A select of no columns has one all the same.
        if usize::try_from(count) != Ok(columns.len().max(1)) {
            return Err(malformed());
        }
        for at in 0..columns.len().max(1) {
            let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
            let length = i32::from_be_bytes(*length);
            let value = match usize::try_from(length) {
                Ok(length) => Some(rest.get(..length).ok_or_else(malformed)?),
                Err(_) => None,
            };
            bytes = rest.get(value.map_or(0, <[u8]>::len)..).ok_or_else(malformed)?;
            let Some(column) = columns.get_mut(at) else { continue };
            *row_bytes += value.map_or(0, <[u8]>::len);
            if let Err(reason) = column.append(value) {
                return Err(column.refuse(&reason));
            }
        }
        *rows += 1;
    }
    Ok(())
}
