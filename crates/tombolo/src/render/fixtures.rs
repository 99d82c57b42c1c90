//! Results, receipts and plans for the tests of the renderers.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, NullArray,
    RecordBatch, RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use tombolo_connector::Result;
use tombolo_engine::check::{
    ColumnReceipt, Explanation, JoinReceipt, JoinSideReceipt, LimitReceipt, NotPushed, PlanStep, Receipt, RemoteStep,
    StepActuals, SubQueryOutcome, SubQueryReceipt,
};

use super::{Buffer, Destination, Format, Summary, Terminal, writer};

/// The result as bytes of a format.
pub(crate) fn bytes_of(
    format: Format,
    destination: Destination,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Vec<u8> {
    try_bytes_of(format, destination, schema, batches).unwrap()
}

/// The result as bytes of a format, or why not.
pub(crate) fn try_bytes_of(
    format: Format,
    destination: Destination,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<u8>> {
    let buffer = Buffer::default();
    let mut writer = writer(format, Box::new(buffer.clone()), destination)?;
    writer.begin(schema)?;
    for batch in batches {
        writer.batch(batch)?;
    }
    writer.finish(&Summary::default())?;
    Ok(buffer.take())
}

/// One batch as text of a format, as it goes into a pipe.
pub(crate) fn text_of(format: Format, batch: &RecordBatch) -> String {
    let bytes = bytes_of(format, Destination::Stdout(Terminal::PLAIN), &batch.schema(), std::slice::from_ref(batch));
    String::from_utf8(bytes).unwrap()
}

/// One batch as the table of a terminal so wide.
pub(crate) fn table_of(batch: &RecordBatch, width: usize) -> String {
    let terminal = Terminal { interactive: true, width: Some(width), colors: false };
    let bytes = bytes_of(Format::Table, Destination::Stdout(terminal), &batch.schema(), std::slice::from_ref(batch));
    String::from_utf8(bytes).unwrap()
}

/// A batch of these columns, all nullable.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// Texts that break careless writers.
pub(crate) fn texts() -> RecordBatch {
    let values = [
        Some("plain"),
        None,
        Some(""),
        Some("NULL"),
        Some("a,b"),
        Some("say \"hi\""),
        Some("two\nlines\tand a tab"),
        Some("\u{1b}[31mred\u{1b}[0m \u{202e}txet"),
        Some("東京 naïve 👩‍👩‍👧"),
        Some("a|b *c* <script>alert('x')</script> [l](m)"),
        Some(" blanks "),
        Some("=1+1"),
    ];
    let numbers = Int64Array::from_iter_values(1..=values.len() as i64);
    batch(vec![("n", Arc::new(numbers)), ("text", Arc::new(StringArray::from(values.to_vec())))])
}

/// One row of values at the edges of their types, and one of nulls.
pub(crate) fn edges() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)]), None]);
    let inner: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("city", DataType::Utf8, true)), Arc::new(StringArray::from(vec![Some("a \"b\""), None]))),
        (
            Arc::new(Field::new("rate", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.5)])),
        ),
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("int", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("uint", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_123_456_789_i128), None])
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ),
        ),
        ("float", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None]))),
        ("yes", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(20_458), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_606_000_123_456), None]))),
        (
            "zoned",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_606_000_000_000), None]).with_timezone("+01:00")),
        ),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0, 255, 16]), None]))),
        ("list", Arc::new(list)),
        ("document", Arc::new(StructArray::from(inner))),
        ("nothing", Arc::new(NullArray::new(2))),
    ];
    batch(columns)
}

/// So many rows of a number and a text.
pub(crate) fn many_rows(rows: usize) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("row {row}"))))),
    ])
}

/// One row of so many columns.
pub(crate) fn many_columns(columns: usize) -> RecordBatch {
    let names: Vec<String> = (0..columns).map(|column| format!("column_{column}")).collect();
    batch(
        names
            .iter()
            .enumerate()
            .map(|(column, name)| (name.as_str(), Arc::new(Int64Array::from(vec![column as i64 * 1000])) as ArrayRef))
            .collect(),
    )
}

