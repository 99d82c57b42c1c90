pub(super) mod table;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Days, NaiveDate, NaiveTime};

use super::client::ColumnDefinition;
use super::config::Config;
use crate::sql::Form;

/// Integers without a sign, whose differences may not be negative.
pub(super) const AS_UNSIGNED: Form = Form("unsigned");
/// TINYINT(1) as a truth value.
pub(super) const AS_FLAG: Form = Form("tinyint(1)");
/// Bits, which are a string of bytes in some places and a number in others.
pub(super) const AS_BIT: Form = Form("bit");
/// Years, which a number of two digits is made one of.
pub(super) const AS_YEAR: Form = Form("year");
/// Dates that are null where they have no month or day.
pub(super) const AS_DATE_OR_NULL: Form = Form("date or null");
/// What is carried as text and is none in the server.
pub(super) const AS_TEXT: Form = Form("text");
/// Text in another character set.
pub(super) const AS_CONVERTED: Form = Form("converted");
/// Shapes, which the server keeps in a form of its own.
pub(super) const AS_SHAPE: Form = Form("shape");

/// Vectors, which MySQL compares with vectors alone.
pub(super) const AS_VECTOR: Form = Form("vector");

pub(super) const FORMS: [Form; 9] =
    [AS_UNSIGNED, AS_FLAG, AS_BIT, AS_YEAR, AS_DATE_OR_NULL, AS_TEXT, AS_CONVERTED, AS_SHAPE, AS_VECTOR];

/// Digits of the widest decimals.
const MAX_DECIMAL128: u8 = 38;

/// A type as the server's catalog says it.
#[derive(Debug, Clone, Default)]
pub(super) struct RemoteType {
    /// Its name alone: `int`.
    pub(super) name: String,
    /// All of it: `int(10) unsigned`.
    pub(super) full: String,
    /// Digits of a number, or bits.
    pub(super) precision: Option<u8>,
    /// Digits after the point.
    pub(super) scale: Option<i8>,
    /// The character set of text.
    pub(super) character_set: Option<String>,
}

impl RemoteType {
    /// The type of a column of what a query gives, by the number that the protocol has for it: `enum_field_types` in MySQL's
    /// sources. Text is told in the connection's character set, whatever its own is.
    pub(super) fn of(definition: &ColumnDefinition) -> Self {
        const BYTES: u16 = 63;
        const ENUM: u16 = 256;
        const SET: u16 = 2048;
        let is_bytes = definition.collation == BYTES;
        let name = match definition.kind {
            1 => "tinyint",
            2 => "smallint",
            9 => "mediumint",
            3 => "int",
            8 => "bigint",
            4 => "float",
            5 => "double",
            0 | 246 => "decimal",
            7 => "timestamp",
            10 | 14 => "date",
            11 => "time",
            12 => "datetime",
            13 => "year",
            16 => "bit",
            242 => "vector",
            245 => "json",
            255 => "geometry",
            _ if definition.flags & ENUM != 0 => "enum",
            _ if definition.flags & SET != 0 => "set",
            247 => "enum",
            248 => "set",
            249..=252 if is_bytes => "blob",
            249..=252 => "text",
            15 | 253 | 254 if is_bytes => "varbinary",
            15 | 253 | 254 => "varchar",
            _ => "null",
        };
        let length = definition.length;
        let (sign, point) = (u32::from(!definition.is_unsigned), u32::from(definition.decimals > 0));
        let (precision, scale) = match name {
            "decimal" => (length.checked_sub(sign + point), i8::try_from(definition.decimals).ok()),
            "bit" => (Some(length), None),
            _ => (None, None),
        };
        let mut full = match (name, precision, scale) {
            ("tinyint", ..) if length == 1 && !definition.is_unsigned => "tinyint(1)".to_owned(),
            (name, Some(precision), Some(scale)) => format!("{name}({precision},{scale})"),
            (name, Some(precision), None) => format!("{name}({precision})"),
            (name, ..) => name.to_owned(),
        };
        if definition.is_unsigned && !matches!(name, "bit" | "year" | "timestamp") {
            full.push_str(" unsigned");
        }
        let precision = precision.and_then(|precision| u8::try_from(precision).ok());
        Self { name: name.to_owned(), full, precision, scale, character_set: None }
    }
}

