//! Tables to make queries over: the fixtures, a very small TPC-H, and rows at random.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};

use super::catalog::TableData;
use super::random::Random;
use crate::fixtures;
use crate::tpch;

/// A set of tables that have keys in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    Fixtures,
    Tpch,
    /// Rows that each seed makes anew.
    Rows,
}

/// The tables of a collection.
pub fn tables(collection: Collection, seed: u64) -> Vec<TableData> {
    match collection {
        Collection::Fixtures => fixture_tables(),
        Collection::Tpch => tpch_tables(),
        Collection::Rows => row_tables(&mut Random::new(seed)),
    }
}

/// Which columns of the fixtures hold keys of which domain.
const FIXTURE_KEYS: &[(&str, &str, &str)] = &[
    ("customers", "id", "customer"),
    ("customers", "referrer", "customer"),
    ("customers", "region", "word"),
    ("customers", "since", "day"),
    ("orders", "id", "order"),
    ("orders", "customer_id", "customer"),
    ("orders", "quantity", "small"),
    ("orders", "status", "status"),
    ("items", "order_id", "order"),
    ("items", "line", "small"),
    ("items", "sku", "sku"),
    ("products", "sku", "sku"),
    ("products", "stock", "small"),
    ("visits", "id", "customer"),
    ("visits", "page", "word"),
    ("visits", "day", "day"),
    ("pairs", "k", "small"),
    ("pairs", "label", "word"),
    ("people", "id", "person"),
    ("people", "boss", "person"),
    ("truths", "id", "person"),
    ("ties", "id", "customer"),
    ("ties", "k", "small"),
    ("ties", "word", "word"),
    ("integers", "id", "person"),
    ("integers", "i32", "small"),
    ("texts", "t", "word"),
    ("texts", "lower_t", "word"),
    ("empty", "id", "customer"),
    ("odd columns", "Id", "person"),
];

/// Columns of extremes.
const FRAGILE: &[(&str, &str)] =
    &[("integers", "i8"), ("integers", "i16"), ("integers", "i32"), ("integers", "i64"), ("products", "weight")];

fn fixture_tables() -> Vec<TableData> {
    let names = fixtures::RELATIONS.iter().chain(&["integers", "odd columns", "texts"]);
    let mut tables: Vec<TableData> = names
        .map(|name| {
            let fixture = fixtures::named(name);
            TableData {
                name: (*name).to_owned(),
                batches: fixture.batches.clone(),
                key: fixture.primary_key.iter().map(|&key| key.to_owned()).collect(),
                domains: Vec::new(),
                fragile: Vec::new(),
            }
        })
        .collect();
    for table in &mut tables {
        let keys = FIXTURE_KEYS.iter().filter(|(name, ..)| *name == table.name);
        table.domains = keys.map(|(_, column, domain)| ((*column).to_owned(), (*domain).to_owned())).collect();
        let fragile = FRAGILE.iter().filter(|(name, _)| *name == table.name);
        table.fragile = fragile.map(|(_, column)| (*column).to_owned()).collect();
    }
    tables
}

/// The first rows of each table at a small scale: many of their keys are orphans.
fn tpch_tables() -> Vec<TableData> {
    let keys = ["custkey", "orderkey", "suppkey", "partkey", "nationkey", "regionkey"];
    tpch::tables(0.001)
        .into_iter()
        .map(|table| {
            let schema = table.batches[0].schema();
            let whole = concat_batches(&schema, &table.batches).unwrap();
            let rows = match table.name {
                "lineitem" => 150,
                "orders" => 90,
                "customer" | "partsupp" => 60,
                _ => 30,
            };
            let whole = whole.slice(0, rows.min(whole.num_rows()));
            let half = whole.num_rows() / 2;
            let domains = schema.fields().iter().filter_map(|field| {
                let domain = keys.iter().find(|key| field.name().ends_with(*key))?;
                Some((field.name().clone(), (*domain).to_owned()))
            });
            TableData {
                name: table.name.to_owned(),
                key: table.primary_key.iter().map(|&key| key.to_owned()).collect(),
                domains: domains.collect(),
                fragile: Vec::new(),
                batches: vec![whole.slice(0, half), whole.slice(half, whole.num_rows() - half)],
            }
        })
        .collect()
}

const CODES: &[&str] =
    &["a", "A", "ab", "b", "", "a ", " a", "ä", "Ä", "é%", "a_b", "a\\b", "123", "Zürich", "🦀", "%"];
/// Microseconds from 1970 of the first of January 2024.
const NEW_YEAR: i64 = 1_704_067_200_000_000;

