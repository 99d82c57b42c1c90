use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{as_text, collated, joint, natural, text_facts};
use crate::sql::{AggregateCall, Comparison, Facts, Level, Shipped, Value, is_text, scalar_text};

/// Prints a scalar function that is proved equal.
pub(super) fn function(name: &str, arguments: &[Value]) -> Shipped {
    let unlike = |why: &str| Err(format!("function `{name}` {why}"));
    match (name, arguments) {
        ("upper" | "lower" | "initcap", _) => unlike("folds letters by the database's locale in PostgreSQL"),
        ("abs", [number]) if is_signed(&number.facts.data_type) => {
            natural(number)?;
            Ok(Value::atom(format!("abs({})", number.sql), Facts::new(number.facts.data_type.clone())))
        }
        ("floor" | "ceil", [number]) if number.facts.data_type == DataType::Float64 => {
            natural(number)?;
            Ok(Value::atom(format!("{name}({})", number.sql), Facts::new(DataType::Float64)))
        }
        ("round" | "floor" | "ceil" | "trunc", _) => unlike("rounds by its own rules in PostgreSQL"),
        ("character_length" | "char_length" | "length", [text]) => {
            Ok(Value::atom(format!("length({})", text_argument(text, name)?), Facts::new(DataType::Int32)))
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
                text_call(text, name, |sql| format!("\"left\"({sql}, {length})"))
            }
            _ => unlike("with a length that is not a positive literal is computed here"),
        },
        ("right", [text, length]) => match integer(length) {
            Some(length) if (0..=i64::from(i32::MAX)).contains(&length) => {
                text_call(text, name, |sql| format!("\"right\"({sql}, {length})"))
            }
            _ => unlike("with a length that is not a positive literal is computed here"),
        },
        ("reverse", [text]) => text_call(text, name, |sql| format!("reverse({sql})")),
        ("split_part", [text, part, at]) if is_plain_text(part) => match integer(at) {
            Some(at) if (1..=i64::from(i32::MAX)).contains(&at) => {
                // The collation says which texts are alike, and may be one that PostgreSQL cannot cut by.
                let sql = collated(text_argument(text, name)?, text.facts.collation.as_deref(), Comparison::Equality);
                let facts = Facts { collation: joint([text]), ..text_facts() };
                Ok(Value::atom(format!("split_part({sql}, {}, {at})", part.sql), facts))
            }
            _ => unlike("of a part that is not a positive literal is computed here"),
        },
        ("btrim" | "trim", [text]) => text_call(text, name, |sql| format!("btrim({sql})")),
        ("ltrim", [text]) => text_call(text, name, |sql| format!("ltrim({sql})")),
        ("rtrim", [text]) => text_call(text, name, |sql| format!("rtrim({sql})")),
        ("replace", [text, from, to]) if is_plain_text(from) && to.literal.as_ref().and_then(scalar_text).is_some() => {
            text_call(text, name, |sql| format!("replace({sql}, {}, {})", from.sql, to.sql))
        }
        ("strpos", [text, part]) if is_plain_text(part) => {
            let sql = collated(text_argument(text, name)?, text.facts.collation.as_deref(), Comparison::Equality);
            Ok(Value::atom(format!("strpos({sql}, {})", part.sql), Facts::new(DataType::Int32)))
        }
        ("starts_with", [text, part]) if is_plain_text(part) => {
            let sql = collated(text_argument(text, name)?, text.facts.collation.as_deref(), Comparison::Equality);
            Ok(Value::predicate(format!("starts_with({sql}, {})", part.sql), Level::Atom))
        }
        ("concat", [_, ..]) if arguments.iter().all(|argument| is_text(&argument.facts.data_type)) => {
            let list: Vec<String> = arguments.iter().map(|argument| as_text(argument, Level::Or)).collect();
            let facts = Facts { collation: joint(arguments), ..text_facts() };
            Ok(Value::atom(format!("concat({})", list.join(", ")), facts))
        }
        // Both pass over nulls.
        ("greatest" | "least", [first, ..])
            if is_ordered(&first.facts.data_type)
                && arguments.iter().all(|argument| argument.facts.data_type == first.facts.data_type) =>
        {
            arguments.iter().try_for_each(natural)?;
            let list: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
            Ok(Value::atom(format!("{name}({})", list.join(", ")), Facts::new(first.facts.data_type.clone())))
        }
        ("date_part", [part, time]) => date_part(part, time),
        ("date_trunc", [part, time]) => date_trunc(part, time),
        _ => unlike("is not known to be the same in PostgreSQL"),
    }
}

