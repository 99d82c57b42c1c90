use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type};
use rusqlite::{Connection, Statement};

/// A SQLite file that is open for writing.
#[derive(Debug)]
pub struct SqliteFile {
    path: PathBuf,
    connection: Connection,
}

impl SqliteFile {
    pub(crate) fn create(path: PathBuf) -> Self {
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        // Orphans are what many tests are about.
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        Self { path, connection }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) -> &Self {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{error} in {:.300}", sql));
        self
    }

    /// Runs statements; for those that may find the file locked.
    ///
    /// # Errors
    /// What SQLite says, after five seconds where the file is locked.
    pub fn try_execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }

    /// Makes a table of batches: decimals are declared with their precision and scale, and dates and timestamps are ISO text.
    pub fn table(&self, name: &str, primary_key: &[&str], batches: &[RecordBatch]) -> &Self {
        let schema = batches.first().expect("a table takes its columns from its first batch").schema();
        let mut parts: Vec<String> = schema.fields().iter().map(|field| declaration(field)).collect();
        if !primary_key.is_empty() {
            let key: Vec<String> = primary_key.iter().map(|column| quoted(column)).collect();
            parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        self.execute(&format!("CREATE TABLE {} ({})", quoted(name), parts.join(", ")));
        // The file is no use to anybody when loading it fails.
        self.execute("PRAGMA synchronous = OFF; BEGIN");
        let marks = vec!["?"; schema.fields().len()].join(", ");
        let insert = format!("INSERT INTO {} VALUES ({marks})", quoted(name));
        let mut insert = self.connection.prepare(&insert).unwrap();
        for batch in batches {
            let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
            for row in 0..batch.num_rows() {
                for (index, column) in columns.iter().enumerate() {
                    column.bind(row, index + 1, &mut insert);
                }
                insert.raw_execute().unwrap();
            }
        }
        self.execute("COMMIT")
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn declaration(field: &Field) -> String {
    let declared = match field.data_type() {
        DataType::Boolean => "BOOLEAN".to_owned(),
        integer if integer.is_integer() => "INTEGER".to_owned(),
        float if float.is_floating() => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BLOB".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        other => panic!("a SQLite fixture has no type for {other}"),
    };
    format!("{} {declared}{}", quoted(field.name()), if field.is_nullable() { "" } else { " NOT NULL" })
}

/// A column in the form in which its values are bound.
enum Column {
    Integer(ArrayRef),
    Float(ArrayRef),
    Text(ArrayRef),
    Bytes(ArrayRef),
    /// With ten to the power of the scale.
    Decimal(ArrayRef, f64),
}

impl Column {
    fn of(array: &ArrayRef) -> Self {
        let to = |data_type: &DataType| cast(array, data_type).unwrap();
        match array.data_type() {
            DataType::Boolean => Self::Integer(to(&DataType::Int64)),
            integer if integer.is_integer() => Self::Integer(to(&DataType::Int64)),
            float if float.is_floating() => Self::Float(to(&DataType::Float64)),
            // Up to fifteen digits the quotient is the double that SQLite itself would read from the text.
            DataType::Decimal128(..=15, scale) => Self::Decimal(array.clone(), 10_f64.powi(i32::from(*scale))),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytes(to(&DataType::Binary)),
            _ => Self::Text(to(&DataType::Utf8)),
        }
    }

    fn bind(&self, row: usize, at: usize, insert: &mut Statement<'_>) {
        let (Self::Integer(array)
        | Self::Float(array)
        | Self::Text(array)
        | Self::Bytes(array)
        | Self::Decimal(array, _)) = self;
        if array.is_null(row) {
            insert.raw_bind_parameter(at, rusqlite::types::Null).unwrap();
            return;
        }
        match self {
            Self::Integer(array) => insert.raw_bind_parameter(at, array.as_primitive::<Int64Type>().value(row)),
            Self::Float(array) => insert.raw_bind_parameter(at, array.as_primitive::<Float64Type>().value(row)),
            Self::Text(array) => insert.raw_bind_parameter(at, array.as_string::<i32>().value(row)),
            Self::Bytes(array) => insert.raw_bind_parameter(at, array.as_binary::<i32>().value(row)),
            Self::Decimal(array, unit) => {
                insert.raw_bind_parameter(at, array.as_primitive::<Decimal128Type>().value(row) as f64 / unit)
            }
        }
        .unwrap();
    }
}
