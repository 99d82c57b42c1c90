//! Typed values written as text: which type fits the values of a column, and their conversion without any loss.
//!
//! A value has a type only if writing the typed value again gives the same value. `00501` is therefore no number (the
//! zeros would be lost), `1.5` is no bigint, and a decimal with more digits than a double can give back is no double. What
//! is inferred from a sample is held against every value that is read: the first that does not fit is an error that names
//! it, never a value that was changed in silence.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringViewArray,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};

/// Narrows down which types fit all values seen so far.
#[derive(Debug, Clone, Default)]
pub(in crate::files) struct TypeGuess {
    any: bool,
    not_boolean: bool,
    not_bigint: bool,
    not_double: bool,
    not_decimal: bool,
    not_date: bool,
    not_timestamp: bool,
    not_timestamptz: bool,
    /// A number was seen, so that `NaN` is one too.
    finite_number: bool,
    integer_digits: usize,
    scale: usize,
    nanoseconds: bool,
}

impl TypeGuess {
    /// Takes a value into account.
    pub(in crate::files) fn see(&mut self, text: &str) {
        self.any = true;
        self.not_boolean |= parse_boolean(text).is_none();
        if !(self.not_bigint && self.not_double && self.not_decimal) {
            match number_parts(text) {
                Some(parts) => {
                    self.finite_number = true;
                    self.not_bigint |= parse_bigint(text).is_err();
                    self.not_double |= parse_double(text).is_err();
                    self.not_decimal |= parts.exponent;
                    self.integer_digits = self.integer_digits.max(parts.integer.len());
                    self.scale = self.scale.max(parts.fraction.len());
                }
                None => {
                    (self.not_bigint, self.not_decimal) = (true, true);
                    self.not_double |= parse_special_double(text).is_none();
                }
            }
        }
        self.not_date |= parse_date(text).is_none();
        if !(self.not_timestamp && self.not_timestamptz) {
            let (timestamp, timestamptz) = (parse_timestamp(text), parse_timestamptz(text));
            self.not_timestamp |= timestamp.is_none();
            self.not_timestamptz |= timestamptz.is_none();
            let nanoseconds = timestamp.or(timestamptz);
            self.nanoseconds |= nanoseconds.is_some_and(|time| time.and_utc().timestamp_subsec_nanos() % 1000 != 0);
        }
    }

    /// The narrowest type that fits; text where none does or nothing was seen.
    pub(in crate::files) fn data_type(&self) -> DataType {
        if !self.any {
            return DataType::Utf8View;
        }
        let unit = if self.nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        if !self.not_boolean {
            return DataType::Boolean;
        }
        if let Some(number) = self.number_type() {
            return number;
        }
        if !self.not_date {
            DataType::Date32
        } else if !self.not_timestamp {
            DataType::Timestamp(unit, None)
        } else if !self.not_timestamptz {
            DataType::Timestamp(unit, Some("UTC".into()))
        } else {
            DataType::Utf8View
        }
    }

    /// The narrowest number that fits. Integers that overflow a bigint are text: they are names more often than amounts.
    pub(in crate::files) fn number_type(&self) -> Option<DataType> {
        if !self.finite_number {
            None
        } else if !self.not_bigint {
            Some(DataType::Int64)
        } else if !self.not_double && self.scale + usize::from(self.not_decimal) > 0 {
            Some(DataType::Float64)
        } else if !self.not_decimal && self.scale > 0 && self.integer_digits.max(1) + self.scale <= 38 {
            Some(DataType::Decimal128(38, self.scale as i8))
        } else {
            None
        }
    }
}

/// A value that does not have its column's type.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::files) struct Misfit {
    /// The row within the array.
    pub(in crate::files) row: usize,
    pub(in crate::files) value: String,
    /// Why it does not fit, as a clause.
    pub(in crate::files) reason: &'static str,
}

