//! Tables that DataFusion's own test program registers for some of its files, since no statement can make them, and files that
//! can be derived from others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StructArray, TimestampNanosecondArray,
    UInt32Array, UnionArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, UInt32Type, UnionFields};
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
        "range_partitioning.slt" => return ranges(context).await,
        "union_function.slt" => return union_column(context),
        "aggregate.slt" => return union_beside_groups(context),
        "dictionary_struct.slt" => return dictionaries_of_structs(context),
        _ => &[],
    };
    for sql in statements {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
}

/// Tables of the same rows, which there are split into ranges in several ways, and one of other rows.
async fn ranges(context: &SessionContext) {
    let names = ["", "_shifted", "_narrow"]
        .map(|way| format!("range_partitioned{way}"))
        .into_iter()
        .chain(["", "_shifted"].map(|way| format!("unbounded_range_like{way}")));
    let tables = names
        .map(|name| (name, "(1, 1), (5, 2), (10, 1), (15, 2), (20, 1), (25, 2), (30, 1), (35, 2)"))
        .chain([("range_partitioned_sparse".to_owned(), "(5, 2), (8, 3), (10, 1), (20, 1), (30, 1), (40, 4)")]);
    for (name, rows) in tables {
        let sql = format!(
            "CREATE TABLE {name} AS SELECT arrow_cast(column1, 'Int32') AS range_key, \
             arrow_cast(column2, 'Int32') AS non_range_key, arrow_cast(column1 * 10, 'Int32') AS value FROM (VALUES {rows})"
        );
        context.sql(&sql).await.unwrap().collect().await.unwrap();
    }
}

/// A table of one column that is an integer in some rows and a text in others.
fn union_column(context: &SessionContext) {
    let fields = [Field::new("int", DataType::Int32, false), Field::new("string", DataType::Utf8, false)];
    let column = UnionArray::try_new(
        UnionFields::try_new([3, 1], fields).unwrap(),
        vec![3, 1, 3, 3, 1, 3].into(),
        None,
        vec![
            Arc::new(Int32Array::from(vec![1, 2, 3, 1, 5, 3])),
            Arc::new(StringArray::from(vec!["foo", "bar", "baz", "qux", "bar", "quux"])),
        ],
    );
    table(context, "union_table", vec![("union_column", false, Arc::new(column.unwrap()))]);
}

/// The same beside groups, with nulls in both.
fn union_beside_groups(context: &SessionContext) {
    let fields = [Field::new("i", DataType::Int32, true), Field::new("s", DataType::Utf8, true)];
    let column = UnionArray::try_new(
        UnionFields::try_new([0, 1], fields).unwrap(),
        vec![0, 0, 1, 1, 0, 0, 1, 0].into(),
        Some(vec![0, 1, 0, 1, 2, 3, 2, 4].into()),
        vec![
            Arc::new(Int32Array::from(vec![Some(1), Some(1), None, None, Some(5)])),
            Arc::new(StringArray::from(vec![Some("x"), Some("y"), None])),
        ],
    );
    let groups = Int32Array::from(vec![1, 1, 1, 2, 2, 3, 3, 4]);
    let columns: Vec<Column<'_>> = vec![("g", false, Arc::new(groups)), ("u", false, Arc::new(column.unwrap()))];
    table(context, "approx_distinct_union_test", columns);
}

/// Tables with structs by number, and one of them with the same structs as they are.
fn dictionaries_of_structs(context: &SessionContext) {
    let structs = |names: &[&str], ids: &[i32]| -> ArrayRef {
        let fields = vec![Field::new("name", DataType::Utf8, false), Field::new("id", DataType::Int32, false)];
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(names.to_vec())), Arc::new(Int32Array::from(ids.to_vec()))];
        Arc::new(StructArray::new(fields.into(), columns, None))
    };
    let by_number = |keys: Vec<Option<u32>>, values: ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<UInt32Type>::try_new(UInt32Array::from(keys), values).unwrap())
    };
    let keys = [0, 1, 2, 0, 1].map(Some).to_vec();
    let numbered = by_number(keys, structs(&["Alice", "Bob", "Carol"], &[1, 2, 3]));
    let plain = structs(&["Alice", "Bob", "Carol", "Alice", "Bob"], &[1, 2, 3, 1, 2]);
    table(context, "dict_struct_table", vec![("dict_struct", false, numbered), ("plain_struct", false, plain)]);
    let nullable = by_number(vec![Some(0), None, Some(1), None], structs(&["X", "Y"], &[10, 20]));
    table(context, "dict_struct_nullable", vec![("ds", true, nullable)]);
}

/// A column of a table: its name, whether it may be null, and its values.
type Column<'a> = (&'a str, bool, ArrayRef);

fn table(context: &SessionContext, name: &str, columns: Vec<Column<'_>>) {
    let field = |(name, nullable, values): &Column<'_>| Field::new(*name, values.data_type().clone(), *nullable);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, _, values)| values).collect();
    context.register_batch(name, RecordBatch::try_new(Arc::new(schema), arrays).unwrap()).unwrap();
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
