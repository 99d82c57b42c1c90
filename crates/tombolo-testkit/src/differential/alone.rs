use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, SchemaRef, TimeUnit};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::generate::TableData;

/// After so many thousand steps of SQLite's machine a query is given up: a join without an index takes for ever.
const MOST_STEPS: u32 = 20_000;

/// SQLite as an engine of its own over all tables: other people's code for everything but the text of the query.
///
/// Its tables have the types that it compares as DataFusion does: dates and timestamps are text of one length, decimals and
/// floats are REAL, truth values 0 and 1.
#[derive(Debug)]
pub(super) struct Alone(Mutex<Connection>);

/// Why SQLite gave no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It takes too long.
    TooLong,
    /// What it says.
    Fails(String),
    /// What of its answer does not have the wanted type.
    Wrong(String),
}

impl Alone {
    /// Loads all tables.
    pub(super) fn new(tables: &[TableData]) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "case_sensitive_like", true).unwrap();
        for table in tables {
            load(&connection, table);
        }
        Self(Mutex::new(connection))
    }

    /// Asks a query whose answer has these columns.
    ///
    /// # Errors
    /// Why there is no answer of these types.
    pub(super) fn ask(&self, sql: &str, wanted: &SchemaRef) -> Result<RecordBatch, Unanswered> {
        let connection = &mut *self.0.lock().unwrap();
        let mut steps = 0;
        connection
            .progress_handler(
                1000,
                Some(move || {
                    steps += 1;
                    steps > MOST_STEPS
                }),
            )
            .unwrap();
        let rows = rows(connection, sql, wanted.fields().len());
        connection.progress_handler(0, None::<fn() -> bool>).unwrap();
        let rows = rows.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => Unanswered::TooLong,
            _ => Unanswered::Fails(error.to_string()),
        })?;
        let columns = wanted.fields().iter().enumerate().map(|(index, field)| {
            let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
            array(field, &values)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, String>>().map_err(Unanswered::Wrong)?;
        let fields: Vec<Field> = wanted
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, array)| Field::new(field.name(), array.data_type().clone(), true))
            .collect();
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), columns, &options)
            .map_err(|error| Unanswered::Wrong(error.to_string()))
    }
}

fn rows(connection: &Connection, sql: &str, width: usize) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| (0..width).map(|index| row.get(index)).collect())?;
    rows.collect()
}

fn load(connection: &Connection, table: &TableData) {
    let schema = table.batches[0].schema();
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", quoted(field.name()), affinity(field.data_type())))
        .collect();
    connection.execute_batch(&format!("CREATE TABLE {} ({})", quoted(&table.name), columns.join(", "))).unwrap();
    let marks = vec!["?"; columns.len()].join(", ");
    let mut insert = connection.prepare(&format!("INSERT INTO {} VALUES ({marks})", quoted(&table.name))).unwrap();
    for batch in &table.batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|array| value(array, row));
            insert.execute(rusqlite::params_from_iter(values)).unwrap();
        }
    }
}

fn affinity(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "INTEGER",
        integer if integer.is_integer() => "INTEGER",
        DataType::Decimal128(..) => "REAL",
        float if float.is_floating() => "REAL",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BLOB",
        _ => "TEXT",
    }
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let one = array.slice(row, 1);
    let to = |data_type: &DataType| cast(&one, data_type).unwrap();
    match array.data_type() {
        DataType::Boolean => Value::Integer(i64::from(one.as_boolean().value(0))),
        integer if integer.is_integer() => Value::Integer(to(&DataType::Int64).as_primitive::<Int64Type>().value(0)),
        float if float.is_floating() => Value::Real(to(&DataType::Float64).as_primitive::<Float64Type>().value(0)),
        DataType::Decimal128(_, scale) => {
            Value::Real(one.as_primitive::<Decimal128Type>().value(0) as f64 / 10_f64.powi(i32::from(*scale)))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            Value::Blob(to(&DataType::Binary).as_binary::<i32>().value(0).to_vec())
        }
        DataType::Timestamp(_, None) => {
            let text = to(&DataType::Timestamp(TimeUnit::Microsecond, None));
            let text = cast(&text, &DataType::Utf8).unwrap().as_string::<i32>().value(0).replace('T', " ");
            let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
            Value::Text(format!("{seconds}.{fraction:0<6}"))
        }
        _ => Value::Text(to(&DataType::Utf8).as_string::<i32>().value(0).to_owned()),
    }
}

/// A column of the wanted type, if the values have it.
fn array(field: &Field, values: &[&Value]) -> Result<ArrayRef, String> {
    let wrong = |value: &Value| format!("column {} has {value:?}, which is no {}", field.name(), field.data_type());
    let integers = || {
        let integer = |value: &&Value| match value {
            Value::Null => Ok(None),
            Value::Integer(value) => Ok(Some(*value)),
            other => Err(wrong(other)),
        };
        values.iter().map(integer).collect::<Result<Vec<Option<i64>>, String>>()
    };
    let reals = || {
        let real = |value: &&Value| match value {
            Value::Null => Ok(None),
            Value::Integer(value) => Ok(Some(*value as f64)),
            Value::Real(value) => Ok(Some(*value)),
            other => Err(wrong(other)),
        };
        values.iter().map(real).collect::<Result<Vec<Option<f64>>, String>>()
    };
    let to = |array: ArrayRef| cast(&array, field.data_type()).map_err(|error| error.to_string());
    match field.data_type() {
        DataType::Null => to(Arc::new(Int64Array::from(integers()?))),
        DataType::Boolean => {
            let truths: Vec<Option<bool>> =
                integers()?.into_iter().map(|value| value.map(|value| value != 0)).collect();
            Ok(Arc::new(arrow::array::BooleanArray::from(truths)))
        }
        integer if integer.is_integer() => to(Arc::new(Int64Array::from(integers()?))),
        float if float.is_floating() => to(Arc::new(arrow::array::Float64Array::from(reals()?))),
        DataType::Decimal128(precision, scale) => {
            let scale_of_ten = u32::try_from(*scale).map_err(|error| error.to_string())?;
            let unscaled = |value: &&Value| match value {
                Value::Null => Ok(None),
                Value::Integer(value) => Ok(Some(i128::from(*value) * 10_i128.pow(scale_of_ten))),
                Value::Real(value) => Ok(Some((value * 10_f64.powi(i32::from(*scale))).round() as i128)),
                other => Err(wrong(other)),
            };
            let array: Decimal128Array =
                values.iter().map(unscaled).collect::<Result<Vec<_>, String>>()?.into_iter().collect();
            Ok(Arc::new(array.with_precision_and_scale(*precision, *scale).map_err(|error| error.to_string())?))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = values.iter().map(|value| match value {
                Value::Null => Ok(None),
                Value::Blob(bytes) => Ok(Some(bytes.as_slice())),
                other => Err(wrong(other)),
            });
            Ok(Arc::new(arrow::array::BinaryArray::from(bytes.collect::<Result<Vec<_>, String>>()?)))
        }
        _ => {
            let texts = values.iter().map(|value| match value {
                Value::Null => Ok(None),
                Value::Text(text) => Ok(Some(text.as_str())),
                other => Err(wrong(other)),
            });
            to(Arc::new(StringArray::from(texts.collect::<Result<Vec<_>, String>>()?)))
        }
    }
}
