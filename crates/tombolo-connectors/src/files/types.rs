//! File formats by name, and the types that a user can declare.

pub(super) mod text;

use std::fmt;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Format {
    Parquet,
    Csv,
    Json,
    Arrow,
}

impl Format {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "parquet" | "parq" | "pq" => Self::Parquet,
            "csv" | "tsv" => Self::Csv,
            "json" | "jsonl" | "ndjson" => Self::Json,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            _ => return None,
        })
    }

    /// The format as the native query names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Arrow => "Arrow",
        })
    }
}

/// The format and compression that a file's name says, and its name without them.
pub(super) fn format_of(name: &str) -> Option<(Format, FileCompressionType, &str)> {
    let (rest, compression) = split_compression(name);
    let (stem, extension) = rest.rsplit_once('.')?;
    let format = Format::from_name(extension)?;
    // Parquet and Arrow compress inside; `x.parquet.gz` is not a file that a reader can seek in.
    let seekable = matches!(format, Format::Parquet | Format::Arrow);
    (!(seekable && compression.is_compressed())).then_some((format, compression, stem))
}

/// The compression that a file's name says, and its name without it.
pub(super) fn split_compression(name: &str) -> (&str, FileCompressionType) {
    let known = match name.rsplit_once('.') {
        Some((rest, "gz" | "gzip")) => Some((rest, FileCompressionType::GZIP)),
        Some((rest, "zst" | "zstd")) => Some((rest, FileCompressionType::ZSTD)),
        Some((rest, "bz2")) => Some((rest, FileCompressionType::BZIP2)),
        Some((rest, "xz")) => Some((rest, FileCompressionType::XZ)),
        _ => None,
    };
    known.unwrap_or((name, FileCompressionType::UNCOMPRESSED))
}

/// What [`parse_type`] reads, for hints.
pub(super) const DECLARABLE: &str =
    "text, boolean, bigint, double, decimal(p,s), date, timestamp, timestamp_ns or timestamptz";

/// Reads the name of a type that a user may declare.
pub(super) fn parse_type(name: &str) -> Option<DataType> {
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "text" | "varchar" | "string" => DataType::Utf8View,
        "boolean" | "bool" => DataType::Boolean,
        "bigint" | "integer" | "int" => DataType::Int64,
        "double" | "float" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp_ns" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            let inner = name.strip_prefix("decimal(").or_else(|| name.strip_prefix("numeric("))?.strip_suffix(')')?;
            let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
            let precision: u8 = precision.trim().parse().ok()?;
            let scale: u8 = scale.trim().parse().ok()?;
            if !(1..=DECIMAL128_MAX_PRECISION).contains(&precision) || scale > precision {
                return None;
            }
            DataType::Decimal128(precision, scale as i8)
        }
    })
}

/// A type as this connector's pages and errors write it.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp".to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::List(item) => format!("list of {}", type_name(item.data_type())),
        DataType::Struct(_) => "object".to_owned(),
        other => other.to_string(),
    }
}

/// Splits at commas that stand outside parentheses, and drops empty entries.
pub(super) fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut entries, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                entries.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    entries.push(text[start..].trim());
    entries.retain(|entry| !entry.is_empty());
    entries
}
