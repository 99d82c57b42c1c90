use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use tempfile::NamedTempFile;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::check::Receipt;

use super::StateFolder;

const FILE: &str = "last_result.arrow";
const RECEIPT: &str = "tombolo.receipt";
const TOO_LARGE: &str = "tombolo.too_large";
const PREFIX: &str = ".last-";

/// Keeps a result as it streams by, up to a size. What is there of an earlier result stays until [`LastResultWriter::keep`].
pub(crate) struct LastResultWriter {
    target: PathBuf,
    schema: SchemaRef,
    max_bytes: u64,
    file: FileWriter<Counted>,
    too_large: bool,
}

impl LastResultWriter {
    /// Begins a file next to the one that it will replace.
    pub(crate) fn try_new(folder: &StateFolder, schema: &SchemaRef, max_bytes: u64) -> Result<Self> {
        let path = folder.create()?;
        remove_leftovers(path);
        let schema = plain_schema(schema);
        Ok(Self { target: path.join(FILE), file: begin(path, &schema)?, schema, max_bytes, too_large: false })
    }

    /// Adds rows; once there are too many, forgets them all.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.too_large {
            return Ok(());
        }
        let batch = plain_batch(batch, &self.schema).or_error(ErrorCode::Internal, failed)?;
        self.file.write(&batch).map_err(io_error)?;
        if self.file.get_ref().bytes > self.max_bytes {
            self.too_large = true;
            let folder = self.target.parent().unwrap_or(&self.target);
            self.file = begin(folder, &self.schema)?;
        }
        Ok(())
    }

    /// Puts the result, with its receipt, in the place of the last one.
    pub(crate) fn keep(mut self, receipt: &Receipt) -> Result<()> {
        let receipt = serde_json::to_string(receipt).or_error(ErrorCode::Internal, failed)?;
        self.file.write_metadata(RECEIPT, receipt);
        if self.too_large {
            self.file.write_metadata(TOO_LARGE, self.max_bytes.to_string());
        }
        self.file.finish().map_err(io_error)?;
        let buffer = self.file.into_inner().map_err(io_error)?.inner;
        let file =
            buffer.into_inner().map_err(std::io::IntoInnerError::into_error).or_error(ErrorCode::FileFailed, failed)?;
        file.persist(&self.target).map_err(|error| error.error).or_error(ErrorCode::FileFailed, failed)?;
        Ok(())
    }
}

/// The last result, read from its file.
pub(crate) struct LastResult {
    /// What stands behind it.
    pub(crate) receipt: Receipt,
    reader: FileReader<BufReader<File>>,
}

impl LastResult {
    /// Opens the last result.
    pub(crate) fn open(folder: &StateFolder) -> Result<Self> {
        let unreadable = || "the last result cannot be read".to_owned();
        let file = match File::open(folder.path().join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::new(ErrorCode::Usage, "there is no last result")
                    .with_hint("Run `tombolo query` first, without --no-keep or --streaming."));
            }
            Err(error) => return Err(error).or_error(ErrorCode::FileFailed, unreadable),
        };
        let reader = FileReader::try_new(BufReader::new(file), None).or_error(ErrorCode::FileFailed, unreadable)?;
        let metadata = reader.custom_metadata();
        if let Some(max_bytes) = metadata.get(TOO_LARGE).and_then(|bytes| bytes.parse::<u64>().ok()) {
            let limit = crate::render::number::bytes(max_bytes);
            return Err(Error::new(
                ErrorCode::Usage,
                format!("the last result was larger than {limit} and was not kept"),
            )
            .with_hint(
                "Run the query again with `-o FILE`, or raise the limit with `tombolo config set \
                     federation.keep_last_result 1GB`.",
            ));
        }
        let receipt = metadata
            .get(RECEIPT)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| Error::new(ErrorCode::FileFailed, unreadable()).with_hint("Run the query again."))?;
        Ok(Self { receipt, reader })
    }

    /// The columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// The rows.
    pub(crate) fn batches(self) -> impl Iterator<Item = Result<RecordBatch>> {
        self.reader.map(|batch| batch.or_error(ErrorCode::FileFailed, || "the last result cannot be read".to_owned()))
    }
}

fn begin(folder: &Path, schema: &SchemaRef) -> Result<FileWriter<Counted>> {
    let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder).or_error(ErrorCode::FileFailed, failed)?;
    FileWriter::try_new(Counted { inner: BufWriter::new(file), bytes: 0 }, schema).map_err(io_error)
}

/// Counts what is written: the bytes of a batch in memory say little, since slices share their buffers.
struct Counted {
    inner: BufWriter<NamedTempFile>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// A process that was killed leaves its file; nobody writes to one for a day.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > 24 * 3600) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The file format takes one dictionary for each column, while every batch of a scan may bring its own: dictionaries are
/// written out as values.
fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Dictionary(_, value) => Field::new(field.name(), value.as_ref().clone(), field.is_nullable()),
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() {
            DataType::Dictionary(_, _) => cast(column, field.data_type()),
            _ => Ok(Arc::clone(column)),
        })
        .collect::<Result<_, ArrowError>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn failed() -> String {
    "the last result cannot be kept".to_owned()
}

fn io_error(error: ArrowError) -> Error {
    Error::new(ErrorCode::FileFailed, failed()).with_detail(error.to_string()).with_cause(error)
}
