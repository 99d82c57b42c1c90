//! JSON lines: the shape of the values, and how a line that breaks it is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use futures::StreamExt;
use tombolo_connector::{Error, ErrorCode, Result};

use super::csv::{Sample, plain_size};
use super::rows::{self, ByteStream, TextDecoder, TextRows};
use crate::files::catalog::{DataFile, Found, TableFiles, is_text};
use crate::files::client::FileStore;
use crate::files::config::FilesConfig;
use crate::files::types::text::TypeGuess;

/// Values nested deeper than this are refused, since each level is a call.
const MAX_DEPTH: usize = 100;

/// What was seen of one place in the lines: each kind with the line where it first stood.
#[derive(Debug, Default)]
pub(in crate::files) struct Shape {
    boolean: Option<usize>,
    number: Option<usize>,
    text: Option<usize>,
    list: Option<(usize, Box<Shape>)>,
    object: Option<(usize, Vec<(String, Shape)>)>,
    numbers: TypeGuess,
}

impl Shape {
    fn kinds(&self) -> Vec<(&'static str, usize)> {
        let kinds = [
            ("true or false", self.boolean),
            ("a number", self.number),
            ("text", self.text),
            ("a list", self.list.as_ref().map(|(line, _)| *line)),
            ("an object", self.object.as_ref().map(|(line, _)| *line)),
        ];
        kinds.into_iter().filter_map(|(kind, line)| line.map(|line| (kind, line))).collect()
    }

    /// The type that all values have, or the two kinds that contradict each other.
    fn data_type(&self, path: &str) -> Result<DataType, Conflict> {
        let kinds = self.kinds();
        if let [(first, line), (second, other), ..] = kinds[..] {
            return Err(Conflict {
                path: path.to_owned(),
                text: format!("{first} in line {line} and {second} in line {other}"),
            });
        }
        Ok(if self.boolean.is_some() {
            DataType::Boolean
        } else if self.number.is_some() {
            self.numbers.number_type().unwrap_or(DataType::Utf8View)
        } else if let Some((_, item)) = &self.list {
            DataType::List(Arc::new(Field::new("item", item.data_type(&format!("{path}[]"))?, true)))
        } else if let Some((_, fields)) = &self.object {
            DataType::Struct(fields_of(fields, path)?)
        } else {
            DataType::Utf8View
        })
    }

    fn only_scalars(&self) -> bool {
        self.list.is_none() && self.object.is_none()
    }

    fn field(&mut self, line: usize, name: &str) -> &mut Shape {
        let (_, fields) = self.object.get_or_insert_with(|| (line, Vec::new()));
        let at = fields.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            fields.push((name.to_owned(), Shape::default()));
            fields.len() - 1
        });
        &mut fields[at].1
    }
}

fn fields_of(fields: &[(String, Shape)], path: &str) -> Result<Fields, Conflict> {
    let typed = fields.iter().map(|(name, shape)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        Ok(Field::new(name, shape.data_type(&path)?, true))
    });
    typed.collect::<Result<Vec<_>, _>>().map(Fields::from)
}

#[derive(Debug)]
struct Conflict {
    path: String,
    text: String,
}

