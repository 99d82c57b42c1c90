//! How the conformance suite reaches a kind of source: loads it, reads its own log, and breaks it.
//!
//! A harness loads fixtures by other means than the connector under test, so that what the connector reads is not what it
//! wrote. It says of every column what must come back, as data: the values and their type, an error, or that the source has
//! nothing to keep such values in.

mod files;
mod memory;
mod mysql;
mod postgres;
mod remote_log;
mod sqlite;

use std::any::Any;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use tombolo_connector::{ErrorCode, Options, Registry};

pub use files::{FileFormat, FilesHarness};
pub use memory::MemoryHarness;
pub use mysql::MysqlHarness;
pub use postgres::{PostgresHarness, PostgresSite};
pub use remote_log::{RemoteEvent, RemoteLog};
pub use sqlite::SqliteHarness;

use crate::fixtures::Fixture;

/// What becomes of a fixture's column in a source.
#[derive(Debug, Clone)]
pub enum Carriage {
    /// It comes back as these values of this type.
    Carried {
        /// What must come back.
        expected: ArrayRef,
        /// What the source itself has made of the values when it took them; empty where they are unchanged.
        note: &'static str,
    },
    /// The source holds it, and reading it is an error of this code that names the column.
    Refused(ErrorCode),
    /// The source has nothing to keep it in, for this reason; it is not loaded.
    NotHeld(&'static str),
}

/// A kind of source, or one form of it, such as the files source over Parquet.
#[async_trait]
pub trait Harness: Debug + Send + Sync {
    /// A word for this harness, which begins the names of its trials: `sqlite`, `parquet`.
    fn name(&self) -> &'static str;

    /// The connector under test: the name of its folder, and of its kind in the config.
    fn connector(&self) -> &'static str;

    /// The name as people write it.
    fn title(&self) -> &'static str;

    /// Why the source cannot be reached on this machine at all: the variable that would name its server is not set.
    fn missing(&self) -> Option<String> {
        None
    }

    /// Why a table of this name or form cannot be in the source at all; `None` where it can.
    fn refuses_table(&self, _fixture: &Fixture) -> Option<&'static str> {
        None
    }

    /// What becomes of a column.
    fn carriage(&self, fixture: &Fixture, field: &Field, values: &ArrayRef) -> Carriage;

    /// Trials that do not pass although the connector declares what they are about, since it declares it for other forms of
    /// this kind of source; each with the reason. One that passes after all is a failure, so that none outlives its reason.
    fn exceptions(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The order in which the source gives a table's columns, where it is not the fixture's.
    fn column_order(&self, _fixture: &Fixture, names: Vec<String>) -> Vec<String> {
        names
    }

    /// Makes a place of its own in the source, under this name in the config, and loads these fixtures into it.
    ///
    /// # Errors
    /// Why the source is not there: a server that does not run.
    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> Result<Box<dyn Site>, String>;

    /// Ways in which a source of this kind is not as it should be, made below an empty folder.
    async fn outages(&self, folder: &Path) -> Vec<Outage>;
}

/// A loaded source.
#[async_trait]
pub trait Site: Debug + Send + Sync {
    /// The kinds of source, with the connector under test among them.
    fn registry(&self) -> Registry;

    /// How to connect.
    fn options(&self) -> Options;

    /// The schema that the tables are in.
    fn schema(&self) -> &'static str {
        "main"
    }

    /// What has reached the source since `log` began, as the source itself tells it.
    async fn remote_log(&self, log: &RemoteLog) -> Vec<RemoteEvent> {
        log.events()
    }

    /// How many statements of ours run in the source now, as the source itself tells it.
    async fn running(&self, log: &RemoteLog) -> usize {
        log.running()
    }

    /// Whether the log shows what was done.
    ///
    /// # Errors
    /// What is not in the log, as a phrase.
    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String>;

    /// Whether the log can tell which columns were read. A file of text is read from its start to its end.
    fn keeps_columns_apart(&self) -> bool {
        true
    }

    /// Drops a table behind the connector's back.
    ///
    /// # Errors
    /// Why tables of this source cannot be dropped.
    async fn drop_table(&mut self, table: &str) -> Result<(), String>;

    /// Adds a column `added` of the number 7 in each row behind the connector's back.
    ///
    /// # Errors
    /// Why tables of this source cannot change.
    async fn add_column(&mut self, table: &str) -> Result<(), String>;

    /// Something that must never be printed, where the options hold such a thing.
    fn secret(&self) -> Option<String> {
        None
    }
}

