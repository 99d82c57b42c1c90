use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::datatypes::DataType;
use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Result};

use super::types::{self, Format};

/// The one schema of a files source.
pub(super) const SCHEMA: &str = "main";

/// The options, in the order of the reference.
pub(super) const OPTIONS: &[OptionSpec] = &[
    text_or("path", OptionKind::Path, "A local file, folder or glob"),
    text_or("url", OptionKind::Text, "An object store instead of a path: s3://bucket/prefix, also a glob"),
    text_or("table", OptionKind::Text, "Reads every file under the path as one table of this name"),
    text_or(
        "format",
        OptionKind::Choice(&["parquet", "csv", "json", "arrow"]),
        "The format of files whose names do not say it",
    ),
    text_or("types", OptionKind::Text, "Types of CSV, JSON and partition columns: price=decimal(10,2), shop.zip=text"),
    option("infer_rows", OptionKind::Integer, "20000", "Rows of a table from which CSV and JSON types are inferred"),
    option("has_header", OptionKind::Boolean, "true", "Whether the first line of a CSV file names the columns"),
    text_or(
        "delimiter",
        OptionKind::Text,
        "What separates CSV fields, one character or `tab`; found by itself if unset",
    ),
    option("quote", OptionKind::Text, "\"", "What quotes CSV fields, one character"),
    text_or("escape", OptionKind::Text, "What escapes a quote in a CSV field, beside doubling it; one character"),
    text_or("null_text", OptionKind::Text, "A text that means null in CSV, such as NA, beside the empty field"),
    text_or("region", OptionKind::Text, "The region of the object store"),
    text_or("endpoint", OptionKind::Text, "The address of an S3-compatible server"),
    option("allow_http", OptionKind::Boolean, "false", "Whether the endpoint may be reached without TLS"),
    text_or("access_key_id_env", OptionKind::Text, "The environment variable that holds the access key's id"),
    text_or("secret_access_key_env", OptionKind::Text, "The environment variable that holds the secret access key"),
    text_or("session_token_env", OptionKind::Text, "The environment variable that holds the session token"),
    option("anonymous", OptionKind::Boolean, "false", "Whether to read a public bucket without credentials"),
];

const fn option(name: &'static str, kind: OptionKind, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default: Some(default), required: false, help }
}

const fn text_or(name: &'static str, kind: OptionKind, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default: None, required: false, help }
}

/// The options of one files source, checked.
#[derive(Debug, Clone)]
pub(super) struct FilesConfig {
    /// The source's name, for hints.
    pub(super) source: String,
    pub(super) location: Location,
    pub(super) table: Option<String>,
    pub(super) format: Option<Format>,
    pub(super) types: DeclaredTypes,
    pub(super) infer_rows: usize,
    pub(super) csv: CsvConfig,
    pub(super) s3: S3Config,
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// On local disk.
    Local(PathBuf),
    /// In a bucket; the prefix may be empty or a glob.
    S3 { bucket: String, prefix: String },
}

/// How CSV files are written.
#[derive(Debug, Clone)]
pub(super) struct CsvConfig {
    pub(super) has_header: bool,
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
    pub(super) null_text: Option<String>,
}

/// How an S3-compatible store is reached. Secrets are named, never held.
#[derive(Debug, Clone, Default)]
pub(super) struct S3Config {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) allow_http: bool,
    pub(super) access_key_id_env: Option<String>,
    pub(super) secret_access_key_env: Option<String>,
    pub(super) session_token_env: Option<String>,
    pub(super) anonymous: bool,
}

/// Types that the user declares, by `column` or `table.column`.
#[derive(Debug, Clone, Default)]
pub(super) struct DeclaredTypes(BTreeMap<String, DataType>);

impl DeclaredTypes {
    /// The type declared for a column; `table.column` wins over `column`.
    pub(super) fn of(&self, table: &str, column: &str) -> Option<&DataType> {
        self.0.get(&format!("{table}.{column}")).or_else(|| self.0.get(column))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut declared = BTreeMap::new();
        for entry in types::split_outside_parentheses(text) {
            let refuse = || {
                Error::new(ErrorCode::ConfigInvalid, format!("option `types` does not understand `{entry}`")).with_hint(
                    format!("Write `column=type` or `table.column=type`, with a type of {}.", types::DECLARABLE),
                )
            };
            let (column, name) = entry.rsplit_once('=').ok_or_else(refuse)?;
            let data_type = types::parse_type(name.trim()).ok_or_else(refuse)?;
            declared.insert(column.trim().to_owned(), data_type);
        }
        Ok(Self(declared))
    }
}

