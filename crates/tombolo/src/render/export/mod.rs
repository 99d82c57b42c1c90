//! A result together with its receipt, in a file for somebody else.
//!
//! Where the receipt goes:
//!
//! | format | receipt |
//! |---|---|
//! | csv | a file beside it: `NAME.csv.receipt.json` |
//! | json | one object: `{"rows": [...], "receipt": {...}}` |
//! | parquet | key-value metadata of the file, key `tombolo.receipt`, as JSON |
//! | html | below the rows, on the same page |
//! | pdf | on the pages after the rows |
//! | xlsx | a second sheet, `Receipt` |

mod html;
mod pdf;
mod xlsx;

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::check::Receipt;

use super::output_file::OutputFile;
use super::writer::{Destination, Format, Summary, write_failed, writer};

/// The key of a Parquet file's metadata under which the receipt stands, as JSON.
pub(crate) const RECEIPT_KEY: &str = "tombolo.receipt";

/// A format for a result with its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    /// Comma-separated values, and the receipt in a file beside them.
    Csv,
    /// One JSON object of rows and receipt.
    Json,
    /// A Parquet file, with the receipt in its metadata.
    Parquet,
    /// A page that needs nothing else.
    Html,
    /// Pages to print.
    Pdf,
    /// An Excel workbook of two sheets.
    Xlsx,
}

impl ExportFormat {
    /// All formats, in the order of the help.
    pub(crate) const ALL: [Self; 6] = [Self::Csv, Self::Json, Self::Parquet, Self::Html, Self::Pdf, Self::Xlsx];

    /// The name on the command line, which is also the extension.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Xlsx => "xlsx",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            Error::new(ErrorCode::Usage, format!("there is no export format {name}"))
                .with_hint(format!("The formats are {}.", super::text::listing(&Self::ALL.map(Self::name))))
        })
    }
}

/// Rows one batch after another.
pub(crate) type Batches<'a> = dyn Iterator<Item = Result<RecordBatch>> + 'a;

/// Writes rows and receipt to a file, and returns the paths written. The file appears whole or not at all.
///
/// # Errors
///
/// `unsupported` where the format cannot hold the result: more rows than a sheet has, a text longer than a cell takes, a
/// type that it does not know. Nothing is left out to make it fit.
pub(crate) fn export(
    format: ExportFormat,
    batches: &mut Batches<'_>,
    schema: &SchemaRef,
    receipt: &Receipt,
    path: &Path,
) -> Result<Vec<PathBuf>> {
    let file = OutputFile::create(path)?;
    let mut written = vec![path.to_owned()];
    match format {
        ExportFormat::Csv => {
            let beside = receipt_beside(path);
            let receipt_file = OutputFile::create(&beside)?;
            let mut out = receipt_file.writer();
            super::write_receipt_json(receipt, &mut out).map_err(write_failed)?;
            write_rows(Format::Csv, file.writer(), batches, schema, &Summary::default())?;
            receipt_file.commit()?;
            written.push(beside);
        }
        ExportFormat::Json => write_json(&file, batches, schema, receipt)?,
        ExportFormat::Parquet => {
            let metadata = vec![(RECEIPT_KEY.to_owned(), receipt_json(receipt)?)];
            write_rows(Format::Parquet, file.writer(), batches, schema, &Summary { metadata })?;
        }
        ExportFormat::Html => html::write(&mut file.writer(), batches, schema, receipt)?,
        ExportFormat::Pdf => pdf::write(&mut file.writer(), batches, schema, receipt)?,
        ExportFormat::Xlsx => xlsx::write(&mut file.writer(), batches, schema, receipt)?,
    }
    file.commit()?;
    Ok(written)
}

/// The file for the receipt of a format that has no place for it.
fn receipt_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(|| OsString::from("result"), OsString::from);
    name.push(".receipt.json");
    path.with_file_name(name)
}

fn receipt_json(receipt: &Receipt) -> Result<String> {
    serde_json::to_string(receipt).or_error(ErrorCode::Internal, || "the receipt cannot be written as JSON".to_owned())
}

fn write_rows(
    format: Format,
    out: Box<dyn Write + Send>,
    batches: &mut Batches<'_>,
    schema: &SchemaRef,
    summary: &Summary,
) -> Result<()> {
    let mut writer = writer(format, out, Destination::File)?;
    writer.begin(schema)?;
    for batch in batches {
        writer.batch(&batch?)?;
    }
    writer.finish(summary)
}

fn write_json(file: &OutputFile, batches: &mut Batches<'_>, schema: &SchemaRef, receipt: &Receipt) -> Result<()> {
    let mut out = file.writer();
    out.write_all(b"{\"rows\": ").map_err(write_failed)?;
    write_rows(Format::Json, file.writer(), batches, schema, &Summary::default())?;
    writeln!(out, ", \"receipt\": {}}}", receipt_json(receipt)?).map_err(write_failed)
}

#[cfg(test)]
mod tests;
