//! Tables that DataFusion's own test program registers for some of its files, since no statement can make them, and files that
//! can be derived from others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::prelude::SessionContext;

/// Registers the tables of a file.
pub(super) async fn register(context: &SessionContext, file: &str) {
    let statements: &[&str] = match file {
        "map.slt" => return with_map(context),
        "metadata.slt" | "arrow_field.slt" => return with_metadata(context),
        "cte.slt" => &[
            "CREATE SCHEMA strict_schema",
            "CREATE TABLE strict_schema.orders AS SELECT arrow_cast(column1, 'Int32') AS order_id FROM (VALUES (1), (2))",
        ],
        "joins.slt" => &["CREATE TABLE test_partition_table AS SELECT arrow_cast(0, 'UInt32') AS c1, \
                          arrow_cast(value, 'UInt64') AS c2, value % 2 = 0 AS c3 FROM generate_series(0, 10)"],
        "range_partitioning.slt" => {
            &["CREATE TABLE range_partitioned AS SELECT arrow_cast(column1, 'Int32') AS range_key, \
                                       arrow_cast(column2, 'Int32') AS non_range_key, \
                                       arrow_cast(column1 * 10, 'Int32') AS value \
                                       FROM (VALUES (1, 1), (5, 2), (10, 1), (15, 2), (20, 1), (25, 2), (30, 1), (35, 2))"]
        }
        _ => &[],
    };
    for sql in statements {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
}

/// A table without rows that has a map.
fn with_map(context: &SessionContext) {
    let entry = vec![Field::new("key", DataType::Int64, false), Field::new("value", DataType::Int64, true)];
    let entries = Arc::new(Field::new("entries", DataType::Struct(entry.into()), false));
    let fields = vec![
        Field::new("int_field", DataType::Int64, true),
        Field::new("map_field", DataType::Map(entries, false), true),
    ];
    context.register_batch("table_with_map", RecordBatch::new_empty(Arc::new(Schema::new(fields)))).unwrap();
}

/// Tables whose columns and schemas carry metadata.
fn with_metadata(context: &SessionContext) {
    let said = |text: &str| HashMap::from([("metadata_key".to_owned(), text.to_owned())]);
    let column = |name: &str, data_type: DataType, nullable: bool, text: &str, values: ArrayRef| {
        (Field::new(name, data_type, nullable).with_metadata(said(text)), values)
    };
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let time = 1_599_572_549_190_855_123;
    let texts = |values: [Option<&str>; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let columns = vec![
        column("id", DataType::Int32, true, "the id field", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        column("name", DataType::Utf8, true, "the name field", texts([None, Some("bar"), Some("baz")])),
        column("l_name", DataType::Utf8, true, "the l_name field", texts([None, Some("l_bar"), Some("l_baz")])),
        column(
            "ts",
            nanoseconds,
            false,
            "ts non-nullable field",
            Arc::new(TimestampNanosecondArray::from(vec![time; 3])),
        ),
        column(
            "nonnull_name",
            DataType::Utf8,
            false,
            "the nonnull_name field",
            texts([Some("no_foo"), Some("no_bar"), Some("no_baz")]),
        ),
    ];
    register_columns(context, "table_with_metadata", columns, said("the entire schema"));
    let integers = |name: &str, values: Vec<i32>| {
        vec![(Field::new(name, DataType::Int32, false), Arc::new(Int32Array::from(values)) as ArrayRef)]
    };
    register_columns(context, "larger_table", integers("a", (1..=10).collect()), said("left"));
    register_columns(context, "smaller_table", integers("b", vec![1]), said("right"));
}

fn register_columns(
    context: &SessionContext,
    table: &str,
    columns: Vec<(Field, ArrayRef)>,
    metadata: HashMap<String, String>,
) {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let schema = Arc::new(Schema::new(fields).with_metadata(metadata));
    context.register_batch(table, RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
}

/// Writes `aggregate_test_100_with_dates.csv`, which no registry has, from the file that it extends by two columns. What the
/// two hold is not known, so one date stands in all rows: the queries that name them do not pass, the many others can.
pub(super) fn with_dates(plain: &Path, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(plain).unwrap();
    let more = |(index, line): (usize, &str)| match index {
        0 => format!("{line},c14,c15\n"),
        _ => format!("{line},1970-01-01,1970-01-01T00:00:00\n"),
    };
    let path = folder.join("aggregate_test_100_with_dates.csv");
    std::fs::write(&path, text.lines().enumerate().map(more).collect::<String>()).unwrap();
    path
}

/// Writes `aggregate_simple.csv`, which no registry has. The answers of the files tell all of it: for each of the numbers from one
/// to five as many rows as it says, all alike.
pub(super) fn simple(folder: &Path) -> PathBuf {
    let rows = (1..=5).flat_map(|n| std::iter::repeat_n(format!("0.0000{n},0.00000000000{n},{}\n", n % 2 == 1), n));
    let path = folder.join("aggregate_simple.csv");
    std::fs::write(&path, std::iter::once("c1,c2,c3\n".to_owned()).chain(rows).collect::<String>()).unwrap();
    path
}