/// What a remote log may show.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// The source has done this operator: its name in `explain`, or `keys`.
    Operator(&'a str),
    /// The source has read this column of a table.
    Column {
        /// The table.
        table: &'a str,
        /// The column.
        column: &'a str,
    },
    /// The source was asked for rows of this table at all.
    Table(&'a str),
}

/// A source that is not as it should be.
#[derive(Debug)]
pub struct Outage {
    /// What is wrong with it: `missing`, `not a database`.
    pub name: &'static str,
    /// The kinds of source.
    pub registry: Registry,
    /// How it would be connected.
    pub options: Options,
    /// A query that finds it out, over a source called `broken`.
    pub statement: &'static str,
    /// The code that the error must have.
    pub code: ErrorCode,
    /// Whether the error must say that the same call may succeed later.
    pub is_retryable: bool,
    /// What keeps it so, as a lock does.
    pub held: Option<Box<dyn Any + Send + Sync>>,
}

/// A fixture as a source gives it back.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The table's name.
    pub name: &'static str,
    /// The primary key, where all its columns are carried.
    pub primary_key: &'static [&'static str],
    /// The columns that are carried, with all rows.
    pub batch: RecordBatch,
    /// The columns that are loaded and that reading refuses.
    pub refused: Vec<(String, ErrorCode)>,
    /// The columns that are not loaded, and why.
    pub not_held: Vec<(String, &'static str)>,
    /// What the source itself has changed, by column.
    pub notes: Vec<(String, &'static str)>,
}

impl dyn Harness + '_ {
    /// What must come back of a fixture.
    pub fn expected(&self, fixture: &Fixture) -> Expected {
        let batch = fixture.batch();
        let (mut columns, mut refused, mut not_held, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (field, values) in fixture.schema.fields().iter().zip(batch.columns()) {
            let name = field.name().clone();
            match self.carriage(fixture, field, values) {
                Carriage::Carried { expected, note } => {
                    if !note.is_empty() {
                        notes.push((name.clone(), note));
                    }
                    columns.push((Field::new(name, expected.data_type().clone(), true), expected));
                }
                Carriage::Refused(code) => refused.push((name, code)),
                Carriage::NotHeld(reason) => not_held.push((name, reason)),
            }
        }
        let order = self.column_order(fixture, columns.iter().map(|(field, _)| field.name().clone()).collect());
        columns.sort_by_key(|(field, _)| order.iter().position(|name| name == field.name()));
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let has = |key: &&str| fields.iter().any(|field| field.name() == key);
        let primary_key = if fixture.primary_key.iter().all(has) { fixture.primary_key } else { &[] };
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap();
        Expected { name: fixture.name, primary_key, batch, refused, not_held, notes }
    }
}

/// The values unchanged.
pub(crate) fn unchanged(values: &ArrayRef) -> Carriage {
    Carriage::Carried { expected: Arc::clone(values), note: "" }
}

/// The same values in another type, which must hold all of them.
pub(crate) fn widened(values: &ArrayRef, data_type: &DataType) -> Carriage {
    Carriage::Carried { expected: cast_exactly(values, data_type), note: "" }
}

pub(crate) fn cast_exactly(values: &ArrayRef, data_type: &DataType) -> ArrayRef {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |values: &ArrayRef, to: &DataType| {
        cast_with_options(values, to, &options)
            .unwrap_or_else(|error| panic!("{} to {to}: {error}", values.data_type()))
    };
    let wide = cast(values, data_type);
    let back = cast(&wide, values.data_type());
    assert_eq!(&back, values, "{data_type} does not hold all values of {}", values.data_type());
    wide
}

/// The values as text.
pub(crate) fn as_text(values: &ArrayRef) -> ArrayRef {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options).unwrap();
    let texts = (0..values.len()).map(|row| (!values.is_null(row)).then(|| formatter.value(row).to_string()));
    Arc::new(texts.collect::<StringArray>())
}

/// What the log of a SQL source shows: the keywords and names in its statements.
pub(crate) fn shown_in_sql(log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let said = |words: &[&str]| {
        let mut statements = log.iter().filter(|event| event.event == "begin");
        statements.any(|event| words.iter().any(|word| event.text.contains(word)))
    };
    let found = match evidence {
        Evidence::Operator("filter") => said(&["WHERE ", "HAVING "]),
        Evidence::Operator("join") => said(&["JOIN ", "EXISTS ", " IN ("]),
        Evidence::Operator("aggregate") => said(&[
            "GROUP BY ",
            "count(",
            "sum(",
            "min(",
            "max(",
            "avg(",
            "total(",
            "bool_and(",
            "bool_or(",
            "stddev",
            "var_",
            "DISTINCT ",
        ]),
        Evidence::Operator("window") => said(&[" OVER ("]),
        Evidence::Operator("sort") => said(&["ORDER BY "]),
        Evidence::Operator("limit") => said(&["LIMIT ", "OFFSET ", "FETCH FIRST ", "TOP "]),
        Evidence::Operator("union") => said(&["UNION ALL "]),
        Evidence::Operator("keys") => said(&[" IN (", "ANY(", "VALUES"]),
        // Any expression will do: what it is is told by the rows.
        Evidence::Operator(_) => said(&["SELECT "]),
        Evidence::Column { column, .. } => said(&[&quoted(column)]),
        Evidence::Table(table) => said(&[&quoted(table)]),
    };
    let statements: Vec<&str> = log.iter().map(|event| event.text.as_str()).filter(|text| !text.is_empty()).collect();
    if found { Ok(()) } else { Err(format!("the log does not show {evidence:?}: {statements:?}")) }
}
