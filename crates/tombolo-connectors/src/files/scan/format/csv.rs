//! CSV: header lines, the types of columns, and values that are held against them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use futures::FutureExt;
use tombolo_connector::{Error, ErrorCode, Result, RowCount};

use super::each_file;
use super::rows::{self, RowsError, TextDecoder, TextRows};
use crate::files::catalog::{DataFile, Found, TableFiles};
use crate::files::client::FileStore;
use crate::files::config::{CsvConfig, FilesConfig};
use crate::files::types::text::TypeGuess;

/// The longest header line that is looked for.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// One file, opened as far as its header.
pub(in crate::files) struct CsvFile {
    /// The names of its columns, in its order.
    pub(in crate::files) names: Vec<String>,
    bytes: rows::ByteStream,
    delimiter: u8,
    has_header: bool,
    quote: u8,
    escape: Option<u8>,
}

impl CsvFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`ErrorCode::CorruptData`] where there is none.
    pub(in crate::files) async fn open(store: &FileStore, config: &CsvConfig, file: &DataFile) -> Result<Self> {
        let shown = store.show(&file.meta.location);
        let bytes = rows::open_bytes(store, file).await?;
        let quote = config.quote;
        let whole = |head: &[u8]| header_end(head, quote).is_some() || head.len() > MAX_HEADER_BYTES;
        let (head, bytes) = rows::peek(bytes, whole).await?;
        if head.is_empty() {
            return Err(Error::new(ErrorCode::CorruptData, format!("`{shown}` is empty: it has no header line"))
                .with_hint("Write the file again, or remove it."));
        }
        let line = &head[..header_end(&head, quote).unwrap_or(head.len())];
        let line = std::str::from_utf8(line).map_err(|_| not_utf8(&shown, "its first line"))?;
        let delimiter = config.delimiter.unwrap_or_else(|| guess_delimiter(line, quote));
        let fields = split_header(line, delimiter, quote);
        let names = if config.has_header { column_names(fields) } else { numbered_names(fields.len()) };
        Ok(Self { names, bytes, delimiter, has_header: config.has_header, quote, escape: config.escape })
    }

    /// Reads the columns at these positions as text.
    pub(in crate::files) fn rows(self, columns: Vec<usize>, batch_size: usize) -> TextRows {
        // Names play no part in the decoder, and two columns of a file may have been given one name.
        let fields: Vec<Field> =
            (0..self.names.len()).map(|index| Field::new(format!("{index}"), DataType::Utf8View, true)).collect();
        let mut builder = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(self.has_header)
            .with_delimiter(self.delimiter)
            .with_quote(self.quote)
            .with_batch_size(batch_size)
            .with_projection(columns);
        if let Some(escape) = self.escape {
            builder = builder.with_escape(escape);
        }
        TextRows::new(self.bytes, TextDecoder::Csv(Box::new(builder.build_decoder())))
    }
}

