//! Values as DataFusion's own `.slt` files write them.
//!
//! A null is `NULL` and an empty text `(empty)`; a text loses the line ends at its end, and a zero byte in it is `\0`. Floats are
//! written without an exponent, rounded to twelve places after the point, without zeros at the end; decimals too, but are never
//! rounded. Everything else is as Arrow displays it. A last cell of several lines makes rows of its own, as plans do.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::util::display::ArrayFormatter;
use datafusion::common::config::FormatOptions;
use sqllogictest::ColumnType;

/// The kinds of column that a file can expect: T text, I integers, R floats and decimals, B booleans, D dates and times of day,
/// P timestamps, and ? the rest, which any other letter stands for too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind(char);

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        Some(Self(if "TIRBDP".contains(value) { value } else { '?' }))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

/// The kinds of a schema's columns.
pub(super) fn kinds(schema: &Schema) -> Vec<Kind> {
    schema.fields().iter().map(|field| Kind(kind(field.data_type()))).collect()
}

fn kind(data_type: &DataType) -> char {
    match data_type {
        DataType::Boolean => 'B',
        integer if integer.is_integer() => 'I',
        number if number.is_numeric() => 'R',
        text if is_text(text) => 'T',
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
        DataType::Timestamp(..) => 'P',
        DataType::Dictionary(_, values) if is_text(values) => 'T',
        _ => '?',
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The rows of an answer.
pub(super) fn rows(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(cells).collect();
        for row in 0..batch.num_rows() {
            push(columns.iter().map(|column| column[row].clone()).collect(), &mut rows);
        }
    }
    rows
}

/// Adds a row, and one more for each line of its last cell where that has several.
fn push(mut row: Vec<String>, rows: &mut Vec<Vec<String>>) {
    match row.pop() {
        Some(last) if last.contains('\n') => {
            rows.push(row);
            for (index, line) in last.split('\n').enumerate() {
                let text = line.trim_start();
                let indent = "-".repeat(line.len() - text.len());
                rows.push(vec![format!("{:02}){indent}{text}", index + 1)]);
            }
        }
        last => {
            row.extend(last);
            rows.push(row);
        }
    }
}

/// The cells of one column.
fn cells(array: &ArrayRef) -> Vec<String> {
    let text: Vec<String> = match array.data_type() {
        DataType::Float16 | DataType::Float32 => {
            let array = cast(array, &DataType::Float32).unwrap();
            let values = array.as_primitive::<Float32Type>();
            values
                .iter()
                .map(|value| value.map_or_else(String::new, |value| float(value.into(), &value.to_string())))
                .collect()
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            values
                .iter()
                .map(|value| value.map_or_else(String::new, |value| float(value, &value.to_string())))
                .collect()
        }
        decimal if decimal.is_decimal() => displayed(array).iter().map(|text| trimmed(text)).collect(),
        text if is_text(text) => displayed(array).iter().map(|text| written(text)).collect(),
        DataType::Dictionary(_, values) => return cells(&cast(array, values).unwrap()),
        _ => displayed(array),
    };
    text.into_iter().enumerate().map(|(row, text)| if array.is_null(row) { "NULL".to_owned() } else { text }).collect()
}

fn displayed(array: &ArrayRef) -> Vec<String> {
    let options = FormatOptions { null: "NULL".to_owned(), ..FormatOptions::default() };
    let options = (&options).try_into().unwrap();
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

fn written(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { text.trim_end_matches('\n').replace('\0', "\\0") }
}

/// A float by its shortest digits, which have no exponent.
fn float(value: f64, digits: &str) -> String {
    match value {
        nan if nan.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => rounded(digits, 12),
    }
}

/// Rounds a number in digits to so many places after the point; a tie goes to the even digit.
fn rounded(digits: &str, places: usize) -> String {
    let Some((whole, fraction)) = digits.split_once('.').filter(|(_, fraction)| fraction.len() > places) else {
        return trimmed(digits);
    };
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let (kept, dropped) = fraction.split_at(places);
    let mut number: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    let is_odd = number.last().is_some_and(|digit| (digit - b'0') % 2 == 1);
    let up = match dropped.as_bytes() {
        [b'5', rest @ ..] if rest.iter().all(|digit| *digit == b'0') => is_odd,
        [first, ..] => *first >= b'5',
        [] => false,
    };
    let mut at = number.len();
    let mut carry = up;
    while carry {
        match at.checked_sub(1) {
            None => {
                number.insert(0, b'1');
                carry = false;
            }
            Some(digit) if number[digit] == b'9' => number[digit] = b'0',
            Some(digit) => {
                number[digit] += 1;
                carry = false;
            }
        }
        at = at.saturating_sub(1);
    }
    let split = number.len() - places;
    let text = |digits: &[u8]| String::from_utf8(digits.to_vec()).unwrap();
    trimmed(&format!("{sign}{}.{}", text(&number[..split]), text(&number[split..])))
}

/// A number without zeros at the end of its fraction; nought has no sign.
fn trimmed(digits: &str) -> String {
    let text = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if matches!(text, "-0" | "") { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{push, rounded, trimmed};

    #[test]
    fn floats_are_rounded_to_the_even_digit_after_twelve_places() {
        for (digits, wanted) in [
            ("0.1", "0.1"),
            ("-0", "0"),
            ("-0.00000000000001", "0"),
            ("1.0000000000005", "1"),
            ("1.0000000000015", "1.000000000002"),
            ("1.00000000000051", "1.000000000001"),
            ("9.9999999999999", "10"),
            ("-99.99999999999950001", "-100"),
            ("100000000000000000000", "100000000000000000000"),
        ] {
            assert_eq!(rounded(digits, 12), wanted, "{digits}");
        }
    }

    #[test]
    fn decimals_keep_all_places_but_zeros_at_the_end() {
        for (digits, wanted) in [("1.50", "1.5"), ("100", "100"), ("0.00", "0"), ("-0.10", "-0.1"), ("100.0", "100")] {
            assert_eq!(trimmed(digits), wanted, "{digits}");
        }
    }

    #[test]
    fn lines_of_a_last_cell_become_rows() {
        let mut rows = Vec::new();
        push(vec!["a".to_owned(), "one\n  two".to_owned()], &mut rows);
        assert_eq!(rows, [vec!["a"], vec!["01)one"], vec!["02)--two"]]);
    }
}
