use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};

use super::App;
use super::run::{real_path, special_file};
use crate::output;
use crate::render::export::{ExportFormat, export};
use crate::render::number;
use crate::state::{LastResult, StateFolder};

/// Write the last result, with its receipt, to a file for somebody else
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo export last --format html -o report.html
  tombolo export last -o result.xlsx
  tombolo export last --format json -o - | jq .receipt")]
pub(crate) struct ExportArgs {
    /// Which result
    #[arg(value_enum)]
    which: Which,
    /// The format [default: by the extension of the output file]
    #[arg(long, value_name = "FORMAT", value_parser = format_argument(), required_unless_present = "output")]
    format: Option<ExportFormat>,
    /// The file; `-` is stdout [default: result.FORMAT here, which must not exist yet]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The result of the last query that came to its end
    Last,
}

impl ExportArgs {
    pub(crate) fn run(&self, app: &App) -> Result<u8> {
        let Which::Last = self.which;
        let format = self.format()?;
        let last = LastResult::open(&StateFolder::find()?)?;
        let path = match &self.output {
            Some(path) if path.as_os_str() == "-" => {
                if app.stdout.interactive
                    && matches!(format, ExportFormat::Parquet | ExportFormat::Pdf | ExportFormat::Xlsx)
                {
                    return Err(Error::new(
                        ErrorCode::Usage,
                        format!("{format} is binary and is not written to a terminal"),
                    )
                    .with_hint("Name a file with -o, or redirect the output."));
                }
                return copy(format, last, &mut io::stdout().lock()).map(|()| 0);
            }
            Some(path) => path.clone(),
            None => unused(format)?,
        };
        if let Some(mut device) = special_file(&path)? {
            return copy(format, last, &mut device).map(|()| 0);
        }
        for path in write(format, last, &real_path(&path))? {
            let bytes = std::fs::metadata(&path).map(|metadata| number::bytes(metadata.len())).unwrap_or_default();
            output::complain(&format!("wrote {} ({bytes})", path.display()));
        }
        Ok(0)
    }

    fn format(&self) -> Result<ExportFormat> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let extension = self.output.as_ref().and_then(|path| path.extension()?.to_str()).unwrap_or_default();
        extension.to_ascii_lowercase().parse().map_err(|_| {
            Error::new(ErrorCode::Usage, "the name of the file does not say its format")
                .with_hint("Add --format, or name the file .csv, .json, .parquet, .html, .pdf or .xlsx.")
        })
    }
}

/// The file that is written where none is named; one that is there is not overwritten without being named.
fn unused(format: ExportFormat) -> Result<PathBuf> {
    let path = PathBuf::from(format!("result.{format}"));
    if path.exists() {
        return Err(Error::new(ErrorCode::Usage, format!("{} is there already", path.display()))
            .with_hint(format!("Name a file: -o {} writes over it.", path.display())));
    }
    Ok(path)
}

fn write(format: ExportFormat, last: LastResult, path: &Path) -> Result<Vec<PathBuf>> {
    let (schema, receipt) = (last.schema(), last.receipt.clone());
    export(format, &mut last.batches(), &schema, &receipt, path)
}

/// Exports by way of a temporary file to something that cannot be replaced.
fn copy(format: ExportFormat, last: LastResult, out: &mut dyn io::Write) -> Result<()> {
    let failed = || "the export cannot be written".to_owned();
    let folder = tempfile::tempdir().or_error(ErrorCode::FileFailed, failed)?;
    let path = folder.path().join(format!("result.{format}"));
    write(format, last, &path)?;
    let mut file = File::open(&path).or_error(ErrorCode::FileFailed, failed)?;
    io::copy(&mut file, out).and_then(|_| out.flush()).map_err(output::stdout_failed)
}

/// The formats by name, so that the command line lists them and suggests the nearest.
fn format_argument() -> impl TypedValueParser<Value = ExportFormat> {
    PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name)).try_map(|name| name.parse::<ExportFormat>())
}