fn row_tables(random: &mut Random) -> Vec<TableData> {
    let sizes = [
        ("alpha_1", 40, true),
        ("beta_2", 28, true),
        ("gamma_3", 24, false),
        ("delta_4", 9, true),
        ("none_5", 0, true),
    ];
    sizes.map(|(name, rows, has_key)| row_table(random, name, rows, has_key)).into()
}

fn row_table(random: &mut Random, name: &str, rows: usize, has_key: bool) -> TableData {
    let nulls = *random.pick(&[0, 5, 20]);
    // Each column is drawn by itself, so that another number of columns leaves the rest as they are.
    let mut column = |values: &mut dyn FnMut(&mut Random) -> i64| -> Vec<Option<i64>> {
        let mut random = Random::new(random.bits());
        (0..rows).map(|_| if random.chance(nulls) { None } else { Some(values(&mut random)) }).collect()
    };
    let k = column(&mut |random| random.between(0, 7));
    let j = column(&mut |random| *random.pick(&[-3, 0, 1, 2, 2, 7, 12, 40]));
    let codes = column(&mut |random| random.between(0, 15));
    let words = column(&mut |random| random.between(0, 5));
    let halves = column(&mut |random| random.between(-8, 20));
    let odd_floats = column(&mut |random| random.between(0, 6));
    let cents = column(&mut |random| *random.pick(&[0, 1, -1, 1_230, 1_230, -99, 100_000, 99_999_999]));
    let days = column(&mut |random| random.between(19_723 - 6, 19_723 + 60));
    let seconds = column(&mut |random| random.between(-3, 200) * 3_600_000_000 / 2 + *random.pick(&[0, 0, 250_000, 1]));
    let truths = column(&mut |random| random.between(0, 1));
    let bytes = column(&mut |random| random.between(0, 4));
    let large = column(&mut |random| *random.pick(&[i64::MAX, i64::MIN, 9_007_199_254_740_993, 0, 1]));
    let text = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(StringArray::from_iter(values.into_iter().map(|value| value.map(|value| CODES[value as usize]))))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(1..=rows as i64))),
        ("k", Arc::new(Int64Array::from(k))),
        ("j", Arc::new(Int64Array::from(j))),
        ("code", text(codes)),
        ("word_1", text(words)),
        (
            "f",
            Arc::new(halves.into_iter().map(|value| value.map(|value| value as f64 / 4.0)).collect::<Float64Array>()),
        ),
        (
            "rough_1",
            Arc::new(
                odd_floats
                    .into_iter()
                    .map(|value| value.map(|value| [0.1, 1e300, -1e300, 1.0 / 3.0, 0.0, 5e-324, 2.5][value as usize]))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "m",
            Arc::new(
                cents
                    .into_iter()
                    .map(|value| value.map(i128::from))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(days.into_iter().map(|value| value.map(|value| value as i32)).collect::<Date32Array>())),
        (
            "at",
            Arc::new(
                seconds
                    .into_iter()
                    .map(|value| value.map(|value| NEW_YEAR + value))
                    .collect::<TimestampMicrosecondArray>(),
            ),
        ),
        ("ok", Arc::new(truths.into_iter().map(|value| value.map(|value| value == 1)).collect::<BooleanArray>())),
        (
            "raw",
            Arc::new(
                bytes
                    .into_iter()
                    .map(|value| value.map(|value| [&b""[..], b"\0", b"a", b"\0\xff", b"ab"][value as usize]))
                    .collect::<BinaryArray>(),
            ),
        ),
        ("large_1", Arc::new(Int64Array::from(large))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), *name != "id")).collect();
    let arrays = columns.into_iter().map(|(_, values)| values).collect();
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    // Without a key whole rows are what windows are ordered by, and bytes cannot be.
    let kept = |index: &usize| has_key || !matches!(whole.schema().field(*index).name().as_str(), "id" | "raw");
    let whole = whole.project(&(0..whole.num_columns()).filter(kept).collect::<Vec<_>>()).unwrap();
    let half = rows / 3;
    let domains =
        [("k", "k"), ("j", "k"), ("id", "k"), ("code", "code"), ("word_1", "code"), ("day", "day"), ("ok", "ok")];
    TableData {
        name: name.to_owned(),
        batches: if rows < 2 { vec![whole] } else { vec![whole.slice(0, half), whole.slice(half, rows - half)] },
        key: if has_key { vec!["id".to_owned()] } else { Vec::new() },
        domains: domains.iter().map(|(column, domain)| ((*column).to_owned(), (*domain).to_owned())).collect(),
        fragile: vec!["rough_1".to_owned(), "large_1".to_owned()],
    }
}