/// Infers the columns of all files from the first lines.
pub(in crate::files) async fn describe(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<Found> {
    let mut shape = Shape::default();
    let mut sample = Sample::new(config.infer_rows, table.files.len());
    let mut names = Vec::new();
    for file in &table.files {
        let Some(limit) = sample.next_limit() else { break };
        let shown = store.show(&file.meta.location);
        let mut lines = Lines::open(store, file).await?;
        let (mut rows, mut ended) = (0, false);
        while rows < limit {
            let Some(line) = lines.next_line().await? else {
                ended = true;
                break;
            };
            let scanned = Scanner::new(&line).line(&mut shape, lines.number);
            if let Err(reason) = scanned {
                return Err(malformed(&shown, lines.number, reason, &line));
            }
            rows += usize::from(!line.trim_ascii().is_empty());
        }
        names.push(shown);
        sample.add(rows, lines.consumed, ended || lines.consumed >= plain_size(file));
    }
    let fields = shape.object.map(|(_, fields)| fields).unwrap_or_default();
    if fields.is_empty() {
        return Err(Error::new(ErrorCode::CorruptData, format!("`{}` has no JSON object in it", table.shown))
            .with_hint("A JSON file holds one object on each line; write it again, or remove it."));
    }
    let typed = fields.iter().map(|(name, shape)| {
        let declared = config.types.of(&table.name, name).filter(|_| shape.only_scalars());
        let data_type = match declared {
            Some(declared) => declared.clone(),
            None => shape.data_type(name).map_err(|conflict| {
                let column = conflict.path;
                Error::new(
                    ErrorCode::TypeMismatch,
                    format!("column `{column}` of table `{}` has {}", table.name, conflict.text),
                )
                .with_detail(names.join(", "))
                .with_hint(if shape.only_scalars() {
                    format!("Read the column as text: {}.", config.declare_hint(&table.name, name))
                } else {
                    "Bring the lines to one shape; a column is either a value, a list or an object.".to_owned()
                })
            })?,
        };
        Ok(Field::new(name, data_type, true))
    });
    let schema = Arc::new(Schema::new(typed.collect::<Result<Vec<_>>>()?));
    Ok(Found { schema, rows: sample.row_count(table), columns: BTreeMap::new() })
}

/// Opens a file whose values are read as text wherever they will be something else than text or a boolean. When `strict`,
/// a field that the schema does not have is an error.
pub(in crate::files) async fn open_rows(
    store: &FileStore,
    file: &DataFile,
    schema: &SchemaRef,
    batch_size: usize,
    strict: bool,
) -> Result<TextRows> {
    let bytes = checked_bytes(store, file).await?;
    let fields = schema.fields().iter().map(|field| as_text(field)).collect::<Vec<_>>();
    let decoder = ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_coerce_primitive(true)
        .with_strict_mode(strict)
        .with_batch_size(batch_size)
        .build_decoder()
        .map_err(|error| Error::internal("a JSON decoder cannot be made").with_cause(error))?;
    Ok(TextRows::new(bytes, TextDecoder::Json(Box::new(decoder))))
}

/// The same field with text at the leaves, so that no number is rounded before it is looked at.
fn as_text(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Boolean => DataType::Boolean,
        DataType::List(item) => DataType::List(Arc::new(as_text(item))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| as_text(field)).collect()),
        _ => DataType::Utf8View,
    };
    Field::new(field.name(), data_type, true)
}

/// Finds the line that cannot be decoded, from the line after `rows` rows on, and says what is wrong with it.
pub(in crate::files) async fn explain_failure(
    store: &FileStore,
    file: &DataFile,
    schema: &Schema,
    rows: usize,
    strict: bool,
    error: ArrowError,
) -> Error {
    let shown = store.show(&file.meta.location);
    match find_failure(store, file, schema, rows, strict).await {
        Ok(Some(found)) => found.with_cause(error),
        Ok(None) => {
            Error::new(ErrorCode::InvalidValue, format!("`{shown}` cannot be read as JSON lines after row {rows}"))
                .with_detail(error.to_string())
                .with_hint("Look at the lines after that row.")
                .with_cause(error)
        }
        Err(found) => found,
    }
}

async fn find_failure(
    store: &FileStore,
    file: &DataFile,
    schema: &Schema,
    rows: usize,
    strict: bool,
) -> Result<Option<Error>> {
    let shown = store.show(&file.meta.location);
    let mut lines = Lines::open(store, file).await?;
    let mut row = 0;
    while let Some(line) = lines.next_line().await? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        row += 1;
        if row <= rows {
            continue;
        }
        let mut shape = Shape::default();
        if let Err(reason) = Scanner::new(&line).line(&mut shape, lines.number) {
            return Ok(Some(malformed(&shown, lines.number, reason, &line)));
        }
        let Some((_, fields)) = &shape.object else { continue };
        for (name, shape) in fields {
            let unknown = match schema.field_with_name(name) {
                Ok(field) => unknown_field(shape, field.data_type(), name),
                Err(_) => Some(name.clone()),
            };
            if let Some(path) = unknown.filter(|_| strict) {
                return Ok(Some(
                    Error::new(
                        ErrorCode::SchemaChanged,
                        format!("`{shown}`, line {}: the field `{path}` is not a column", lines.number),
                    )
                    .with_detail("it does not stand in the lines from which the columns were inferred")
                    .with_hint(
                        "Name the columns that you need, or raise the source's option `infer_rows` beyond that line.",
                    ),
                ));
            }
            let Ok(field) = schema.field_with_name(name) else {
                continue;
            };
            if let Some((path, found, wanted)) = misfit(shape, field.data_type(), name) {
                return Ok(Some(
                    Error::new(
                        ErrorCode::InvalidValue,
                        format!(
                            "`{shown}`, line {}: column `{path}` has {found} where it has {wanted} elsewhere",
                            lines.number
                        ),
                    )
                    .with_hint(
                        "Correct the line, or raise the source's option `infer_rows` so that it is seen in time.",
                    ),
                ));
            }
        }
    }
    Ok(None)
}

