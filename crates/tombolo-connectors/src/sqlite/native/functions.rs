use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{SCALED, SqliteDialect, as_real, exact_decimal};
use crate::sql::{AggregateCall, Dialect, Facts, Form, Level, Shipped, Value, is_text, scalar_text};

/// The longest text SQLite holds has so many characters.
const MAX_TEXT: f64 = 2_147_483_647.0;

/// Prints a scalar function that is proved equal.
pub(super) fn function(dialect: &SqliteDialect, name: &str, arguments: &[Value]) -> Shipped {
    let unlike = |why: &str| Err(format!("function `{name}` {why}"));
    match (name, arguments) {
        ("upper" | "lower" | "initcap", _) => unlike("folds only ASCII letters in SQLite"),
        ("round" | "floor" | "ceil" | "trunc", _) => unlike("rounds by its own rules in SQLite"),
        ("character_length" | "char_length" | "length", [text]) => {
            let sql = text_argument(text, name)?;
            let facts = Facts { magnitude: Some(MAX_TEXT), ..Facts::new(DataType::Int32) };
            Ok(Value::atom(format!("length({sql})"), facts))
        }
        ("octet_length", [text]) => {
            let sql = text_argument(text, name)?;
            let facts = Facts { magnitude: Some(MAX_TEXT), ..Facts::new(DataType::Int32) };
            Ok(Value::atom(format!("octet_length({sql})"), facts))
        }
        ("substr" | "substring", [text, start]) => match integer(start) {
            Some(start) if start >= 1 => text_call(text, name, |sql| format!("substr({sql}, {start})")),
            _ => unlike("counts from its end in SQLite where the start is not positive"),
        },
        ("substr" | "substring", [text, start, length]) => match (integer(start), integer(length)) {
            (Some(start), Some(length)) if start >= 1 && length >= 0 => {
                text_call(text, name, |sql| format!("substr({sql}, {start}, {length})"))
            }
            _ => unlike("counts from its end in SQLite where the start is not positive"),
        },
        ("left", [text, length]) => match integer(length) {
            Some(length) if length >= 0 => text_call(text, name, |sql| format!("substr({sql}, 1, {length})")),
            _ => unlike("with a negative length is computed here"),
        },
        ("btrim" | "trim", [text]) => text_call(text, name, |sql| format!("trim({sql})")),
        ("ltrim", [text]) => text_call(text, name, |sql| format!("ltrim({sql})")),
        ("rtrim", [text]) => text_call(text, name, |sql| format!("rtrim({sql})")),
        ("replace", [text, from, to]) if is_plain_text(from) && to.literal.as_ref().and_then(scalar_text).is_some() => {
            text_call(text, name, |sql| format!("replace({sql}, {}, {})", from.sql, to.sql))
        }
        ("strpos", [text, part]) if is_plain_text(part) => {
            let sql = text_argument(text, name)?;
            let facts = Facts { magnitude: Some(MAX_TEXT), ..Facts::new(DataType::Int32) };
            Ok(Value::atom(format!("instr({sql}, {})", part.sql), facts))
        }
        ("starts_with", [text, part]) if is_plain_text(part) => {
            let sql = text_argument(text, name)?;
            let length = part.literal.as_ref().and_then(scalar_text).map_or(0, |part| part.chars().count());
            Ok(Value::predicate(format!("substr({sql}, 1, {length}) = {}", part.sql), Level::Compare))
        }
        ("concat", [_, ..]) if arguments.iter().all(|argument| is_text(&argument.facts.data_type)) => {
            let list: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
            let nul_free = arguments.iter().all(|argument| argument.facts.nul_free);
            let facts = Facts { nul_free, ..Facts::new(DataType::Utf8) };
            Ok(Value::atom(format!("concat({})", list.join(", ")), facts))
        }
        ("abs", [number]) => match number.facts.data_type {
            DataType::Int64 if number.facts.magnitude.is_some() => Ok(computed(number, format!("abs({})", number.sql))),
            DataType::Float64 => Ok(computed(number, format!("abs({})", as_real(number, Level::Or)))),
            _ => unlike("of the least integer is an error in SQLite"),
        },
        ("date_part", [part, time]) => date_part(part, time),
        ("date_trunc", [part, time]) => date_trunc(dialect, part, time),
        _ => unlike("is not known to be the same in SQLite"),
    }
}