/// Infers the columns of all files from their headers and the first rows.
pub(in crate::files) async fn describe(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<Found> {
    let names = union_of_headers(store, config, table).await?;
    let mut guesses: BTreeMap<String, TypeGuess> = BTreeMap::new();
    let mut sample = Sample::new(config.infer_rows, table.files.len());
    for file in &table.files {
        let Some(limit) = sample.next_limit() else { break };
        let opened = CsvFile::open(store, &config.csv, file).await?;
        let own = opened.names.clone();
        let mut rows = opened.rows((0..own.len()).collect(), limit.min(8192));
        let mut ended = false;
        while !ended && rows.rows < limit {
            let Some(batch) =
                rows.next_batch().await.map_err(|error| rows_error(error, &store.show(&file.meta.location)))?
            else {
                ended = true;
                continue;
            };
            for (name, column) in own.iter().zip(batch.columns()) {
                let guess = guesses.entry(name.clone()).or_default();
                for text in column.as_string_view().iter().flatten() {
                    if config.csv.null_text.as_deref() != Some(text) {
                        guess.see(text);
                    }
                }
            }
        }
        sample.add(rows.rows, rows.consumed, ended || rows.consumed >= plain_size(file));
    }
    let fields = names.iter().map(|name| {
        let declared = config.types.of(&table.name, name).cloned();
        let inferred = || guesses.get(name).map_or(DataType::Utf8View, TypeGuess::data_type);
        Field::new(name, declared.unwrap_or_else(inferred), true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(Found { schema, rows: sample.row_count(table), columns: BTreeMap::new() })
}

/// The columns of all files by name, in the order in which they first come.
async fn union_of_headers(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<Vec<String>> {
    let headers = each_file(store, table.files.clone(), |store, file| {
        let config = config.csv.clone();
        async move {
            let opened = CsvFile::open(&store, &config, &file).await?;
            Ok((store.show(&file.meta.location), opened.names))
        }
        .boxed()
    });
    let mut union: Vec<String> = Vec::new();
    let mut first: Option<(String, usize)> = None;
    for (shown, names) in headers.await? {
        match &first {
            // Without names the columns can only be told apart by their number.
            Some((other, count)) if !config.csv.has_header && *count != names.len() => {
                return Err(Error::new(
                    ErrorCode::InvalidPlan,
                    format!("the files of table `{}` have different numbers of columns", table.name),
                )
                .with_detail(format!("`{other}` has {count}, `{shown}` has {}", names.len()))
                .with_hint("Connect them as separate tables, or give them header lines."));
            }
            Some(_) => {}
            None => first = Some((shown, names.len())),
        }
        for name in names {
            if !union.contains(&name) {
                union.push(name);
            }
        }
    }
    Ok(union)
}

/// The bytes of a file as they are decoded, where its size says them.
pub(in crate::files) fn plain_size(file: &DataFile) -> u64 {
    if file.compression.is_compressed() { u64::MAX } else { file.meta.size }
}

/// How much of a table was looked at.
pub(in crate::files) struct Sample {
    left: usize,
    files_left: usize,
    rows: usize,
    bytes: u64,
    whole: bool,
}

impl Sample {
    pub(in crate::files) fn new(rows: usize, files: usize) -> Self {
        Self { left: rows, files_left: files, rows: 0, bytes: 0, whole: true }
    }

    /// How many rows to read of the next file, so that every file of a few has its part; `None` when there were enough.
    pub(in crate::files) fn next_limit(&mut self) -> Option<usize> {
        if self.left == 0 || self.files_left == 0 {
            self.whole &= self.files_left == 0;
            return None;
        }
        Some(self.left.div_ceil(self.files_left).max(self.left.min(1000)))
    }

    pub(in crate::files) fn add(&mut self, rows: usize, bytes: u64, ended: bool) {
        self.left = self.left.saturating_sub(rows);
        self.files_left = self.files_left.saturating_sub(1);
        self.rows += rows;
        self.bytes += bytes;
        self.whole &= ended;
    }

    /// The table's rows: counted where all of them were looked at, and otherwise estimated from the bytes.
    pub(in crate::files) fn row_count(&self, table: &TableFiles) -> RowCount {
        if self.whole && self.files_left == 0 {
            return RowCount::Exact(self.rows as u64);
        }
        if self.rows == 0 {
            return RowCount::Unknown;
        }
        // Text compresses to about a quarter.
        let expanded =
            table.files.iter().map(|f| if f.compression.is_compressed() { f.meta.size * 4 } else { f.meta.size });
        let per_row = (self.bytes / self.rows as u64).max(1);
        RowCount::Estimated((expanded.sum::<u64>() / per_row).max(self.rows as u64))
    }
}

/// The error for a file that is not the CSV that its header announces.
pub(in crate::files) fn rows_error(error: RowsError, shown: &str) -> Error {
    let error = match error {
        RowsError::Store(error) => return error,
        RowsError::Decode(error) => error,
    };
    let text = match &error {
        ArrowError::CsvError(text) | ArrowError::ParseError(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains("UTF-8") {
        return not_utf8(shown, &text).with_cause(error);
    }
    Error::new(ErrorCode::InvalidValue, format!("`{shown}` is not well-formed CSV: {text}"))
        .with_hint("Look at that line; a value that holds the delimiter or a newline must be quoted. See also the options `delimiter`, `quote` and `escape`.")
        .with_cause(error)
}

fn not_utf8(shown: &str, place: &str) -> Error {
    Error::new(ErrorCode::InvalidValue, format!("`{shown}` is not UTF-8"))
        .with_detail(place.to_owned())
        .with_hint("Convert the file, for example with `iconv -f LATIN1 -t UTF-8`.")
}

/// Where the first line ends, a newline in quotes not counted.
fn header_end(head: &[u8], quote: u8) -> Option<usize> {
    let mut quoted = false;
    head.iter().position(|&byte| {
        quoted ^= byte == quote;
        !quoted && (byte == b'\n' || byte == b'\r')
    })
}

/// The delimiter is the one of `,` `;` tab `|` that stands most often in the header, outside quotes.
fn guess_delimiter(line: &str, quote: u8) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line.bytes() {
        quoted ^= byte == quote;
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| !quoted && *delimiter == byte) {
            *count += 1;
        }
    }
    // The first of equals wins, so a line without any has a comma.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

fn split_header(line: &str, delimiter: u8, quote: u8) -> Vec<String> {
    let (delimiter, quote) = (char::from(delimiter), char::from(quote));
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        if c == quote {
            if quoted && chars.peek() == Some(&quote) {
                chars.next();
                field.push(c);
            } else {
                quoted = !quoted;
            }
        } else if c == delimiter && !quoted {
            fields.push(String::new());
        } else {
            field.push(c);
        }
    }
    fields
}

/// Names a column without a name by its number, and tells columns of one name apart.
fn column_names(fields: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    for (index, field) in fields.into_iter().enumerate() {
        let base = if field.is_empty() { format!("column_{}", index + 1) } else { field };
        let mut name = base.clone();
        let mut repeat = 1;
        while names.contains(&name) {
            repeat += 1;
            name = format!("{base}_{repeat}");
        }
        names.push(name);
    }
    names
}

fn numbered_names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("column_{number}")).collect()
}
