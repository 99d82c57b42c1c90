use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, LargeStringBuilder, NullArray, RecordBatch, RecordBatchOptions,
    StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder, TimestampMillisecondBuilder,
    TimestampNanosecondBuilder, TimestampSecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use futures::Stream;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc;
use tombolo_connector::{Error, ErrorCode, KeyBatch, QueryContext, Result, Scan, ScanReader, TableDescription};

use super::catalog::profile::{AS_TEXT, TableProfile};
use super::catalog::{in_snapshot, still_holds};
use super::client::{Client, Lease, Stop};
use super::native::{SCALED, SqliteDialect};
use super::types::{describe, parse_date, parse_decimal, parse_timestamp};
use crate::REMOTE_LOG;
use crate::sql::{self, Form, Printed};

/// Batches that may wait for the engine to take them.
const WAITING_BATCHES: usize = 2;

/// Reads one accepted tree.
#[derive(Debug)]
pub(super) struct SqliteReader {
    client: Arc<Client>,
    scan: Scan,
    schema: SchemaRef,
    batch_size: usize,
    deadline: Option<std::time::Instant>,
}

impl SqliteReader {
    pub(super) fn new(client: Arc<Client>, scan: Scan, context: &QueryContext) -> Self {
        let schema = Arc::clone(scan.schema().inner());
        Self { client, scan, schema, batch_size: context.batch_size.max(1), deadline: context.deadline }
    }
}

impl ScanReader for SqliteReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        1
    }

    fn takes_keys(&self, keys: &KeyBatch) -> bool {
        sql::takes_keys(&SqliteDialect, &self.scan, keys)
    }

    fn open(
        &self,
        _partition: usize,
        keys: Option<&KeyBatch>,
        _task: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let work = Work {
            printed: sql::print(&SqliteDialect, &self.scan, keys)?,
            schema: Arc::clone(&self.schema),
            relied_on: if keys.is_some() || compares(&self.scan) {
                self.scan.tables().into_iter().map(|table| Arc::clone(&table.description)).collect()
            } else {
                Vec::new()
            },
            batch_size: self.batch_size,
        };
        let (stop, client) = (Stop::at(self.deadline), Arc::clone(&self.client));
        Ok(Box::pin(Rows { schema: Arc::clone(&self.schema), stop, state: State::Ready(client, Box::new(work)) }))
    }
}

/// Whether the tree does more than put out columns, so that it relies on what is known of their values.
fn compares(scan: &Scan) -> bool {
    match scan {
        Scan::Table(_) => false,
        Scan::Project { input, exprs, .. } => {
            exprs.iter().any(|expr| expr.clone().unalias().try_as_col().is_none()) || compares(input)
        }
        Scan::Alias { input, .. } | Scan::Limit { input, .. } => compares(input),
        _ => true,
    }
}

/// One sub-query, to be run on a blocking thread.
#[derive(Debug)]
struct Work {
    printed: Printed,
    schema: SchemaRef,
    /// Tables of whose values something must still be true.
    relied_on: Vec<Arc<TableDescription>>,
    batch_size: usize,
}

type Message = Result<Option<RecordBatch>>;

impl Work {
    /// Sends every batch, then `None`. Ends early when nobody listens any more.
    fn run(&self, client: &Client, stop: &Stop, sender: &mpsc::Sender<Message>) {
        let end = client.with(stop, |lease| in_snapshot(lease, |mark| self.read(lease, &mark, sender)));
        // Nobody listens when the stream was dropped, and then there is nobody to tell.
        let _ = sender.blocking_send(end.map(|()| None));
    }

    fn read(&self, lease: &Lease<'_>, mark: &str, sender: &mpsc::Sender<Message>) -> Result<()> {
        for description in &self.relied_on {
            check_profile(lease, description, mark)?;
        }
        let mut readers: Vec<ColumnReader> = Vec::with_capacity(self.schema.fields().len());
        for (at, field) in self.schema.fields().iter().enumerate() {
            let form = self.printed.forms.get(at).copied().unwrap_or(Form::NATURAL);
            let origin = self.printed.origins.get(at).cloned().flatten();
            readers.push(ColumnReader::try_new(field, form, origin, self.batch_size)?);
        }
        let mut statement = lease.prepare(&self.printed.text).map_err(|error| lease.error(error))?;
        // What SQLite itself holds to be the statement, not what was meant to be given to it.
        let _logged = Logged::begin(lease.client().name(), || statement.expanded_sql());
        let mut rows = statement.query([]).map_err(|error| lease.error(error))?;
        let mut waiting = 0;
        while let Some(row) = rows.next().map_err(|error| lease.error(error))? {
            for (at, reader) in readers.iter_mut().enumerate() {
                let value = row.get_ref(at).map_err(|error| lease.error(error))?;
                if !reader.append(value) {
                    return Err(reader.refuse(value));
                }
            }
            waiting += 1;
            if waiting == self.batch_size {
                let batch = self.batch(&mut readers, waiting)?;
                waiting = 0;
                if sender.blocking_send(Ok(Some(batch))).is_err() {
                    return Ok(());
                }
            }
        }
        if waiting > 0 {
            let batch = self.batch(&mut readers, waiting)?;
            let _ = sender.blocking_send(Ok(Some(batch)));
        }
        Ok(())
    }