/// How a type is carried: its Arrow type, and its form where that is not the type's own.
pub(super) fn carried(remote: &RemoteType, config: &Config) -> (DataType, Form) {
    let natural = |data_type| (data_type, Form::NATURAL);
    let is_unsigned = remote.full.contains("unsigned");
    let integer = |signed: DataType, wider: DataType| if is_unsigned { (wider, AS_UNSIGNED) } else { natural(signed) };
    let date = |data_type| (data_type, if config.has_null_dates { AS_DATE_OR_NULL } else { Form::NATURAL });
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    match remote.name.as_str() {
        "tinyint" if remote.full == "tinyint(1)" && config.tinyint1_as_boolean => (DataType::Boolean, AS_FLAG),
        "tinyint" => integer(DataType::Int8, DataType::Int16),
        "smallint" => integer(DataType::Int16, DataType::Int32),
        "mediumint" => integer(DataType::Int32, DataType::Int32),
        "int" => integer(DataType::Int32, DataType::Int64),
        "bigint" => integer(DataType::Int64, DataType::Decimal128(20, 0)),
        "bit" => match remote.precision {
            Some(1) => (DataType::Boolean, AS_BIT),
            Some(64) | None => (DataType::Decimal128(20, 0), AS_BIT),
            Some(_) => (DataType::Int64, AS_BIT),
        },
        "decimal" => match (remote.precision, remote.scale) {
            (Some(precision), Some(scale)) if precision <= MAX_DECIMAL128 => {
                natural(DataType::Decimal128(precision, scale))
            }
            (Some(precision), Some(scale)) => natural(DataType::Decimal256(precision, scale)),
            _ => (DataType::Utf8, AS_TEXT),
        },
        "float" => natural(DataType::Float32),
        "double" => natural(DataType::Float64),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            match remote.character_set.as_deref() {
                // The bytes of these are those of UTF-8.
                Some("utf8mb4" | "utf8mb3" | "utf8" | "ascii") => natural(DataType::Utf8),
                _ => (DataType::Utf8, AS_CONVERTED),
            }
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => natural(DataType::Binary),
        "vector" => (DataType::Binary, AS_VECTOR),
        "date" => date(DataType::Date32),
        "datetime" => date(micros(None)),
        "timestamp" => date(micros(Some("UTC"))),
        "time" => natural(DataType::Time64(TimeUnit::Microsecond)),
        "year" => (DataType::Int16, AS_YEAR),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => (DataType::Binary, AS_SHAPE),
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
        | DataType::Timestamp(..) => true,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale >= 0,
        _ => false,
    }
}

/// A date as MySQL reads it; none where it is before the year 1 or after 9999.
pub(super) fn print_date(days: i32) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }?;
    let text = date.format("%Y-%m-%d").to_string();
    (text.as_str() >= "0001" && text.len() == 10 && !text.starts_with(['+', '-'])).then_some(text)
}

/// A time of day as MySQL reads it.
pub(super) fn print_time(micros: i64) -> Option<String> {
    let nanos = u32::try_from(micros % 1_000_000).ok()?.checked_mul(1_000)?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(micros / 1_000_000).ok()?, nanos)?;
    Some(time.format("%H:%M:%S%.6f").to_string())
}

/// A moment as MySQL reads it, without its zone.
pub(super) fn print_timestamp(micros: i64) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let days = moment.date().signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days();
    let date = print_date(i32::try_from(days).ok()?)?;
    Some(format!("{date} {}", moment.time().format("%H:%M:%S%.6f")))
}
