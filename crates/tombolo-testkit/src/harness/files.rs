use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit};
use async_trait::async_trait;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tempfile::TempDir;
use tombolo_connector::{ErrorCode, Options, Registry};

use super::{Carriage, Evidence, Harness, Outage, RemoteEvent, Site, as_text, cast_exactly, unchanged, widened};
use crate::fixtures::Fixture;

/// Files of one format, written by that format's own writer. The log is which bytes of which file were read.
#[derive(Debug, Clone, Copy)]
pub struct FilesHarness(pub FileFormat);

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// Arrow's own files.
    Arrow,
    /// CSV with a header.
    Csv,
    /// One JSON object on each line.
    JsonLines,
}

/// The table that is stored in folders, one for each value of a column, since filters on those are exact.
const PARTITIONED: (&str, &str) = ("visits", "page");

/// Rows of a row group, so that larger tables have many.
const GROUP_ROWS: usize = 2_000;

#[async_trait]
impl Harness for FilesHarness {
    fn name(&self) -> &'static str {
        match self.0 {
            FileFormat::Parquet => "parquet",
            FileFormat::Arrow => "arrow",
            FileFormat::Csv => "csv",
            FileFormat::JsonLines => "json_lines",
        }
    }

    fn connector(&self) -> &'static str {
        "files"
    }

    fn title(&self) -> &'static str {
        match self.0 {
            FileFormat::Parquet => "Files: Parquet",
            FileFormat::Arrow => "Files: Arrow",
            FileFormat::Csv => "Files: CSV",
            FileFormat::JsonLines => "Files: JSON lines",
        }
    }

    fn refuses_table(&self, fixture: &Fixture) -> Option<&'static str> {
        (self.0 == FileFormat::JsonLines && fixture.rows() == 0).then_some("a file without lines names no columns")
    }

    fn carriage(&self, fixture: &Fixture, field: &Field, values: &ArrayRef) -> Carriage {
        if (fixture.name, field.name().as_str()) == PARTITIONED {
            return widened(values, &DataType::Utf8);
        }
        match self.0 {
            FileFormat::Parquet => match values.data_type() {
                DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => {
                    Carriage::NotHeld("Parquet's intervals are of months, days and milliseconds")
                }
                _ => unchanged(values),
            },
            FileFormat::Arrow => unchanged(values),
            FileFormat::Csv => in_csv(values),
            FileFormat::JsonLines => in_json(values),
        }
    }

    fn column_order(&self, fixture: &Fixture, mut names: Vec<String>) -> Vec<String> {
        // What is in a folder's name comes after what is in the files.
        if fixture.name == PARTITIONED.0 {
            names.retain(|name| name != PARTITIONED.1);
            names.push(PARTITIONED.1.to_owned());
        }
        names
    }

    fn exceptions(&self) -> &'static [(&'static str, &'static str)] {
        match self.0 {
            FileFormat::Arrow => &[(
                "catalog/row counts are true",
                "the files source declares counts for other formats; those of Arrow files are not read",
            )],
            _ => &[],
        }
    }

    async fn open(&self, _source: &str, fixtures: &[&Fixture]) -> Result<Box<dyn Site>, String> {
        let folder = TempDir::new().unwrap();
        let mut site = FilesSite { format: self.0, folder, types: Vec::new(), files: Vec::new() };
        for fixture in fixtures.iter().filter(|fixture| self.refuses_table(fixture).is_none()) {
            let expected = (self as &dyn Harness).expected(fixture);
            site.declare(&expected.batch, fixture.name);
            if fixture.name == PARTITIONED.0 {
                site.write_partitioned(&expected.batch);
            } else {
                let path = site.path(&format!("{}.{}", fixture.name, self.0.extension()));
                site.write(fixture.name, path, &expected.batch);
            }
        }
        Ok(Box::new(site))
    }

    async fn outages(&self, folder: &Path) -> Vec<Outage> {
        let outage = |name, path: &Path, code, is_retryable| Outage {
            name,
            registry: tombolo_connectors::registry(),
            options: Options::default().with("path", path.to_str().unwrap()),
            statement: "SELECT * FROM broken.customers",
            code,
            is_retryable,
            held: None,
        };
        let batch = (self as &dyn Harness).expected(crate::fixtures::named("customers")).batch;
        let damaged = folder.join("damaged");
        std::fs::create_dir(&damaged).unwrap();
        let file = damaged.join(format!("customers.{}", self.0.extension()));
        self.0.write(&file, &batch);
        let bytes = std::fs::read(&file).unwrap();
        let mut outages = vec![outage("missing", &folder.join("gone"), ErrorCode::SourceUnavailable, false)];
        match self.0 {
            FileFormat::Parquet | FileFormat::Arrow => {
                std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
                outages.push(outage("cut off", &damaged, ErrorCode::CorruptData, false));
            }
            FileFormat::Csv => {
                let lines = String::from_utf8(bytes).unwrap();
                std::fs::write(&file, format!("{lines}1,too,few\n")).unwrap();
                outages.push(outage("a row of too few fields", &damaged, ErrorCode::InvalidValue, false));
            }
            FileFormat::JsonLines => {
                std::fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
                outages.push(outage("cut off within a line", &damaged, ErrorCode::InvalidValue, false));
            }
        }
        let nothing = folder.join("nothing");
        std::fs::create_dir(&nothing).unwrap();
        outages.push(outage("without files", &nothing, ErrorCode::TableNotFound, false));
        outages
    }
}