/// A field below a value that its column's type does not have.
fn unknown_field(shape: &Shape, data_type: &DataType, path: &str) -> Option<String> {
    match (data_type, &shape.list, &shape.object) {
        (DataType::List(item), Some((_, inner)), _) => unknown_field(inner, item.data_type(), &format!("{path}[]")),
        (DataType::Struct(fields), _, Some((_, inner))) => inner.iter().find_map(|(name, shape)| {
            let path = format!("{path}.{name}");
            match fields.find(name) {
                Some((_, field)) => unknown_field(shape, field.data_type(), &path),
                None => Some(path),
            }
        }),
        _ => None,
    }
}

/// Where a value's kind is not the one of its column.
fn misfit(shape: &Shape, data_type: &DataType, path: &str) -> Option<(String, &'static str, &'static str)> {
    let (found, _) = *shape.kinds().first()?;
    match data_type {
        DataType::Boolean => shape.boolean.is_none().then(|| (path.to_owned(), found, "true or false")),
        DataType::List(item) => match &shape.list {
            Some((_, inner)) => misfit(inner, item.data_type(), &format!("{path}[]")),
            None => Some((path.to_owned(), found, "a list")),
        },
        DataType::Struct(fields) => match &shape.object {
            Some((_, inner)) => inner.iter().find_map(|(name, shape)| {
                let (_, field) = fields.find(name)?;
                misfit(shape, field.data_type(), &format!("{path}.{name}"))
            }),
            None => Some((path.to_owned(), found, "an object")),
        },
        leaf => (!shape.only_scalars())
            .then(|| (path.to_owned(), found, if is_text(leaf) { "text" } else { "a plain value" })),
    }
}

fn malformed(shown: &str, number: usize, reason: &str, line: &[u8]) -> Error {
    let start: String = String::from_utf8_lossy(line).chars().take(80).collect();
    Error::new(ErrorCode::InvalidValue, format!("`{shown}`, line {number}: {reason}"))
        .with_detail(format!("the line begins with {start}"))
        .with_hint("A JSON file holds one object on each line; `jq -c .` writes it so.")
}

/// Opens a file, and refuses one that is a single JSON document rather than lines.
async fn checked_bytes(store: &FileStore, file: &DataFile) -> Result<ByteStream> {
    let bytes = rows::open_bytes(store, file).await?;
    let (head, bytes) = rows::peek(bytes, |head| !head.trim_ascii_start().is_empty()).await?;
    if head.trim_ascii_start().starts_with(b"[") {
        let shown = store.show(&file.meta.location);
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("`{shown}` is one JSON array, not one object on each line"),
        )
        .with_hint("Write it as lines, for example with `jq -c '.[]' file.json > file.jsonl`."));
    }
    Ok(bytes)
}

/// The lines of a file, numbered from 1.
struct Lines {
    bytes: ByteStream,
    pending: Vec<u8>,
    at: usize,
    ended: bool,
    number: usize,
    consumed: u64,
}

impl Lines {
    async fn open(store: &FileStore, file: &DataFile) -> Result<Self> {
        let bytes = checked_bytes(store, file).await?;
        Ok(Self { bytes, pending: Vec::new(), at: 0, ended: false, number: 0, consumed: 0 })
    }

