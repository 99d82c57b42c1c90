mod column;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use postgres_protocol::message::backend::Message;
use tombolo_connector::{Error, ErrorCode, KeyBatch, QueryContext, Result, Scan, ScanReader};

use self::column::ColumnReader;
use self::snapshot::{Reading, Snapshot};
use super::catalog::TableProfile;
use super::client::{Client, Frame, Lease};
use super::native::{Pages, PostgresDialect};
use crate::sql::{self, Dialect, Form};

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
    scan: Scan,
    schema: SchemaRef,
    batch_size: usize,
    deadline: Option<Instant>,
    /// The longest that the server lets a statement run anyway, in milliseconds.
    limit_ms: Option<u64>,
    /// Whether it is the first rows that should come soon.
    reads_first_rows: bool,
    /// Who asks, as a comment of the statement.
    tag: String,
    /// What each stream reads of the table, and the snapshot that they read; empty where one reads all.
    parts: Vec<Pages>,
    snapshot: Arc<Snapshot>,
}

/// The most streams over one table.
const MAX_STREAMS: usize = 16;

/// Cuts a large table that is read row by row into ranges of its pages; empty where it is not worth it.
pub(super) fn parts(scan: &Scan, stream_bytes: u64, wanted: usize) -> Vec<Pages> {
    let Some(profile) = plain_table(scan) else { return Vec::new() };
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

/// The table of a tree that only filters and computes, and so may be read in parts.
fn plain_table(scan: &Scan) -> Option<Arc<TableProfile>> {
    match scan {
        Scan::Table(table) => TableProfile::of(&table.description),
        Scan::Filter { input, .. } | Scan::Project { input, .. } | Scan::Alias { input, .. } => plain_table(input),
        _ => None,
    }
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
        let tables = scan.tables().into_iter().map(|table| table.table()).filter(|table| !table.is_query());
        let tables: Vec<String> = tables.map(|table| dialect.table(table)).collect();
        let snapshot = Arc::new(Snapshot::new(Arc::clone(&client), parts.len(), tables.join(", ")));
        let schema = Arc::clone(scan.schema().inner());
        // A name could end the comment.
        let plain = |text: &str| text.replace(['*', '/', '\0'], "_");
        let user = if context.user.is_empty() { String::new() } else { format!(" user {}", plain(&context.user)) };
        let tag = format!("/* tombolo query {}{user} */", plain(&context.query_id));
        let (batch_size, deadline) = (context.batch_size.max(1), context.deadline);
        let reads_first_rows = context.reads_first_rows;
        Self { client, dialect, scan, schema, batch_size, deadline, limit_ms, reads_first_rows, tag, parts, snapshot }
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
                Some(Part { statement, is_first: partition == 0, snapshot: Arc::clone(&self.snapshot) })
            }
        };
        let rows = Rows {
            client: Arc::clone(&self.client),
            statement: copy(&printed.text),
            // A read-only transaction lets some functions write all the same (large objects, before version 16), and only a text
            // of the user's own can name one. Otherwise COMMIT, since servers are watched for transactions that are rolled back.
            end_statement: if self.has_query() { "ROLLBACK" } else { "COMMIT" },
            part,
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
    progress: Progress,
}

/// One stream of several.
struct Part {
    statement: String,
    is_first: bool,
    snapshot: Arc<Snapshot>,
}

/// How far the server's answers have come.
#[derive(Debug, Default)]
struct Progress {
    /// Statements whose end was read.
    ended: usize,
    /// Whether the copy's header was read.
    has_begun: bool,
    /// Whether the copy's own mark of the end was read.
    has_trailer: bool,
    /// How many rows the server says that it has sent.
    announced: Option<u64>,
    /// The first error that it told of.
    error: Option<Error>,
}

/// The begin of a transaction, the copy, and the end of the transaction: sent at once, so that it takes one round trip.
const STATEMENTS: usize = 3;

impl Rows {
    /// The next batch; `None` when the server has said that these were all.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.progress.ended == STATEMENTS {
            return Ok(None);
        }
        if self.lease.is_none() && !self.start().await? {
            self.progress.ended = STATEMENTS;
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
                    Message::ErrorResponse(body) => {
                        self.progress.error.get_or_insert_with(|| super::client::failure(&body));
                    }
                    Message::ReadyForQuery(_) => {
                        self.progress.ended += 1;
                        if self.progress.ended == STATEMENTS {
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
        let (mut lease, begin, statement) = match &self.part {
            None => (self.client.lease().await?, self.begin(None), &self.statement),
            Some(part) => match part.snapshot.reading().await {
                Reading::Together { name, reserved, .. } => {
                    (self.client.lease_of(reserved).await?, self.begin(Some(name)), &part.statement)
                }
                Reading::Alone if part.is_first => (self.client.lease().await?, self.begin(None), &self.statement),
                Reading::Alone => return Ok(false),
            },
        };
        lease.connection().send(&[&begin, statement, self.end_statement]).await?;
        self.lease = Some(lease);
        Ok(true)
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
        self.lease = None;
        if let Some(error) = self.progress.error.take() {
            return Err(error);
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