/// CSV has text alone: an empty field is null, and what is not declarable stays the text that was written.
fn in_csv(values: &ArrayRef) -> Carriage {
    match declarable(values) {
        Some(text) if text.data_type() == &DataType::Utf8 => {
            let texts = text.as_string::<i32>();
            let empty = texts.iter().flatten().any(str::is_empty);
            let kept: StringArray = texts.iter().map(|text| text.filter(|text| !text.is_empty())).collect();
            let changed = if is_text(values.data_type()) {
                ""
            } else {
                "CSV is text: what it may be declared as ends at dates, timestamps and decimals"
            };
            Carriage::Carried { expected: Arc::new(kept), note: if empty { "an empty field is null" } else { changed } }
        }
        Some(expected) => Carriage::Carried { expected, note: "" },
        None => Carriage::NotHeld("CSV has no form for bytes and nested values"),
    }
}

/// JSON has text, numbers, truth values, lists and objects.
fn in_json(values: &ArrayRef) -> Carriage {
    match values.data_type() {
        DataType::List(_) | DataType::Struct(_) => unchanged(values),
        _ => match declarable(values) {
            Some(numbers) if numbers.data_type() == &DataType::Float64 => {
                let finite = |number: f64| Some(number).filter(|number| number.is_finite());
                let kept: Float64Array =
                    numbers.as_primitive::<Float64Type>().iter().map(|number| finite(number?)).collect();
                let note = if kept.null_count() > numbers.null_count() {
                    "JSON has no NaN and no infinity: they are null"
                } else {
                    ""
                };
                Carriage::Carried { expected: Arc::new(kept), note }
            }
            Some(expected) => Carriage::Carried {
                note: if expected.data_type() == &DataType::Utf8 && !is_text(values.data_type()) {
                    "kept as text"
                } else {
                    ""
                },
                expected,
            },
            None => Carriage::NotHeld("JSON has no bytes"),
        },
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => matches!(other, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// The values in a type that the user may declare for a file of text.
fn declarable(values: &ArrayRef) -> Option<ArrayRef> {
    Some(match values.data_type() {
        DataType::Boolean | DataType::Date32 | DataType::Decimal128(..) => Arc::clone(values),
        DataType::UInt64 => as_text(values),
        integer if integer.is_integer() => cast_exactly(values, &DataType::Int64),
        float if float.is_floating() => cast_exactly(values, &DataType::Float64),
        DataType::Date64 => cast_exactly(values, &DataType::Date32),
        text if is_text(text) => cast_exactly(values, &DataType::Utf8),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Arc::clone(values),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => as_text(values),
        DataType::Timestamp(_, zone) => {
            let zone = zone.as_ref().map(|_| "UTC".into());
            cast_exactly(values, &DataType::Timestamp(TimeUnit::Microsecond, zone))
        }
        DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) | DataType::Decimal256(..) => as_text(values),
        _ => return None,
    })
}

/// The name of a type in the option `types`; none where it is found without.
fn declared(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Utf8 => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        _ => return None,
    })
}

impl FileFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::JsonLines)
    }

    fn write(self, path: &Path, batch: &RecordBatch) {
        let file = File::create(path).unwrap();
        match self {
            Self::Parquet => {
                let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROWS)).build();
                let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
                writer.write(batch).unwrap();
                writer.close().unwrap();
            }
            Self::Arrow => {
                let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
                writer.write(batch).unwrap();
                writer.finish().unwrap();
            }
            Self::Csv => arrow::csv::Writer::new(file).write(batch).unwrap(),
            Self::JsonLines => {
                // A column is there from its first row on, in the fixture's order.
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                let mut writer = builder.build::<_, arrow::json::writer::LineDelimited>(file);
                writer.write(batch).unwrap();
                writer.finish().unwrap();
            }
        }
    }
}

#[derive(Debug)]
struct FilesSite {
    format: FileFormat,
    folder: TempDir,
    /// What the option `types` says.
    types: Vec<String>,
    /// The tables and their files.
    files: Vec<(String, PathBuf)>,
}

