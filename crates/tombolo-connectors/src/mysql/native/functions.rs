use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{CONVERTED, characters, natural};
use crate::mysql::types::AS_UNSIGNED;
use crate::sql::{AggregateCall, Facts, Level, Shipped, Value, is_text, scalar_text, string_literal};

/// Prints a scalar function that is proved equal.
pub(super) fn function(name: &str, arguments: &[Value]) -> Shipped {
    let unlike = |why: &str| Err(format!("function `{name}` {why}"));
    match (name, arguments) {
        ("upper" | "lower" | "initcap", _) => unlike("folds letters by the column's collation in MySQL"),
        ("abs", [number]) if matches!(number.facts.data_type, DataType::Int64 | DataType::Decimal128(..)) => {
            natural(number)?;
            Ok(Value::atom(format!("abs({})", number.sql), Facts::new(number.facts.data_type.clone())))
        }
        ("round" | "floor" | "ceil" | "trunc", _) => unlike("rounds by its own rules in MySQL"),
        ("character_length" | "char_length" | "length", [text]) => {
            Ok(Value::atom(format!("char_length({})", text_argument(text, name)?), Facts::new(DataType::Int32)))
        }
        ("octet_length", [text]) => {
            Ok(Value::atom(format!("octet_length({})", text_argument(text, name)?), Facts::new(DataType::Int32)))
        }
        ("substr" | "substring", [text, start]) => match integer(start) {
            Some(start) if (1..=i64::from(i32::MAX)).contains(&start) => {
                text_call(text, name, |sql| format!("substr({sql}, {start})"))
            }
            _ => unlike("with a start that is not a positive literal is computed here"),
        },
        ("substr" | "substring", [text, start, length]) => match (integer(start), integer(length)) {
            (Some(start), Some(length)) if start >= 1 && length >= 0 && start + length <= i64::from(i32::MAX) => {
                text_call(text, name, |sql| format!("substr({sql}, {start}, {length})"))
            }
            _ => unlike("with a start that is not a positive literal is computed here"),
        },
        ("left", [text, length]) => match integer(length) {
            Some(length) if (0..=i64::from(i32::MAX)).contains(&length) => {
                text_call(text, name, |sql| format!("left({sql}, {length})"))
            }
            _ => unlike("with a length that is not a positive literal is computed here"),
        },
        ("right", [text, length]) => match integer(length) {
            Some(length) if (0..=i64::from(i32::MAX)).contains(&length) => {
                text_call(text, name, |sql| format!("right({sql}, {length})"))
            }
            _ => unlike("with a length that is not a positive literal is computed here"),
        },
        ("reverse", [text]) => text_call(text, name, |sql| format!("reverse({sql})")),
        ("btrim" | "trim", [text]) => text_call(text, name, |sql| format!("trim({sql})")),
        ("ltrim", [text]) => text_call(text, name, |sql| format!("ltrim({sql})")),
        ("rtrim", [text]) => text_call(text, name, |sql| format!("rtrim({sql})")),
        ("starts_with", [text, part]) => match part.literal.as_ref().and_then(scalar_text) {
            Some(part) if !part.is_empty() => {
                let (length, part) = (part.chars().count(), string_literal(part)?);
                let begin = format!("CAST(left({}, {length}) AS BINARY)", text_argument(text, name)?);
                Ok(Value::predicate(format!("{begin} = _binary{part}"), Level::Compare))
            }
            _ => unlike("with a begin that is not a literal is decided here"),
        },
        ("concat", [_, ..]) if arguments.iter().all(|argument| is_text(&argument.facts.data_type)) => {
            // A null is no text here, and makes all of it null there.
            let arguments: Vec<Value> = arguments
                .iter()
                .map(|argument| match &argument.literal {
                    Some(literal) if literal.is_null() => Value { sql: "''".to_owned(), ..argument.clone() },
                    Some(_) => argument.clone(),
                    None => {
                        let facts = Facts { collation: Some(known_collation(argument)), ..argument.facts.clone() };
                        Value::atom(format!("coalesce({}, '')", characters(argument)), facts)
                    }
                })
                .collect();
            concatenated(&arguments.iter().collect::<Vec<_>>())
        }
        ("date_part", [part, time]) => date_part(part, time),
        ("date_trunc", [part, time]) => date_trunc(part, time),
        _ => unlike("is not known to be the same in MySQL"),
    }
}

/// Prints texts one after another; null where one of them is.
pub(super) fn concatenated(values: &[&Value]) -> Shipped {
    let mut collations = values.iter().filter(|value| value.literal.is_none()).map(|value| known_collation(value));
    let collation = collations.next();
    if collations.any(|other| Some(&other) != collation.as_ref()) {
        return Err("MySQL does not put texts of different collations together".to_owned());
    }
    let list: Vec<String> = values.iter().map(|value| characters(value)).collect();
    let magnitude = values.iter().map(|value| value.facts.magnitude).sum();
    let collation = Some(collation.unwrap_or_else(|| CONVERTED.to_owned()));
    let facts = Facts { collation, magnitude, ..Facts::new(DataType::Utf8) };
    Ok(Value::atom(format!("concat({})", list.join(", ")), facts))
}

