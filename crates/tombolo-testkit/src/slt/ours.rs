//! Runs `.slt` files: statements with their answers, in the form of the `sqllogictest` crate.
//!
//! The types of columns are T text, I integers, R floats and decimals, B booleans, D dates, P timestamps, and ? the rest.
//! A null is `NULL` and an empty text `(empty)`. An error is written as `code: message`, and then ` (hint)` where it has one,
//! for `statement error` and `query error` to match.

use std::fmt;
use std::path::Path;

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use sqllogictest::{AsyncDB, ColumnType, DBOutput, Runner};
use tombolo_engine::Engine;

use crate::lab::{Answer, ask};

/// An engine as `sqllogictest` sees it.
#[derive(Debug)]
struct Session(Engine);

/// The kinds of column that a file can expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind(char);

/// An error in the words that a file matches.
#[derive(Debug)]
pub(super) struct Failure(tombolo_connector::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code().name(), self.0)?;
        match self.0.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        "TIRBDP?".contains(value).then_some(Self(value))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

fn kind(data_type: &DataType) -> Kind {
    Kind(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
        DataType::Boolean => 'B',
        DataType::Date32 | DataType::Date64 => 'D',
        DataType::Timestamp(..) => 'P',
        DataType::Decimal128(..) | DataType::Decimal256(..) => 'R',
        integer if integer.is_integer() => 'I',
        float if float.is_floating() => 'R',
        _ => '?',
    })
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let answer = ask(&self.0, sql).await.map_err(Failure)?;
        let types = answer.schema.fields().iter().map(|field| kind(field.data_type())).collect();
        Ok(DBOutput::Rows { types, rows: rows(&answer) })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "tombolo"
    }
}

fn rows(answer: &Answer) -> Vec<Vec<String>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in &answer.batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|array| (array, ArrayFormatter::try_new(array, &options).unwrap())).collect();
        for row in 0..batch.num_rows() {
            let cell = |(array, formatter): &(&arrow::array::ArrayRef, ArrayFormatter<'_>)| {
                let text = formatter.value(row).to_string();
                match text.as_str() {
                    _ if array.is_null(row) => "NULL".to_owned(),
                    "" => "(empty)".to_owned(),
                    _ => text.replace('\n', "\\n"),
                }
            };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    rows
}

/// Runs a file against an engine. With `TOMBOLO_SLT_UPDATE` set, writes what the engine answers into the file in place of
/// what it expects: for new statements, and to be read before it is committed.
///
/// # Errors
/// The first statement that does not answer as the file says, with the difference.
pub async fn run(engine: &Engine, file: &Path) -> Result<(), String> {
    let mut runner = Runner::new(|| {
        let session = Session(engine.clone());
        async { Ok(session) }
    });
    runner.with_column_validator(sqllogictest::strict_column_validator);
    if std::env::var_os("TOMBOLO_SLT_UPDATE").is_some() {
        let update = runner.update_test_file(
            file,
            " ",
            sqllogictest::default_validator,
            sqllogictest::default_normalizer,
            sqllogictest::strict_column_validator,
        );
        return update.await.map_err(|error| error.to_string());
    }
    runner.run_file_async(file).await.map_err(|error| error.to_string())
}