    fn batch(&self, readers: &mut [ColumnReader], rows: usize) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = readers.iter_mut().map(|reader| reader.finish(rows)).collect();
        // The count is given, since a batch without columns has no other way to know it.
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|error| {
            Error::internal("the rows of SQLite do not fit their schema").with_detail(error.to_string())
        })
    }
}

/// Tells the remote log of a statement: when it begins, and when SQLite has done with it.
struct Logged<'a> {
    source: &'a str,
}

impl<'a> Logged<'a> {
    fn begin(source: &'a str, sql: impl FnOnce() -> Option<String>) -> Self {
        if tracing::enabled!(target: REMOTE_LOG, tracing::Level::DEBUG) {
            let sql = sql().unwrap_or_default();
            tracing::debug!(target: REMOTE_LOG, source, event = "begin", text = sql);
        }
        Self { source }
    }
}

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        tracing::debug!(target: REMOTE_LOG, source = self.source, event = "end", text = "");
    }
}

/// Makes sure that tables are as they were described, before a plan is made of it.
///
/// # Errors
/// [`ErrorCode::SchemaChanged`] where they are not, or are no more.
pub(super) fn check_tables(lease: &Lease<'_>, tables: &[Arc<TableDescription>]) -> Result<()> {
    let mark = Client::mark(lease)?;
    if tables.iter().all(|table| TableProfile::of(table).is_none_or(|known| known.mark == mark)) {
        return Ok(());
    }
    in_snapshot(lease, |mark| tables.iter().try_for_each(|table| check_profile(lease, table, &mark)))
}

/// Makes sure that what the sub-query relies on is true of the snapshot that it reads.
fn check_profile(lease: &Lease<'_>, description: &TableDescription, mark: &str) -> Result<()> {
    let Some(known) = TableProfile::of(description) else { return Ok(()) };
    let table = &description.table.table;
    if !mark.is_empty() && (known.mark == mark || lease.client().is_unchanged(table, &known.mark, mark)) {
        return Ok(());
    }
    let holds = match still_holds(lease, description, &known) {
        Err(error) if error.code() == ErrorCode::TableNotFound => false,
        other => other?,
    };
    if holds {
        lease.client().set_unchanged(table, &known.mark, mark);
        return Ok(());
    }
    Err(Error::new(ErrorCode::SchemaChanged, format!("table `{table}` is no longer as it was described"))
        .with_hint("Run the query again.")
        .retryable())
}

/// The rows of one sub-query, read on a blocking thread. Dropping it stops SQLite.
struct Rows {
    schema: SchemaRef,
    stop: Stop,
    state: State,
}

