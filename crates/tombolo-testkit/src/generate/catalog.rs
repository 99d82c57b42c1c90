//! What the generator knows of the tables: kinds, values to ask for, and which columns hold the same keys.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::tree::{Literal, Type};

/// How many values of a column are kept to ask for.
const SAMPLES: usize = 16;

/// A table of rows, not yet in any source.
#[derive(Debug, Clone)]
pub struct TableData {
    /// Its name, which no other table has.
    pub name: String,
    /// Its rows, at least one batch.
    pub batches: Vec<RecordBatch>,
    /// The columns that together are unique and never null; empty where there are none.
    pub key: Vec<String>,
    /// Columns with the name of the domain that their keys are of: columns of one domain are joined.
    pub domains: Vec<(String, String)>,
    /// Columns whose values are only compared and put out, since what is computed of them could overflow or depend on the order of
    /// rows.
    pub fragile: Vec<String>,
}

/// A table as queries name it.
#[derive(Debug, Clone)]
pub struct Table {
    pub source: String,
    pub name: String,
    pub rows: usize,
    pub columns: Vec<Column>,
    /// Positions of the key's columns.
    pub key: Vec<usize>,
}

/// A column that queries can name.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Type,
    pub samples: Vec<Literal>,
    pub domain: Option<String>,
    /// Whether its values are only compared and put out: what is computed of them could overflow, or depend on the order of rows.
    pub fragile: bool,
    /// How many different values there are.
    pub distinct: usize,
}

impl TableData {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The table without some of its rows, in one batch.
    #[must_use]
    pub fn without(&self, from: usize, count: usize) -> Self {
        let schema = self.batches[0].schema();
        let whole = arrow::compute::concat_batches(&schema, &self.batches).unwrap();
        let end = (from + count).min(whole.num_rows());
        let parts = [whole.slice(0, from), whole.slice(end, whole.num_rows() - end)];
        Self { batches: vec![arrow::compute::concat_batches(&schema, &parts).unwrap()], ..self.clone() }
    }

    /// The table in a source. Columns of kinds that the generator does not know are left out.
    pub fn placed(&self, source: &str) -> Table {
        let schema = self.batches[0].schema();
        let whole = arrow::compute::concat_batches(&schema, &self.batches).unwrap();
        let mut columns = Vec::new();
        for (field, array) in schema.fields().iter().zip(whole.columns()) {
            let Some(kind) = Type::of(field.data_type()) else { continue };
            let domain = self.domains.iter().find(|(column, _)| column == field.name());
            let (samples, distinct) = samples(kind, array);
            columns.push(Column {
                name: field.name().clone(),
                kind,
                samples,
                domain: domain.map(|(_, domain)| domain.clone()),
                fragile: self.fragile.contains(field.name()),
                distinct,
            });
        }
        let key = self.key.iter().filter_map(|key| columns.iter().position(|column| column.name == *key)).collect();
        Table { source: source.to_owned(), name: self.name.clone(), rows: self.rows(), columns, key }
    }
}

impl Type {
    /// The kind of an Arrow type, where the generator has one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            integer if integer.is_signed_integer() => Self::Int,
            DataType::Float64 => Self::Float,
            DataType::Decimal128(..) => Self::Decimal,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytes,
            _ => return None,
        })
    }
}

/// Literals of some of a column's values, and how many different ones there are.
fn samples(kind: Type, array: &ArrayRef) -> (Vec<Literal>, usize) {
    let plain = match kind {
        Type::Timestamp => cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap(),
        Type::Bytes => cast(array, &DataType::Binary).unwrap(),
        _ => array.clone(),
    };
    let formatter = ArrayFormatter::try_new(&plain, &FormatOptions::default()).unwrap();
    let (mut seen, mut samples) = (BTreeSet::new(), Vec::new());
    for row in 0..plain.len() {
        if plain.is_null(row) || !seen.insert(formatter.value(row).to_string()) || samples.len() == SAMPLES {
            continue;
        }
        samples.extend(literal(kind, &plain, row, &formatter.value(row).to_string()));
    }
    (samples, seen.len())
}

/// The literal of a value, where there is one that all engines read alike.
fn literal(kind: Type, array: &ArrayRef, row: usize, text: &str) -> Option<Literal> {
    Some(match kind {
        Type::Bool => Literal::new(text.to_uppercase()),
        Type::Int if text.len() < 18 => Literal::new(negative(text)),
        // The least integer is no literal: its sign is an operator on a number that is too large.
        Type::Int => Literal::with_alone(format!("CAST('{text}' AS BIGINT)"), format!("CAST('{text}' AS INTEGER)")),
        Type::Float => float(array.as_primitive::<Float64Type>().value(row)),
        Type::Decimal => {
            let DataType::Decimal128(precision, scale) = array.data_type() else { return None };
            Literal::with_alone(format!("CAST('{text}' AS DECIMAL({precision}, {scale}))"), negative(text))
        }
        Type::Text if text.contains('\0') => return None,
        Type::Text => Literal::new(format!("'{}'", text.replace('\'', "''"))),
        // Years of four digits only, and those that nanoseconds reach, in which literals are typed.
        Type::Date if text.len() == 10 => Literal::with_alone(format!("DATE '{text}'"), format!("'{text}'")),
        Type::Timestamp if matches!(&text[..2], "19" | "20") => timestamp(text)?,
        Type::Date | Type::Timestamp => return None,
        Type::Bytes => {
            let bytes = array.as_binary::<i32>().value(row);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            Literal::new(format!("X'{digits}'"))
        }
    })
}

fn negative(text: &str) -> String {
    if text.starts_with('-') { format!("({text})") } else { text.to_owned() }
}

/// A float as a literal; those that are no numbers are casts, which SQLite does not know.
pub(super) fn float(value: f64) -> Literal {
    if value.is_finite() && !(value == 0.0 && value.is_sign_negative()) {
        Literal::new(negative(&format!("{value:?}")))
    } else {
        Literal { text: format!("CAST('{value}' AS DOUBLE)"), alone: None }
    }
}

/// A timestamp of `YYYY-MM-DDTHH:MM:SS` with or without a fraction. SQLite alone has all of them with six digits.
pub(super) fn timestamp(text: &str) -> Option<Literal> {
    let text = text.replace('T', " ");
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    (seconds.len() == 19)
        .then(|| Literal::with_alone(format!("TIMESTAMP '{text}'"), format!("'{seconds}.{fraction:0<6}'")))
}