/// Converts texts to a type, or says which value does not have it. `null_text` reads as null.
pub(in crate::files) fn convert(
    texts: &StringViewArray,
    data_type: &DataType,
    null_text: Option<&str>,
) -> Result<ArrayRef, Misfit> {
    let values = || texts.iter().map(|text| text.filter(|text| Some(*text) != null_text));
    macro_rules! build {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for (row, text) in values().enumerate() {
                let value = match text {
                    Some(text) => {
                        Some($parse(text).map_err(|reason| Misfit { row, value: text.to_owned(), reason })?)
                    }
                    None => None,
                };
                builder.append_option(value);
            }
            Ok(Arc::new(builder.finish()) as ArrayRef)
        }};
    }
    match data_type {
        DataType::Utf8View if null_text.is_none() => Ok(Arc::new(texts.clone())),
        DataType::Utf8View => Ok(Arc::new(values().collect::<StringViewArray>())),
        DataType::Boolean => {
            build!(BooleanBuilder::with_capacity(texts.len()), |t| parse_boolean(t).ok_or("is not true or false"))
        }
        DataType::Int64 => build!(Int64Builder::with_capacity(texts.len()), parse_bigint),
        DataType::Float64 => build!(Float64Builder::with_capacity(texts.len()), |t| match parse_special_double(t) {
            Some(value) => Ok(value),
            None => parse_double(t),
        }),
        DataType::Decimal128(precision, scale) => {
            let builder = Decimal128Builder::with_capacity(texts.len()).with_data_type(data_type.clone());
            build!(builder, |t| parse_decimal(t, *precision, *scale))
        }
        DataType::Date32 => build!(Date32Builder::with_capacity(texts.len()), |t| {
            // 719,163 is the day of 1970-01-01 counted from the year 1.
            parse_date(t).map(|date| date.num_days_from_ce() - 719_163).ok_or("is not a date such as 2026-01-31")
        }),
        DataType::Timestamp(unit, zone) => {
            let parse = |t: &str| {
                let parsed = if zone.is_some() { parse_timestamptz(t) } else { parse_timestamp(t) };
                let time = parsed.ok_or("is not a time such as 2026-01-31 12:30:00")?.and_utc();
                match unit {
                    TimeUnit::Nanosecond => time.timestamp_nanos_opt().ok_or("is outside the range of nanoseconds"),
                    _ if time.timestamp_subsec_nanos() % 1000 != 0 => Err("has more digits than microseconds"),
                    _ => Ok(time.timestamp_micros()),
                }
            };
            match unit {
                TimeUnit::Nanosecond => {
                    build!(TimestampNanosecondBuilder::new().with_timezone_opt(zone.clone()), parse)
                }
                _ => build!(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()), parse),
            }
        }
        _ => Err(Misfit { row: 0, value: data_type.to_string(), reason: "is not a type that text is read as" }),
    }
}

pub(in crate::files) fn parse_boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

struct NumberParts<'a> {
    integer: &'a str,
    fraction: &'a str,
    exponent: bool,
}

/// Takes a plain number apart: no blanks, no plus sign, no leading zeros.
fn number_parts(text: &str) -> Option<NumberParts<'_>> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (integer, fraction) = match mantissa.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (mantissa, None),
    };
    let plain = (integer == "0" || (digits(integer) && !integer.starts_with('0')))
        || (integer.is_empty() && fraction.is_some());
    let sound = plain && fraction.is_none_or(digits) && exponent.is_none_or(digits);
    sound.then(|| NumberParts { integer, fraction: fraction.unwrap_or_default(), exponent: exponent.is_some() })
}

fn not_a_number(text: &str) -> &'static str {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let zeros = unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if zeros { "has leading zeros, which a number would lose" } else { "is not a number" }
}

fn parse_bigint(text: &str) -> Result<i64, &'static str> {
    let parts = number_parts(text).ok_or_else(|| not_a_number(text))?;
    if !parts.fraction.is_empty() || parts.exponent {
        return Err("is not a whole number");
    }
    // Minus zero would lose its sign.
    if text == "-0" {
        return Err("has a sign, which a bigint would lose");
    }
    text.parse().map_err(|_| "is larger than a bigint")
}