    async fn next_line(&mut self) -> Result<Option<Bytes>> {
        let mut searched = self.at;
        loop {
            if let Some(found) = self.pending[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + found;
                let line = Bytes::copy_from_slice(&self.pending[self.at..end]);
                self.consumed += (end + 1 - self.at) as u64;
                self.at = end + 1;
                self.number += 1;
                return Ok(Some(line));
            }
            if self.ended {
                let line = Bytes::copy_from_slice(&self.pending[self.at..]);
                self.consumed += line.len() as u64;
                self.at = self.pending.len();
                self.number += 1;
                return Ok((!line.is_empty()).then_some(line));
            }
            self.pending.drain(..self.at);
            self.at = 0;
            searched = self.pending.len();
            match self.bytes.next().await.transpose()? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }
}

/// Reads JSON only as far as its shape: numbers keep their digits, and strings are not copied.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads a whole line: nothing, or one object.
    fn line(&mut self, shape: &mut Shape, line: usize) -> Result<(), &'static str> {
        self.blanks();
        match self.bytes.get(self.at) {
            None => return Ok(()),
            Some(b'{') => {}
            Some(_) => return Err("it is not a JSON object"),
        }
        self.value(shape, line, 0)?;
        self.blanks();
        if self.at == self.bytes.len() { Ok(()) } else { Err("something follows the object") }
    }

    fn value(&mut self, shape: &mut Shape, line: usize, depth: usize) -> Result<(), &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.blanks();
        match self.bytes.get(self.at).copied() {
            Some(b'{') => self.object(shape, line, depth),
            Some(b'[') => self.list(shape, line, depth),
            Some(b'"') => {
                self.string()?;
                shape.text.get_or_insert(line);
                Ok(())
            }
            Some(b't') => self.word("true").map(|()| _ = shape.boolean.get_or_insert(line)),
            Some(b'f') => self.word("false").map(|()| _ = shape.boolean.get_or_insert(line)),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                shape.number.get_or_insert(line);
                shape.numbers.see(number);
                Ok(())
            }
            Some(_) => Err("it is not valid JSON"),
            None => Err("the object is not closed on its line"),
        }
    }

    fn object(&mut self, shape: &mut Shape, line: usize, depth: usize) -> Result<(), &'static str> {
        shape.object.get_or_insert_with(|| (line, Vec::new()));
        self.at += 1;
        self.blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.blanks();
            if self.bytes.get(self.at).is_some_and(|byte| *byte != b'"') {
                return Err("a key is not in quotes");
            }
            let raw = self.string()?;
            self.blanks();
            if !self.take(b':') {
                return Err("a key has no value");
            }
            // Only a key with escapes needs decoding.
            let text = std::str::from_utf8(raw).map_err(|_| "it is not UTF-8")?;
            if text.contains('\\') {
                let key: String = serde_json::from_str(text).map_err(|_| "a key is not valid JSON")?;
                self.value(shape.field(line, &key), line, depth + 1)?;
            } else {
                self.value(shape.field(line, &text[1..text.len() - 1]), line, depth + 1)?;
            }
            self.blanks();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(if self.at >= self.bytes.len() {
                    "the object is not closed on its line"
                } else {
                    "a comma is missing"
                });
            }
        }
    }

    fn list(&mut self, shape: &mut Shape, line: usize, depth: usize) -> Result<(), &'static str> {
        let (_, item) = shape.list.get_or_insert_with(|| (line, Box::default()));
        self.at += 1;
        self.blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(item, line, depth + 1)?;
            self.blanks();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err("a list is not closed on its line");
            }
        }
    }

    /// Passes over a string and gives it with its quotes.
    fn string(&mut self) -> Result<&'a [u8], &'static str> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at]);
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err("a text is not closed on its line"),
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, &'static str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
        let number = &rest[..end.unwrap_or(rest.len())];
        self.at += number.len();
        std::str::from_utf8(number).map_err(|_| "it is not UTF-8")
    }

    fn word(&mut self, word: &str) -> Result<(), &'static str> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err("it is not valid JSON")
        }
    }

    fn blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }
}