/// Prints an aggregate other than count, min and max.
pub(super) fn aggregate(call: &AggregateCall<'_>) -> Shipped {
    let facts = Facts::new(call.data_type.clone());
    let [argument] = call.arguments.as_slice() else {
        return Err(format!("aggregate `{}` is computed here", call.name));
    };
    argument.trusted()?;
    if argument.facts.form != AS_UNSIGNED {
        natural(argument)?;
    }
    let of = |sql: String| Ok(Value::atom(sql, facts.clone()));
    match (call.name, &argument.facts.data_type, &call.data_type) {
        // MySQL sums without loss; DIV fails where a number leaves 64 bits, which a cast would not.
        ("sum", from, DataType::Int64) if from.is_signed_integer() => {
            of(format!("({} DIV 1)", call.standard(&argument.sql)))
        }
        ("sum", DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if from == to => {
            of(call.standard(&argument.sql))
        }
        // A sum of floats is as good in one order as in another.
        ("sum" | "avg", DataType::Float64, DataType::Float64) if !call.distinct => {
            Ok(Value::atom(call.standard(&argument.sql), Facts { is_float_sum: true, ..facts }))
        }
        ("bool_and", DataType::Boolean, DataType::Boolean) => of(call.call("min", &argument.sql)),
        ("bool_or", DataType::Boolean, DataType::Boolean) => of(call.call("max", &argument.sql)),
        _ => Err(format!("aggregate `{}` of {} is computed here", call.name, argument.facts.data_type)),
    }
}

/// Window functions and aggregates over windows that are proved equal.
pub(super) fn has_window(function: &str) -> Shipped<()> {
    match function {
        "row_number" | "rank" | "dense_rank" | "ntile" => Ok(()),
        "lag" | "lead" | "first_value" | "last_value" | "nth_value" => Ok(()),
        "count" | "sum" | "min" | "max" | "avg" | "bool_and" | "bool_or" => Ok(()),
        _ => Err(format!("`{function}` over a window is not known to be the same in MySQL")),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value.literal {
        Some(ScalarValue::Int64(number)) => number,
        Some(ScalarValue::Int32(number)) => number.map(i64::from),
        _ => None,
    }
}

/// The collation of what [`characters`] makes of a text.
fn known_collation(value: &Value) -> String {
    let known = value.facts.collation.clone().filter(|name| super::is_utf8mb4(name));
    known.unwrap_or_else(|| CONVERTED.to_owned())
}

fn text_argument(value: &Value, name: &str) -> Shipped<String> {
    if !is_text(&value.facts.data_type) {
        return Err(format!("function `{name}` of {} is computed here", value.facts.data_type));
    }
    Ok(characters(value))
}

/// A call that gives a part of a text.
fn text_call(value: &Value, name: &str, print: impl FnOnce(&str) -> String) -> Shipped {
    let sql = print(&text_argument(value, name)?);
    let (collation, magnitude) = (Some(known_collation(value)), value.facts.magnitude);
    Ok(Value::atom(sql, Facts { collation, magnitude, ..Facts::new(DataType::Utf8) }))
}

/// A part of a date or a timestamp.
fn date_part(part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    let is_time = matches!(time.facts.data_type, DataType::Timestamp(_, None));
    if !is_time && time.facts.data_type != DataType::Date32 {
        return Err(format!("`date_part` of {} is computed here", time.facts.data_type));
    }
    let sql = &time.sql;
    let text = match part.as_str() {
        // In MySQL 9 a number without a sign, as is what it is subtracted from.
        "year" => format!("CAST(year({sql}) AS SIGNED)"),
        "quarter" | "month" | "day" => format!("{part}({sql})"),
        "doy" => format!("dayofyear({sql})"),
        "dow" => format!("(dayofweek({sql}) - 1)"),
        // The mode whose first week is the one with a Thursday in it, as ISO 8601 has it.
        "week" => format!("week({sql}, 3)"),
        "hour" | "minute" if is_time => format!("{part}({sql})"),
        _ => return Err(format!("`date_part` of `{part}` is computed here")),
    };
    Ok(Value::atom(text, Facts::new(DataType::Int32)))
}

fn date_trunc(part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    if !matches!(time.facts.data_type, DataType::Timestamp(_, None)) {
        return Err(format!("`date_trunc` of {} is computed here", time.facts.data_type));
    }
    let format = match part.as_str() {
        "year" => "%Y-01-01",
        "month" => "%Y-%m-01",
        "day" => "%Y-%m-%d",
        "hour" => "%Y-%m-%d %H:00:00",
        "minute" => "%Y-%m-%d %H:%i:00",
        "second" => "%Y-%m-%d %H:%i:%s",
        _ => return Err(format!("`date_trunc` to `{part}` is computed here")),
    };
    let text = format!("CAST(date_format({}, '{format}') AS DATETIME(6))", time.sql);
    Ok(Value::atom(text, Facts::new(time.facts.data_type.clone())))
}