fn parse_special_double(text: &str) -> Option<f64> {
    Some(match text {
        "NaN" | "nan" => f64::NAN,
        "inf" | "Infinity" => f64::INFINITY,
        "-inf" | "-Infinity" => f64::NEG_INFINITY,
        _ => return None,
    })
}

/// Reads a double that gives the same digits back when it is written with as many.
fn parse_double(text: &str) -> Result<f64, &'static str> {
    let parts = number_parts(text).ok_or_else(|| not_a_number(text))?;
    let value: f64 = text.parse().map_err(|_| "is not a number")?;
    if !value.is_finite() {
        return Err("is larger than a double");
    }
    let digits = [parts.integer, parts.fraction].concat();
    let digits = digits.trim_start_matches('0');
    // Every decimal of up to 15 significant digits survives the way to a double and back.
    let exact = digits.len() <= 15 || {
        let written = format!("{value:.precision$e}", precision = digits.len() - 1);
        written.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).eq(digits.bytes())
    };
    let underflow = value == 0.0 && !digits.is_empty();
    if exact && !underflow { Ok(value) } else { Err("has more digits than a double keeps") }
}

fn parse_decimal(text: &str, precision: u8, scale: i8) -> Result<i128, &'static str> {
    let parts = number_parts(text).ok_or_else(|| not_a_number(text))?;
    if parts.exponent {
        return Err("is not a plain decimal");
    }
    let scale = usize::from(scale.unsigned_abs());
    let fraction = parts.fraction.trim_end_matches('0');
    if fraction.len() > scale {
        return Err("has more decimal places than its column");
    }
    let digits = format!("{}{fraction:0<scale$}", parts.integer);
    if digits.trim_start_matches('0').len() > usize::from(precision) {
        return Err("has more digits than its column");
    }
    let value: i128 =
        if digits.is_empty() { 0 } else { digits.parse().map_err(|_| "has more digits than its column")? };
    Ok(if text.starts_with('-') { -value } else { value })
}

pub(in crate::files) fn parse_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten()
    };
    if !shaped {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(number(0..4)?).ok()?, number(5..7)?, number(8..10)?)
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let bytes = text.as_bytes();
    if bytes.len() < 5 || bytes[2] != b':' || bytes.len() > 18 {
        return None;
    }
    let format = match bytes.len() {
        5 => "%H:%M",
        8 => "%H:%M:%S",
        10.. if bytes[8] == b'.' => "%H:%M:%S%.f",
        _ => return None,
    };
    // A leap second has no place in Arrow's timestamps, so it stays text.
    NaiveTime::parse_from_str(text, format).ok().filter(|time| chrono::Timelike::nanosecond(time) < 1_000_000_000)
}

fn parse_timestamp(text: &str) -> Option<NaiveDateTime> {
    let date = parse_date(text.get(..10)?)?;
    let rest = text.get(10..)?.strip_prefix([' ', 'T'])?;
    Some(date.and_time(parse_time(rest)?))
}

/// Reads a time with an offset, as the instant in UTC.
fn parse_timestamptz(text: &str) -> Option<NaiveDateTime> {
    let head = text.get(..10)?;
    parse_date(head)?;
    let rest = text.get(10..)?.strip_prefix([' ', 'T'])?;
    let at = rest.find(['Z', '+', '-'])?;
    let (time, offset) = rest.split_at(at);
    parse_time(time)?;
    let offset = match offset {
        "Z" => "+00:00".to_owned(),
        // PostgreSQL writes whole hours alone.
        offset if offset.len() == 3 => format!("{offset}:00"),
        offset => offset.to_owned(),
    };
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    DateTime::parse_from_rfc3339(&format!("{head}T{time}{offset}")).ok().map(|time| time.naive_utc())
}
