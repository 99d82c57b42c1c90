use arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use super::dialect::{Comparison, Dialect, literal_value};
use super::value::{Form, Shipped};

/// How the types of a SQL source are carried, and how values are sent to it: what the reference prints. It is made by the code that
/// decides, and proved on the servers that are there.
#[derive(Debug, Clone)]
pub struct TypeTables {
    /// The kind of source.
    pub kind: &'static str,
    /// The name as people write it.
    pub title: &'static str,
    /// From the source.
    pub native: Vec<NativeType>,
    /// To the source.
    pub sent: Vec<SentValue>,
}

/// A type of a source.
#[derive(Debug, Clone)]
pub struct NativeType {
    /// As a column is declared with it.
    pub declared: &'static str,
    /// What it is carried as. Where there are several, the first that all values of a column are.
    pub carried: Vec<DataType>,
    /// What is to be said beside.
    pub note: &'static str,
    /// The only servers that have it; empty where all do.
    pub only: &'static str,
    /// An option of the source that makes it so, with its value.
    pub option: Option<(&'static str, &'static str)>,
    /// What must be there before a column can have this type.
    pub setup: &'static str,
    /// Values that it has and that cannot be carried: as the source's language writes them, and what the error says of them.
    pub refused: &'static [(&'static str, &'static str)],
}

impl NativeType {
    /// A type that all servers have and all values of which are carried.
    pub(crate) fn new(declared: &'static str, carried: Vec<DataType>) -> Self {
        Self { declared, carried, note: "", only: "", option: None, setup: "", refused: &[] }
    }
}

/// A value of an Arrow type on its way to a source.
#[derive(Debug, Clone)]
pub struct SentValue {
    /// The type, and what is special about the value.
    pub name: String,
    /// The value.
    pub value: ScalarValue,
    /// Its text in a statement, or why there is none.
    pub literal: Shipped<String>,
    /// Its text where a column is compared with it, as a filter or a key.
    pub compared: Shipped<String>,
}

/// How values of each type are sent, and further ones that meet columns of a form of their own.
pub(crate) fn sent_values(dialect: &dyn Dialect, forms: Vec<(&str, ScalarValue, Form)>) -> Vec<SentValue> {
    let natural = samples().into_iter().map(|(special, value)| {
        let special = if special.is_empty() { String::new() } else { format!(", {special}") };
        (format!("{}{special}", value.data_type()), value, Form::NATURAL)
    });
    let forms = forms
        .into_iter()
        .map(|(column, value, form)| (format!("{} for a column of {column}", value.data_type()), value, form));
    let sent = |(name, value, form): (String, ScalarValue, Form)| {
        let printed = literal_value(dialect, &value, form);
        let compared = printed.as_ref().map_err(Clone::clone);
        let compared = compared.and_then(|printed| dialect.comparable(printed, Comparison::Equality));
        SentValue { name, value, literal: printed.map(|printed| printed.sql), compared }
    };
    natural.chain(forms).map(sent).collect()
}

/// A value of each type that there is in plans, and those that not every source has.
fn samples() -> Vec<(&'static str, ScalarValue)> {
    // 2024-02-29, and half past one on that day.
    let (days, micros) = (19_782, 1_709_170_200_000_000);
    let list = ScalarValue::new_list_nullable(&[ScalarValue::from(1_i64)], &DataType::Int64);
    vec![
        ("", ScalarValue::from(true)),
        ("", ScalarValue::from(-8_i8)),
        ("", ScalarValue::from(-16_i16)),
        ("", ScalarValue::from(-32_i32)),
        ("", ScalarValue::from(-64_i64)),
        ("the least", ScalarValue::from(i64::MIN)),
        ("null", ScalarValue::Int64(None)),
        ("", ScalarValue::from(64_u64)),
        ("the greatest", ScalarValue::from(u64::MAX)),
        ("", ScalarValue::from(0.1_f32)),
        ("", ScalarValue::from(0.1_f64)),
        ("not a number", ScalarValue::from(f64::NAN)),
        ("infinite", ScalarValue::from(f64::INFINITY)),
        ("negative zero", ScalarValue::from(-0.0_f64)),
        ("", ScalarValue::Decimal128(Some(-1050), 9, 2)),
        ("", ScalarValue::Decimal256(Some(i256::from_i128(1050)), 50, 2)),
        ("with 40 digits after the point", ScalarValue::Decimal256(Some(i256::from_i128(1)), 50, 40)),
        ("", ScalarValue::from("it's")),
        ("with a NUL character", ScalarValue::from("a\0")),
        ("", ScalarValue::Binary(Some(vec![0, 255]))),
        ("", ScalarValue::Date32(Some(days))),
        ("of the year 10000", ScalarValue::Date32(Some(2_932_897))),
        ("", ScalarValue::Time64Microsecond(Some(5_400_000_000))),
        ("", ScalarValue::TimestampMicrosecond(Some(micros), None)),
        ("", ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))),
        ("with nanoseconds", ScalarValue::TimestampNanosecond(Some(micros * 1000 + 1), None)),
        ("", ScalarValue::new_interval_mdn(0, 1, 0)),
        ("", ScalarValue::List(list)),
    ]
}