enum State {
    Ready(Arc<Client>, Box<Work>),
    Running(mpsc::Receiver<Message>, #[expect(dead_code, reason = "owns the thread's task")] tokio::task::JoinSet<()>),
    Done,
}

impl Stream for Rows {
    type Item = datafusion::error::Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let State::Ready(..) = self.state
            && let State::Ready(client, work) = std::mem::replace(&mut self.state, State::Done)
        {
            let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
            let (stop, mut tasks) = (self.stop.clone(), tokio::task::JoinSet::new());
            tasks.spawn_blocking(move || work.run(&client, &stop, &sender));
            self.state = State::Running(receiver, tasks);
        }
        let State::Running(receiver, _) = &mut self.state else { return Poll::Ready(None) };
        let Poll::Ready(message) = receiver.poll_recv(context) else { return Poll::Pending };
        let item = match message {
            Some(Ok(Some(batch))) => return Poll::Ready(Some(Ok(batch))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some(Err(error)),
            // Every end is announced, so this thread ended in another way; the rows so far are not all.
            None => Some(Err(Error::internal("reading from SQLite ended without saying so"))),
        };
        self.state = State::Done;
        Poll::Ready(item.map(|item| item.map_err(DataFusionError::from)))
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.stop.now();
    }
}

/// Puts the stored values of one output column into an Arrow array.
#[derive(Debug)]
pub(super) struct ColumnReader {
    builder: Builder,
    nullable: bool,
    form: Form,
    data_type: DataType,
    /// The stored column as errors name it, or the output column's name.
    name: String,
    /// Whether it comes from no stored column, so that every number was made by SQLite.
    computed: bool,
}

#[derive(Debug)]
enum Builder {
    Null,
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float64(Float64Builder),
    Utf8(StringBuilder),
    LargeUtf8(LargeStringBuilder),
    Utf8View(StringViewBuilder),
    Binary(BinaryBuilder),
    Date32(Date32Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Second(TimestampSecondBuilder, bool),
    Millisecond(TimestampMillisecondBuilder, bool),
    Microsecond(TimestampMicrosecondBuilder, bool),
    Nanosecond(TimestampNanosecondBuilder, bool),
}

/// Calls the same method on whichever builder there is.
macro_rules! each_builder {
    ($builder:expr, $null:expr, $each:ident => $call:expr) => {
        match $builder {
            Builder::Null => $null,
            Builder::Boolean($each) => $call,
            Builder::Int8($each) => $call,
            Builder::Int16($each) => $call,
            Builder::Int32($each) => $call,
            Builder::Int64($each) => $call,
            Builder::UInt64($each) => $call,
            Builder::Float64($each) => $call,
            Builder::Utf8($each) => $call,
            Builder::LargeUtf8($each) => $call,
            Builder::Utf8View($each) => $call,
            Builder::Binary($each) => $call,
            Builder::Date32($each) => $call,
            Builder::Decimal128($each, ..) => $call,
            Builder::Second($each, _) => $call,
            Builder::Millisecond($each, _) => $call,
            Builder::Microsecond($each, _) => $call,
            Builder::Nanosecond($each, _) => $call,
        }
    };
}

impl Builder {
    fn new(data_type: &DataType, rows: usize) -> Option<Self> {
        let typed = data_type.clone();
        Some(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::UInt64 => Self::UInt64(UInt64Builder::with_capacity(rows)),
            DataType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            DataType::Utf8 => Self::Utf8(StringBuilder::with_capacity(rows, rows * 16)),
            DataType::LargeUtf8 => Self::LargeUtf8(LargeStringBuilder::with_capacity(rows, rows * 16)),
            DataType::Utf8View => Self::Utf8View(StringViewBuilder::with_capacity(rows)),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 16)),
            DataType::Date32 => Self::Date32(Date32Builder::with_capacity(rows)),
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                let builder = Decimal128Builder::with_capacity(rows).with_data_type(typed);
                Self::Decimal128(builder, *precision, *scale)
            }
            DataType::Timestamp(unit, zone) => {
                // What is stored says UTC where it says a zone at all; the offsets of other zones are not stored.
                if zone.as_deref().is_some_and(|zone| !matches!(zone, "UTC" | "+00:00")) {
                    return None;
                }
                let zoned = zone.is_some();
                match unit {
                    TimeUnit::Second => {
                        Self::Second(TimestampSecondBuilder::with_capacity(rows).with_data_type(typed), zoned)
                    }
                    TimeUnit::Millisecond => {
                        Self::Millisecond(TimestampMillisecondBuilder::with_capacity(rows).with_data_type(typed), zoned)
                    }
                    TimeUnit::Microsecond => {
                        Self::Microsecond(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(typed), zoned)
                    }
                    TimeUnit::Nanosecond => {
                        Self::Nanosecond(TimestampNanosecondBuilder::with_capacity(rows).with_data_type(typed), zoned)
                    }
                }
            }
            _ => return None,
        })
    }

    /// Appends a value that is not null; `None` where it is not of this type.
    fn append(&mut self, value: ValueRef<'_>) -> Option<()> {
        match (self, value) {
            (Self::Boolean(builder), ValueRef::Integer(value @ (0 | 1))) => builder.append_value(value == 1),
            (Self::Int8(builder), ValueRef::Integer(value)) => builder.append_value(value.try_into().ok()?),
            (Self::Int16(builder), ValueRef::Integer(value)) => builder.append_value(value.try_into().ok()?),
            (Self::Int32(builder), ValueRef::Integer(value)) => builder.append_value(value.try_into().ok()?),
            (Self::Int64(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Self::UInt64(builder), ValueRef::Integer(value)) => builder.append_value(value.try_into().ok()?),
            (Self::Float64(builder), ValueRef::Real(value)) => builder.append_value(value),
            (Self::Float64(builder), ValueRef::Integer(value)) if value.unsigned_abs() <= 1 << 53 => {
                builder.append_value(value as f64);
            }
            (Self::Utf8(builder), ValueRef::Text(text)) => builder.append_value(std::str::from_utf8(text).ok()?),
            (Self::LargeUtf8(builder), ValueRef::Text(text)) => builder.append_value(std::str::from_utf8(text).ok()?),
            (Self::Utf8View(builder), ValueRef::Text(text)) => builder.append_value(std::str::from_utf8(text).ok()?),
            (Self::Binary(builder), ValueRef::Blob(bytes)) => builder.append_value(bytes),
            (Self::Date32(builder), ValueRef::Text(text)) => {
                builder.append_value(parse_date(std::str::from_utf8(text).ok()?)?);
            }
            (Self::Decimal128(builder, precision, scale), value) => {
                builder.append_value(parse_decimal(value, *precision, *scale)?);
            }
            (Self::Second(builder, zoned), value) => {
                let micros = timestamp(value, *zoned)?;
                builder.append_value((micros.rem_euclid(1_000_000) == 0).then(|| micros.div_euclid(1_000_000))?);
            }
            (Self::Millisecond(builder, zoned), value) => {
                let micros = timestamp(value, *zoned)?;
                builder.append_value((micros.rem_euclid(1_000) == 0).then(|| micros.div_euclid(1_000))?);
            }
            (Self::Microsecond(builder, zoned), value) => builder.append_value(timestamp(value, *zoned)?),
            (Self::Nanosecond(builder, zoned), value) => {
                builder.append_value(timestamp(value, *zoned)?.checked_mul(1_000)?);
            }
            _ => return None,
        }
        Some(())
    }
}

