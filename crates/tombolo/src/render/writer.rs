use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::LineDelimited;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt, nearest_name};

use super::columnar::{ArrowWriter, ParquetWriter};
use super::csv::CsvWriter;
use super::json::{ArrayOfLines, JsonWriter};
use super::markdown::MarkdownWriter;
use super::style::Terminal;
use super::table::TableWriter;
use super::terminal_safe::TerminalSafe;

/// A format for results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table with borders, for people.
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values with a header.
    Csv,
    /// A Parquet file.
    Parquet,
    /// Arrow IPC: the stream format on stdout, the file format in a file.
    Arrow,
    /// A Markdown table.
    Markdown,
}

impl Format {
    /// All formats, in the order of the help.
    pub(crate) const ALL: [Self; 7] =
        [Self::Table, Self::Json, Self::JsonLines, Self::Csv, Self::Parquet, Self::Arrow, Self::Markdown];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Markdown => "markdown",
        }
    }

    /// The format that a file's extension stands for, if any.
    pub(crate) fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "txt" => Self::Table,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            "csv" => Self::Csv,
            "parquet" => Self::Parquet,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            "md" | "markdown" => Self::Markdown,
            _ => return None,
        })
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| {
            let error = Error::new(ErrorCode::Usage, format!("there is no format {name}"));
            match nearest_name(name, Self::ALL.map(Self::name)) {
                Some(near) => error.with_hint(format!("Did you mean `--format {near}`?")),
                None => {
                    error.with_hint(format!("The formats are {}.", super::text::listing(&Self::ALL.map(Self::name))))
                }
            }
        })
    }
}

/// Where a result goes, as far as its look depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination {
    /// Standard output: a terminal or a pipe.
    Stdout(Terminal),
    /// A file.
    File,
}

impl Destination {
    fn terminal(self) -> Terminal {
        match self {
            Self::Stdout(terminal) => terminal,
            Self::File => Terminal::PLAIN,
        }
    }
}

/// What is known when the last batch has been written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// Key-value pairs for formats that have a place for them (Parquet): the receipt, for an export.
    pub(crate) metadata: Vec<(String, String)>,
}

/// Writes a result as it comes, a batch at a time. `begin` is called once and first, `finish` once and last; a writer that
/// is dropped before `finish` leaves a result that is not complete, which is why files are written through
/// [`super::OutputFile`].
///
/// No writer holds all the rows.
pub(crate) trait ResultWriter: Send {
    /// Takes the columns.
    fn begin(&mut self, schema: &SchemaRef) -> Result<()>;
    /// Takes rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Writes what remains, and flushes.
    fn finish(&mut self, summary: &Summary) -> Result<()>;
}

/// Where a writer writes.
pub(super) type Sink = Box<dyn Write + Send>;

/// The writer for a format.
///
/// # Errors
///
/// `usage` where a binary format would go to a terminal.
pub(crate) fn writer(format: Format, out: Sink, destination: Destination) -> Result<Box<dyn ResultWriter>> {
    if format.is_binary() && matches!(destination, Destination::Stdout(Terminal { interactive: true, .. })) {
        return Err(Error::new(ErrorCode::Usage, format!("{format} is binary and is not written to a terminal"))
            .with_hint(format!("Write it to a file with `-o result.{format}`, or redirect the output.")));
    }
    // A table escapes its values before it measures them; what is written as it is is made safe on its way.
    let out = match destination {
        Destination::Stdout(Terminal { interactive: true, .. }) if format != Format::Table => {
            Box::new(TerminalSafe::new(out))
        }
        _ => out,
    };
    Ok(match format {
        Format::Table => Box::new(TableWriter::new(out, destination.terminal())),
        Format::Json => Box::new(JsonWriter::<ArrayOfLines>::new(out)),
        Format::JsonLines => Box::new(JsonWriter::<LineDelimited>::new(out)),
        Format::Csv => Box::new(CsvWriter::new(out)),
        Format::Parquet => Box::new(ParquetWriter::new(out)),
        Format::Arrow => Box::new(ArrowWriter::new(out, matches!(destination, Destination::File))),
        Format::Markdown => Box::new(MarkdownWriter::new(out)),
    })
}

/// The batch with its columns under another schema of the same types.
pub(super) fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if Arc::ptr_eq(batch.schema_ref(), schema) {
        return Ok(batch.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .or_error(ErrorCode::Internal, || "a batch does not have the columns of its result".to_owned())
}

/// A failure to write, in Tombolo's shape.
pub(super) fn write_failed(error: impl Into<WriteFailure>) -> Error {
    let (code, cause): (_, Box<dyn std::error::Error + Send + Sync>) = match error.into() {
        WriteFailure::Io(error) if error.kind() == io::ErrorKind::StorageFull => (ErrorCode::DiskFull, error.into()),
        WriteFailure::Io(error) => (ErrorCode::FileFailed, error.into()),
        WriteFailure::Other(error) => (ErrorCode::Unsupported, error),
    };
    let hint = match code {
        ErrorCode::DiskFull => "Free some space, or write the output elsewhere.",
        ErrorCode::FileFailed => "See that the place can be written to.",
        _ => "Cast the columns that this format has no type for, or take another format, such as arrow.",
    };
    Error::new(code, "the result could not be written").with_detail(cause.to_string()).with_hint(hint).with_cause(cause)
}

/// What can go wrong in writing.
pub(super) enum WriteFailure {
    /// The place written to.
    Io(io::Error),
    /// What was to be written.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl From<io::Error> for WriteFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ArrowError> for WriteFailure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            error => Self::Other(error.into()),
        }
    }
}

impl From<datafusion::parquet::errors::ParquetError> for WriteFailure {
    fn from(error: datafusion::parquet::errors::ParquetError) -> Self {
        match error {
            datafusion::parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(error) => Self::Other(error),
            },
            error => Self::Other(error.into()),
        }
    }
}

/// Whether an error is that the reader of our output went away, as `head` does when it has enough. No failure of ours: the
/// command ends in silence.
pub(crate) fn reader_is_gone(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