/// Rows without columns.
pub(crate) fn no_columns(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn side(table: &str, rows: u64, matched: Option<u64>) -> JoinSideReceipt {
    JoinSideReceipt { tables: vec![table.to_owned()], rows, matched, reduced: false }
}

/// A receipt that has something to say everywhere.
pub(crate) fn receipt() -> Receipt {
    Receipt {
        query_id: "01999f00-0000-7000-8000-000000000001".to_owned(),
        statement: "SELECT c.name, count(*) AS orders\nFROM shop.customers c JOIN files.orders o ON c.id = o.user_id\nGROUP BY c.name"
            .to_owned(),
        started_at: time("2026-01-31T10:00:00Z"),
        planning_ms: 11.6,
        elapsed_ms: 182.4,
        rows: 1_830,
        complete: true,
        limit: Some(LimitReceipt { limit: 10_000, reached: false }),
        sub_queries: vec![
            SubQueryReceipt {
                id: 1,
                source: "shop".to_owned(),
                kind: "sqlite".to_owned(),
                tables: vec!["main.customers".to_owned()],
                language: "sql".to_owned(),
                native: "SELECT \"id\", \"name\" FROM \"customers\"".to_owned(),
                outcome: SubQueryOutcome::Finished,
                rows: 2_000,
                bytes: 96_000,
                partitions: 1,
                streams: None,
                snapshot: None,
                keys: Vec::new(),
                first_row_ms: Some(1.2),
                elapsed_ms: Some(12.3),
                read_at: Some(time("2026-01-31T10:00:00.123Z")),
                not_pushed: vec![NotPushed {
                    operator: "filter".to_owned(),
                    part: "lower(name) LIKE 'a%'".to_owned(),
                    reason: "sqlite lowers only ASCII letters".to_owned(),
                    checked_again: false,
                }],
            },
            SubQueryReceipt {
                id: 2,
                source: "files".to_owned(),
                kind: "files".to_owned(),
                tables: vec!["files.orders".to_owned()],
                language: "scan".to_owned(),
                native: "orders.jsonl\ncolumns: user_id".to_owned(),
                outcome: SubQueryOutcome::Stopped,
                rows: 10_000,
                bytes: 1_234_567,
                partitions: 2,
                streams: None,
                snapshot: None,
                keys: Vec::new(),
                first_row_ms: None,
                elapsed_ms: Some(48.0),
                read_at: Some(time("2026-01-31T10:00:00.125Z")),
                not_pushed: Vec::new(),
            },
        ],
        columns: vec![
            ColumnReceipt {
                name: "name".to_owned(),
                data_type: "Utf8".to_owned(),
                origins: vec!["shop.main.customers.name".to_owned()],
                computed: false,
            },
            ColumnReceipt { name: "orders".to_owned(), data_type: "Int64".to_owned(), origins: Vec::new(), computed: true },
        ],
        joins: vec![JoinReceipt {
            id: 3,
            kind: "inner".to_owned(),
            condition: "c.id = o.user_id".to_owned(),
            left: side("shop.customers", 2_000, Some(1_830)),
            right: side("files.orders", 10_000, Some(9_812)),
            output_rows: 9_812,
            fan_out: Some(5.36),
            complete: true,
        }],
        peak_memory_bytes: Some(3_400_000),
        spilled_bytes: 0,
        notices: vec!["o.user_id is text and c.id is a number: both were compared as text.".to_owned()],
    }
}

/// A plan of two sources; with figures if it was analyzed.
pub(crate) fn explanation(analyzed: bool) -> Explanation {
    let actual = |rows, elapsed_ms| {
        analyzed.then(|| StepActuals { rows: Some(rows), elapsed_ms: Some(elapsed_ms), ..StepActuals::default() })
    };
    let read = |id, source: &str, kind: &str, table: &str, native: &str, rows, not_pushed| PlanStep {
        id,
        operator: "read".to_owned(),
        strategy: None,
        details: Vec::new(),
        remote: Some(RemoteStep {
            source: source.to_owned(),
            kind: kind.to_owned(),
            tables: vec![table.to_owned()],
            language: "sql".to_owned(),
            native: native.to_owned(),
            pushed: vec!["filter".to_owned(), "projection".to_owned()],
            not_pushed,
        }),
        estimated_rows: Some(rows),
        actual: actual(rows, 12.0),
        inputs: Vec::new(),
    };
    let customers = read(
        1,
        "shop",
        "sqlite",
        "customers",
        "SELECT \"id\", \"name\"\nFROM \"customers\"\nWHERE \"signed_up\" >= '2024-01-01'",
        2_000,
        vec![NotPushed {
            operator: "filter".to_owned(),
            part: "lower(name) LIKE '%\"a\"<b>|`x`%'".to_owned(),
            reason: "sqlite lowers only ASCII letters".to_owned(),
            checked_again: false,
        }],
    );
    let orders = read(2, "files", "files", "orders", "orders.jsonl, columns user_id", 10_000, Vec::new());
    let join = PlanStep {
        id: 3,
        operator: "join".to_owned(),
        strategy: Some("broadcast".to_owned()),
        details: vec![("inner".to_owned(), "c.id = o.user_id".to_owned())],
        remote: None,
        estimated_rows: Some(9_800),
        actual: actual(9_812, 31.0),
        inputs: vec![customers, orders],
    };
    let root = PlanStep {
        id: 4,
        operator: "aggregate".to_owned(),
        strategy: None,
        details: vec![("by".to_owned(), "name".to_owned()), ("computes".to_owned(), "count(*)".to_owned())],
        remote: None,
        estimated_rows: None,
        actual: actual(1_830, 4.0),
        inputs: vec![join],
    };
    Explanation {
        statement: "SELECT 1".to_owned(),
        analyzed,
        root,
        planning_ms: 11.6,
        elapsed_ms: analyzed.then_some(182.0),
        notices: vec!["o.user_id is text and c.id is a number: both were compared as text.".to_owned()],
        change: None,
    }
}