fn timestamp(value: ValueRef<'_>, zoned: bool) -> Option<i64> {
    let ValueRef::Text(text) = value else { return None };
    parse_timestamp(std::str::from_utf8(text).ok()?, zoned).map(|(micros, _)| micros)
}

impl ColumnReader {
    /// Whether values of this type can be read from SQLite.
    pub(super) fn can_read(data_type: &DataType) -> bool {
        Builder::new(data_type, 0).is_some()
    }

    fn try_new(field: &Field, form: Form, origin: Option<Arc<str>>, rows: usize) -> Result<Self> {
        let data_type = field.data_type().clone();
        let builder = Builder::new(&data_type, rows)
            .ok_or_else(|| Error::internal(format!("values of type {data_type} cannot be read from SQLite")))?;
        let computed = origin.is_none();
        let name = origin.map_or_else(|| format!("`{}`", field.name()), |origin| origin.to_string());
        Ok(Self { builder, nullable: field.is_nullable(), form, data_type, name, computed })
    }

    /// Appends a stored value; false where it is not of the column's type.
    fn append(&mut self, value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Null if self.nullable => {
                each_builder!(&mut self.builder, (), builder => builder.append_null());
                true
            }
            ValueRef::Null => false,
            ValueRef::Integer(number) if self.form == AS_TEXT => {
                self.builder.append(ValueRef::Text(number.to_string().as_bytes())).is_some()
            }
            ValueRef::Real(number) if self.form == AS_TEXT => {
                self.builder.append(ValueRef::Text(format!("{number:?}").as_bytes())).is_some()
            }
            ValueRef::Integer(unscaled) if self.form == SCALED => {
                let Builder::Decimal128(builder, precision, _) = &mut self.builder else { return false };
                let digits = unscaled.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
                builder.append_value(unscaled.into());
                digits <= u32::from(*precision)
            }
            _ if self.form == SCALED => false,
            // SQLite keeps a float without a fraction as an integer on the way, whatever its size.
            ValueRef::Integer(number) if self.computed && self.data_type == DataType::Float64 => {
                self.builder.append(ValueRef::Real(number as f64)).is_some()
            }
            ValueRef::Blob(bytes) if self.form == AS_TEXT => self.builder.append(ValueRef::Text(bytes)).is_some(),
            value => self.builder.append(value).is_some(),
        }
    }

    fn refuse(&self, value: ValueRef<'_>) -> Error {
        let (name, data_type) = (&self.name, &self.data_type);
        Error::new(
            ErrorCode::InvalidValue,
            format!("column {name} is read as {data_type} but a row holds {}", describe(value)),
        )
        .with_hint("Correct the value, or name the column in the option `columns_as_text` to read it as text.")
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        each_builder!(&mut self.builder, Arc::new(NullArray::new(rows)), builder => Arc::new(builder.finish()))
    }
}
