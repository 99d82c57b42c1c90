pub(super) mod table;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use chrono::{DateTime, Days, NaiveDate, NaiveTime};

use crate::sql::Form;

/// Text that the server has as another type, by whose own rules it compares.
pub(super) const AS_TEXT: Form = Form("text");
/// JSON, which is carried as text and compared here.
pub(super) const AS_JSON: Form = Form("json");
/// UUIDs, whose order is that of their text.
pub(super) const AS_UUID: Form = Form("uuid");
/// CHAR(n), of which blanks at the end are no part.
pub(super) const AS_CHAR: Form = Form("char");
/// Object identifiers and the like, numbers without a sign.
pub(super) const AS_NUMBER: Form = Form("oid");
/// Amounts of money in the database's locale.
pub(super) const AS_MONEY: Form = Form("money");
/// Shapes of PostGIS, which have comparisons of their own.
pub(super) const AS_SHAPE: Form = Form("shape");

/// Digits of the widest decimals.
const MAX_DECIMAL128: i32 = 38;
const MAX_DECIMAL256: i32 = 76;

/// Days from 1970 to the day that PostgreSQL counts from, 2000-01-01.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970 to that day.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400 * 1_000_000;

/// A type as the server's catalog says it, domains followed to what they are of.
#[derive(Debug, Clone)]
pub(super) struct RemoteType {
    /// Its number, which for built-in types never changes (`pg_type.dat` in PostgreSQL's sources).
    pub(super) oid: u32,
    /// What a column says beside: for NUMERIC its precision and scale.
    pub(super) modifier: i32,
    /// Its name, without a schema.
    pub(super) name: String,
    /// The number of an array's elements' type.
    pub(super) element: Option<u32>,
}

/// How a type is carried: its Arrow type, and its form where that is not the type's own.
pub(super) fn carried(remote: &RemoteType, numeric_scale: i8) -> (DataType, Form) {
    if let Some(element) = remote.element {
        let element = RemoteType { oid: element, element: None, name: String::new(), ..remote.clone() };
        // Elements come as they are stored, so only types whose form is their own can be in a list.
        return match carried(&element, numeric_scale) {
            (data_type, Form::NATURAL) => {
                (DataType::List(Arc::new(Field::new_list_field(data_type, true))), Form::NATURAL)
            }
            _ => (DataType::Utf8, AS_TEXT),
        };
    }
    let natural = |data_type| (data_type, Form::NATURAL);
    match remote.oid {
        16 => natural(DataType::Boolean),
        17 => natural(DataType::Binary),
        21 => natural(DataType::Int16),
        23 => natural(DataType::Int32),
        20 => natural(DataType::Int64),
        // oid, xid, cid and the registered names' own kin have 32 bits without a sign.
        26 => (DataType::Int64, AS_NUMBER),
        700 => natural(DataType::Float32),
        701 => natural(DataType::Float64),
        1700 => numeric(remote.modifier, numeric_scale),
        790 => (DataType::Decimal128(19, 2), AS_MONEY),
        25 | 1043 => natural(DataType::Utf8),
        1042 => (DataType::Utf8, AS_CHAR),
        114 | 3802 => (DataType::Utf8, AS_JSON),
        2950 => (DataType::Utf8, AS_UUID),
        1082 => natural(DataType::Date32),
        1083 => natural(DataType::Time64(TimeUnit::Microsecond)),
        1114 => natural(DataType::Timestamp(TimeUnit::Microsecond, None)),
        1184 => natural(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        1186 => natural(DataType::Interval(IntervalUnit::MonthDayNano)),
        // What PostGIS sends is well-known binary, with the system of coordinates in it.
        _ if matches!(remote.name.as_str(), "geometry" | "geography") => (DataType::Binary, AS_SHAPE),
        _ => (DataType::Utf8, AS_TEXT),
    }
}

fn numeric(modifier: i32, free_scale: i8) -> (DataType, Form) {
    let natural = |data_type| (data_type, Form::NATURAL);
    if modifier < 4 {
        return natural(DataType::Decimal128(MAX_DECIMAL128 as u8, free_scale));
    }
    let packed = modifier - 4;
    let precision = packed >> 16;
    // Eleven bits with a sign: since version 15 a scale may be negative.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    // A negative scale leaves zeros before the point, and one beyond the precision zeros after it.
    let (precision, scale) = (precision.max(scale).max(precision - scale.min(0)), scale.max(0));
    let (digits, places) = (u8::try_from(precision), i8::try_from(scale));
    match (digits, places) {
        (Ok(digits), Ok(places)) if precision <= MAX_DECIMAL128 => natural(DataType::Decimal128(digits, places)),
        (Ok(digits), Ok(places)) if precision <= MAX_DECIMAL256 => natural(DataType::Decimal256(digits, places)),
        _ => (DataType::Utf8, AS_TEXT),
    }
}

/// Whether answers of a type can be read.
pub(super) fn can_read(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::Date32
        | DataType::Time64(TimeUnit::Microsecond)
        | DataType::Timestamp(..)
        | DataType::Interval(IntervalUnit::MonthDayNano) => true,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale >= 0,
        DataType::List(field) => can_read(field.data_type()) && !matches!(field.data_type(), DataType::List(_)),
        _ => false,
    }
}

/// A date as PostgreSQL reads it; none where it is before the year 1 or after 9999, which are written otherwise.
pub(super) fn print_date(days: i32) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }?;
    let text = date.format("%Y-%m-%d").to_string();
    (text.as_str() >= "0001" && text.len() == 10 && !text.starts_with(['+', '-'])).then_some(text)
}

/// A time of day as PostgreSQL reads it.
pub(super) fn print_time(micros: i64) -> Option<String> {
    let nanos = u32::try_from(micros % 1_000_000).ok()?.checked_mul(1_000)?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(micros / 1_000_000).ok()?, nanos)?;
    Some(time.format("%H:%M:%S%.6f").to_string())
}

/// A moment as PostgreSQL reads it, without its zone.
pub(super) fn print_timestamp(micros: i64) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let days = moment.date().signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days();
    let date = print_date(i32::try_from(days).ok()?)?;
    Some(format!("{date} {}", moment.time().format("%H:%M:%S%.6f")))
}