/// Prints an aggregate other than count, min and max.
pub(super) fn aggregate(_dialect: &SqliteDialect, call: &AggregateCall<'_>) -> Shipped {
    let facts = Facts::new(call.data_type.clone());
    let [argument] = call.arguments.as_slice() else {
        return Err(format!("aggregate `{}` is computed here", call.name));
    };
    match (call.name, &argument.facts.data_type, &call.data_type) {
        // Where the sum leaves 64 bits SQLite reports it; it never gives another number.
        ("sum", DataType::Int64, DataType::Int64) => Ok(Value::atom(call.standard(&argument.sql), facts)),
        ("sum" | "avg", DataType::Float64, DataType::Float64) => {
            // A sum that becomes infinite on the way may end as a NaN, which SQLite turns into NULL.
            let finite = argument.facts.magnitude.is_some_and(|bound| bound < 1e290);
            if !finite {
                return Err(format!("`{}` of floats gives NULL in SQLite where it is not a number", call.name));
            }
            let facts = Facts { is_float_sum: true, ..facts };
            Ok(Value::atom(call.standard(&as_real(argument, Level::Or)), facts))
        }
        // A double of up to 15 digits, times ten to its scale, is less than a half from the whole number that it stands for:
        // both roundings together are off by at most 2^-52 of 10^15. So rounding finds it, and the sum is one of integers.
        ("sum", DataType::Decimal128(_, from), DataType::Decimal128(_, to))
            if from == to && exact_decimal(&argument.facts) =>
        {
            let scale = u32::try_from(*from).unwrap_or(u32::MAX);
            let factor = 10_i64.checked_pow(scale).ok_or("a sum of decimals of such a scale is computed here")?;
            let whole = format!("CAST(round({} * {factor}) AS INTEGER)", argument.at(Level::Multiply));
            Ok(Value::atom(call.standard(&whole), Facts { form: SCALED, ..facts }))
        }
        ("sum" | "avg", DataType::Decimal128(..), _) => {
            Err(format!("`{}` of decimals is rounded to a float in SQLite", call.name))
        }
        _ => Err(format!("aggregate `{}` of {} is computed here", call.name, argument.facts.data_type)),
    }
}

/// Window functions and aggregates over windows that are proved equal.
pub(super) fn has_window(function: &str) -> Shipped<()> {
    match function {
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" => Ok(()),
        "lag" | "lead" | "first_value" | "last_value" | "nth_value" => Ok(()),
        "count" | "sum" | "min" | "max" | "avg" => Ok(()),
        _ => Err(format!("`{function}` over a window is not known to be the same in SQLite")),
    }
}

fn computed(from: &Value, sql: String) -> Value {
    Value::atom(sql, Facts { collation: None, converts: false, ..from.facts.clone() })
}

fn integer(value: &Value) -> Option<i64> {
    match value.literal {
        Some(ScalarValue::Int64(number)) => number,
        Some(ScalarValue::Int32(number)) => number.map(i64::from),
        _ => None,
    }
}

fn is_plain_text(value: &Value) -> bool {
    value.literal.as_ref().and_then(scalar_text).is_some_and(|text| !text.is_empty())
}

/// The text of an argument that must be text without NUL, at which SQLite's functions stop.
fn text_argument<'a>(value: &'a Value, name: &str) -> Shipped<&'a str> {
    if !is_text(&value.facts.data_type) {
        return Err(format!("function `{name}` of {} is computed here", value.facts.data_type));
    }
    if !value.facts.nul_free {
        return Err(format!(
            "function `{name}` stops at a NUL character in SQLite, and the text was not verified to have none"
        ));
    }
    Ok(&value.sql)
}

fn text_call(value: &Value, name: &str, print: impl FnOnce(&str) -> String) -> Shipped {
    let sql = print(text_argument(value, name)?);
    Ok(Value::atom(sql, Facts { nul_free: true, ..Facts::new(DataType::Utf8) }))
}

/// Takes a part out of a date's or a timestamp's text, which has it at a fixed place.
fn date_part(part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    let is_time = is_local_timestamp(time);
    if !is_time && time.facts.data_type != DataType::Date32 {
        return Err(format!("`date_part` of {} is computed here", time.facts.data_type));
    }
    let (from, length) = match part.as_str() {
        "year" => (1, 4),
        "month" => (6, 2),
        "day" => (9, 2),
        "hour" if is_time => (12, 2),
        "minute" if is_time => (15, 2),
        _ => return Err(format!("`date_part` of `{part}` is computed here")),
    };
    let facts = Facts { magnitude: Some(9_999.0), ..Facts::new(DataType::Int32) };
    Ok(Value::atom(format!("CAST(substr({}, {from}, {length}) AS INTEGER)", time.sql), facts))
}

/// Cuts a timestamp's text and fills it up again.
fn date_trunc(dialect: &SqliteDialect, part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    if !is_local_timestamp(time) {
        return Err(format!("`date_trunc` of {} is computed here", time.facts.data_type));
    }
    let (kept, rest) = match part.as_str() {
        "year" => (4, "-01-01 00:00:00"),
        "month" => (7, "-01 00:00:00"),
        "day" => (10, " 00:00:00"),
        _ => return Err(format!("`date_trunc` to `{part}` is computed here")),
    };
    let rest = dialect.literal(&ScalarValue::from(rest), Form::NATURAL)?;
    let facts = Facts { form: Form("YYYY-MM-DD HH:MM:SS"), ..Facts::new(time.facts.data_type.clone()) };
    Ok(Value::new(format!("substr({}, 1, {kept}) || {rest}", time.sql), Level::Concat, facts))
}

fn is_local_timestamp(value: &Value) -> bool {
    matches!(value.facts.data_type, DataType::Timestamp(_, None)) && value.facts.form != Form::NATURAL
}