impl FilesConfig {
    /// Reads checked options.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] that names the option.
    pub(super) fn try_new(source: &str, options: &Options) -> Result<Self> {
        let owned = |name: &str| options.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let location = match (owned("path"), owned("url")) {
            (Some(path), None) => Location::Local(PathBuf::from(path)),
            (None, Some(url)) => parse_s3(&url)?,
            (given, _) => {
                let what = if given.is_some() { "both `path` and `url`" } else { "neither `path` nor `url`" };
                return Err(Error::new(ErrorCode::ConfigInvalid, format!("source `{source}` has {what}"))
                    .with_hint("Set `path` for local files, or `url` for an object store."));
            }
        };
        let format = owned("format").map(|name| {
            Format::from_name(&name).ok_or_else(|| Error::internal(format!("the format `{name}` passed the check")))
        });
        Ok(Self {
            source: source.to_owned(),
            location,
            table: owned("table"),
            format: format.transpose()?,
            types: DeclaredTypes::parse(options.text("types").unwrap_or_default())?,
            infer_rows: options.integer("infer_rows").unwrap_or(20_000).max(1),
            csv: CsvConfig {
                has_header: options.boolean("has_header"),
                delimiter: one_byte(options, "delimiter")?,
                quote: one_byte(options, "quote")?.unwrap_or(b'"'),
                escape: one_byte(options, "escape")?,
                null_text: owned("null_text"),
            },
            s3: S3Config {
                region: owned("region"),
                endpoint: owned("endpoint"),
                allow_http: options.boolean("allow_http"),
                access_key_id_env: owned("access_key_id_env"),
                secret_access_key_env: owned("secret_access_key_env"),
                session_token_env: owned("session_token_env"),
                anonymous: options.boolean("anonymous"),
            },
        })
    }

    /// How to declare the type of a column of this source, for hints.
    pub(super) fn declare_hint(&self, table: &str, column: &str) -> String {
        format!("`tombolo config set sources.{}.types \"{table}.{column}=text\"`", self.source)
    }
}

/// Reads what `connect` was given, where it is files.
pub(super) fn parse_url(url: &str) -> Option<Result<Options>> {
    if url.starts_with("s3://") {
        return Some(parse_s3(url).map(|_| Options::default().with("url", url)));
    }
    let path = url.strip_prefix("file://").unwrap_or(url);
    // Another kind's URL, and a lone word that is neither a path nor a file, are not ours.
    if path.contains("://") {
        return None;
    }
    let known = types::format_of(path).is_some();
    let is_path = path.starts_with(['.', '/', '~']) || path.contains('/') || is_glob(path);
    (known || is_path || std::path::Path::new(path).exists()).then(|| Ok(Options::default().with("path", path)))
}

/// Whether a path has wildcards.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

fn parse_s3(url: &str) -> Result<Location> {
    let refuse = || {
        let scheme = url.split_once("://").map_or("no scheme", |(scheme, _)| scheme);
        Error::new(ErrorCode::ConfigInvalid, format!("`url` is not an object store that is known ({scheme})"))
            .with_hint("Write s3://bucket/prefix; keys are given by options or the environment, never in the URL.")
    };
    let (bucket, prefix) =
        url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(refuse)?;
    // An `@` would be credentials, which a URL that is printed must not hold.
    if bucket.is_empty() || bucket.contains('@') {
        return Err(refuse());
    }
    Ok(Location::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
}

fn one_byte(options: &Options, name: &str) -> Result<Option<u8>> {
    match options.text(name).map(str::as_bytes) {
        None | Some([]) => Ok(None),
        Some(b"tab" | b"\\t") => Ok(Some(b'\t')),
        Some([byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(Some(*byte)),
        Some(_) => Err(Error::new(ErrorCode::ConfigInvalid, format!("option `{name}` takes one ASCII character"))
            .with_hint(format!("Set `{name}` to one character, or to `tab`."))),
    }
}