/// Prints an aggregate other than count, min and max.
pub(super) fn aggregate(call: &AggregateCall<'_>) -> Shipped {
    let facts = Facts::new(call.data_type.clone());
    let [argument] = call.arguments.as_slice() else {
        return Err(format!("aggregate `{}` is computed here", call.name));
    };
    natural(argument)?;
    let of = |sql: String| Ok(Value::atom(sql, facts.clone()));
    match (call.name, &argument.facts.data_type, &call.data_type) {
        // PostgreSQL sums without loss; what leaves 64 bits is its error.
        ("sum", from, DataType::Int64) if from.is_signed_integer() => {
            of(format!("{}::int8", call.standard(&argument.sql)))
        }
        ("sum", DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if from == to => {
            of(call.standard(&argument.sql))
        }
        // A sum of floats is as good in one order as in another.
        ("sum", DataType::Float64, DataType::Float64) if !call.distinct => {
            Ok(Value::atom(call.standard(&argument.sql), Facts { is_float_sum: true, ..facts }))
        }
        // PostgreSQL's own average adds the squares up too, and fails where they are infinite.
        ("avg", DataType::Float64, DataType::Float64) if !call.distinct => {
            let text = format!("{} / {}", call.call("sum", &argument.sql), call.call("count", &argument.sql));
            Ok(Value::new(text, Level::Multiply, Facts { is_float_sum: true, ..facts }))
        }
        // Both compute about the mean, so that they differ in their last digits alone.
        ("stddev" | "stddev_pop" | "var" | "var_pop", DataType::Float64, DataType::Float64) if !call.distinct => {
            let function = match call.name {
                "stddev" => "stddev_samp",
                "var" => "var_samp",
                name => name,
            };
            Ok(Value::atom(call.call(function, &argument.sql), Facts { is_float_sum: true, ..facts }))
        }
        ("bool_and" | "bool_or", DataType::Boolean, DataType::Boolean) => of(call.standard(&argument.sql)),
        _ => Err(format!("aggregate `{}` of {} is computed here", call.name, argument.facts.data_type)),
    }
}

/// Window functions and aggregates over windows that are proved equal.
pub(super) fn has_window(function: &str) -> Shipped<()> {
    match function {
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" => Ok(()),
        "lag" | "lead" | "first_value" | "last_value" | "nth_value" => Ok(()),
        "count" | "sum" | "min" | "max" | "avg" | "bool_and" | "bool_or" => Ok(()),
        _ => Err(format!("`{function}` over a window is not known to be the same in PostgreSQL")),
    }
}

/// Whether numbers of a type have a sign.
fn is_signed(data_type: &DataType) -> bool {
    data_type.is_signed_integer() || data_type.is_floating() || matches!(data_type, DataType::Decimal128(..))
}

/// Whether the greatest of several values is the same by any rule of comparing.
fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_signed_integer()
        || matches!(data_type, DataType::Decimal128(..) | DataType::Date32 | DataType::Timestamp(..))
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

fn text_argument(value: &Value, name: &str) -> Shipped<String> {
    if !is_text(&value.facts.data_type) {
        return Err(format!("function `{name}` of {} is computed here", value.facts.data_type));
    }
    Ok(as_text(value, Level::Atom))
}

fn text_call(value: &Value, name: &str, print: impl FnOnce(&str) -> String) -> Shipped {
    let sql = print(&text_argument(value, name)?);
    Ok(Value::atom(sql, Facts { collation: joint([value]), ..text_facts() }))
}

/// A part of a date or a timestamp. The year before 1 is -1 in PostgreSQL and 0 here.
fn date_part(part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    let is_time = matches!(time.facts.data_type, DataType::Timestamp(..));
    if !is_time && time.facts.data_type != DataType::Date32 {
        return Err(format!("`date_part` of {} is computed here", time.facts.data_type));
    }
    let sql = in_utc(time, "date_part")?;
    let of = |part: &str| format!("extract({part} FROM {sql})::int4");
    let text = match part.as_str() {
        "year" => {
            let text = format!("{} + (extract(year FROM {sql}) < 0)::int4", of("year"));
            return Ok(Value::new(text, Level::Add, Facts::new(DataType::Int32)));
        }
        "quarter" | "month" | "week" | "day" | "doy" | "dow" => of(&part),
        "hour" | "minute" if is_time => of(&part),
        _ => return Err(format!("`date_part` of `{part}` is computed here")),
    };
    Ok(Value::atom(text, Facts::new(DataType::Int32)))
}

fn date_trunc(part: &Value, time: &Value) -> Shipped {
    let part = part.literal.as_ref().and_then(scalar_text).unwrap_or_default().to_ascii_lowercase();
    let DataType::Timestamp(_, zone) = &time.facts.data_type else {
        return Err(format!("`date_trunc` of {} is computed here", time.facts.data_type));
    };
    match part.as_str() {
        "year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second" => {
            let text = format!("date_trunc('{part}', {})", in_utc(time, "date_trunc")?);
            let text = if zone.is_some() { format!("({text} AT TIME ZONE 'UTC')") } else { text };
            Ok(Value::atom(text, Facts::new(time.facts.data_type.clone())))
        }
        _ => Err(format!("`date_trunc` to `{part}` is computed here")),
    }
}

/// A date or a timestamp as what a clock shows; one with a zone in UTC, where that is its zone. Of these the engine cuts none that
/// nanoseconds since 1970 cannot tell, and says so; PostgreSQL cuts all.
fn in_utc(time: &Value, name: &str) -> Shipped<String> {
    match &time.facts.data_type {
        DataType::Timestamp(_, Some(zone)) if zone.as_ref() == "UTC" => {
            Ok(format!("({} AT TIME ZONE 'UTC')", time.at(Level::Atom)))
        }
        DataType::Timestamp(_, Some(zone)) => Err(format!("`{name}` in the zone {zone} is computed here")),
        _ => Ok(time.sql.clone()),
    }
}