impl FilesSite {
    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn files(&self, table: &str) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(move |(name, _)| name == table).map(|(_, path)| path.as_path())
    }

    fn declare(&mut self, batch: &RecordBatch, table: &str) {
        // Names with the option's own punctuation cannot be declared; their columns are found by their values.
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !self.format.is_text() || !plain(table) {
            return;
        }
        for field in batch.schema().fields().iter().filter(|field| plain(field.name())) {
            if let Some(name) = declared(field.data_type()) {
                self.types.push(format!("{table}.{}={name}", field.name()));
            }
        }
    }

    fn write(&mut self, table: &str, path: PathBuf, batch: &RecordBatch) {
        self.format.write(&path, batch);
        self.files.push((table.to_owned(), path));
    }

    fn write_partitioned(&mut self, batch: &RecordBatch) {
        let (table, column) = PARTITIONED;
        let at = batch.schema().index_of(column).unwrap();
        let values: Vec<Option<String>> =
            batch.column(at).as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect();
        let mut folders: Vec<Option<String>> = values.clone();
        folders.sort();
        folders.dedup();
        let rest: Vec<usize> = (0..batch.num_columns()).filter(|index| *index != at).collect();
        for folder in folders {
            let here: BooleanArray = values.iter().map(|value| Some(*value == folder)).collect();
            let part = filter_record_batch(batch, &here).unwrap().project(&rest).unwrap();
            let value = folder.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__");
            let path = self.path(&format!("{table}/{column}={value}"));
            std::fs::create_dir_all(&path).unwrap();
            self.write(table, path.join(format!("part-0.{}", self.format.extension())), &part);
        }
    }

    /// The ranges of a file that were read.
    fn ranges(log: &[RemoteEvent], path: &Path) -> Vec<(u64, u64)> {
        let path = path.canonicalize().unwrap();
        let path = path.to_str().unwrap().trim_start_matches('/').to_owned();
        let range = |event: &RemoteEvent| {
            let (read, range) = event.text.rsplit_once(' ')?;
            let (start, end) = range.split_once("..")?;
            (read == path).then(|| (start.parse().unwrap(), end.parse().unwrap()))
        };
        log.iter().filter_map(range).collect()
    }

    /// Where a column's values are in a Parquet file.
    fn column_chunks(path: &Path, column: &str) -> Vec<(u64, u64)> {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let groups = reader.metadata().row_groups();
        let chunks = groups.iter().flat_map(|group| group.columns());
        let named = chunks.filter(|chunk| chunk.column_path().parts()[0] == column);
        named.map(|chunk| chunk.byte_range()).map(|(start, length)| (start, start + length)).collect()
    }
}

#[async_trait]
impl Site for FilesSite {
    fn registry(&self) -> Registry {
        tombolo_connectors::registry()
    }

    fn options(&self) -> Options {
        let options = Options::default().with("path", self.folder.path().to_str().unwrap());
        if self.types.is_empty() { options } else { options.with("types", self.types.join(", ")) }
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String> {
        let found = match evidence {
            Evidence::Table(table) => self.files(table).any(|path| !Self::ranges(log, path).is_empty()),
            // A file of text is read from its start to its end; only Parquet has its columns apart.
            Evidence::Column { table, column } if self.format == FileFormat::Parquet => self.files(table).any(|path| {
                let chunks = Self::column_chunks(path, column);
                let read = Self::ranges(log, path);
                read.iter().any(|read| chunks.iter().any(|chunk| read.0 < chunk.1 && chunk.0 < read.1))
            }),
            Evidence::Column { table, .. } => self.files(table).any(|path| !Self::ranges(log, path).is_empty()),
            // Only folders are chosen: a filter shows in the files that were not opened.
            Evidence::Operator("filter") => self.files(PARTITIONED.0).any(|path| Self::ranges(log, path).is_empty()),
            Evidence::Operator(_) => false,
        };
        if found { Ok(()) } else { Err(format!("what was read does not show {evidence:?}")) }
    }

    fn keeps_columns_apart(&self) -> bool {
        self.format == FileFormat::Parquet
    }

    async fn drop_table(&mut self, table: &str) -> Result<(), String> {
        for (_, path) in self.files.extract_if(.., |(name, _)| name == table) {
            std::fs::remove_file(path).unwrap();
        }
        Ok(())
    }

    async fn add_column(&mut self, table: &str) -> Result<(), String> {
        let fixture = crate::fixtures::named(table);
        let batch = (&FilesHarness(self.format) as &dyn Harness).expected(fixture).batch;
        let added: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![7; batch.num_rows()]));
        let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("added", DataType::Int64, true)));
        let columns = batch.columns().iter().cloned().chain([added]).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        self.format.write(&self.path(&format!("{table}.{}", self.format.extension())), &batch);
        Ok(())
    }
}
