use std::fmt;

use arrow::datatypes::i256;
use chrono::{Datelike, NaiveDate};
use tombolo_connector::Result;

use crate::mysql::client::{ColumnDefinition, Reader, unexpected};

/// Why a value cannot be carried.
pub(super) type Refusal = String;

/// What is said of a date without a month or a day.
pub(super) const ZERO_DATE: &str = "which has no month or no day";

const DAY_MICROS: i64 = 86_400_000_000;

/// A value of a binary row. Forms: "Binary Protocol Value" in the documentation of MySQL's sources.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Null,
    Integer(i64),
    Unsigned(u64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
    Moment(Moment),
    Time { is_negative: bool, micros: i64 },
}

/// A date, and a time of the day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    /// Since midnight.
    micros: i64,
}

impl<'a> Wire<'a> {
    /// Reads a value that is not null.
    pub(super) fn read(reader: &mut Reader<'a>, definition: &ColumnDefinition) -> Result<Self> {
        let is_unsigned = definition.is_unsigned;
        // `enum_field_types` in MySQL's sources.
        Ok(match definition.kind {
            1 if is_unsigned => Self::Integer(i64::from(reader.u8()?)),
            1 => Self::Integer(i64::from(i8::from_le_bytes(reader.array()?))),
            2 | 13 if is_unsigned => Self::Integer(i64::from(reader.u16()?)),
            2 | 13 => Self::Integer(i64::from(i16::from_le_bytes(reader.array()?))),
            3 | 9 if is_unsigned => Self::Integer(i64::from(reader.u32()?)),
            3 | 9 => Self::Integer(i64::from(i32::from_le_bytes(reader.array()?))),
            8 if is_unsigned => Self::Unsigned(u64::from_le_bytes(reader.array()?)),
            8 => Self::Integer(i64::from_le_bytes(reader.array()?)),
            4 => Self::Float(f32::from_le_bytes(reader.array()?)),
            5 => Self::Double(f64::from_le_bytes(reader.array()?)),
            7 | 10 | 12 => Self::Moment(Moment::read(reader)?),
            11 => Self::time(reader)?,
            0 | 15 | 16 | 242 | 245..=255 => Self::Bytes(reader.text()?),
            other => return unexpected(&format!("a value of the type {other}")),
        })
    }

    fn time(reader: &mut Reader<'a>) -> Result<Self> {
        let length = reader.u8()?;
        if length == 0 {
            return Ok(Self::Time { is_negative: false, micros: 0 });
        }
        let is_negative = reader.u8()? != 0;
        let days = i64::from(reader.u32()?);
        let micros = days * DAY_MICROS + day_micros(reader, length > 8)?;
        Ok(Self::Time { is_negative, micros })
    }

    /// What is said of a value that is none of these.
    pub(super) fn unlike(self, what: &str) -> Refusal {
        format!("{self}, where {what} was expected")
    }
}

impl fmt::Display for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(number) => write!(f, "the number {number}"),
            Self::Unsigned(number) => write!(f, "the number {number}"),
            Self::Float(number) => write!(f, "the number {number}"),
            Self::Double(number) => write!(f, "the number {number}"),
            Self::Bytes(bytes) => write!(f, "a text of {} bytes", bytes.len()),
            Self::Moment(moment) => write!(f, "{moment}"),
            Self::Time { is_negative, micros } => {
                let (sign, seconds) = (if *is_negative { "-" } else { "" }, micros / 1_000_000);
                write!(f, "the time {sign}{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
            }
        }
    }
}

impl Moment {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let length = reader.u8()?;
        if length == 0 {
            return Ok(Self::default());
        }
        let (year, month, day) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let micros = if length > 4 { day_micros(reader, length > 7)? } else { 0 };
        Ok(Self { year, month, day, micros })
    }

    /// Days since 1970.
    fn days(self) -> std::result::Result<i32, Refusal> {
        if self.month == 0 || self.day == 0 {
            return Err(format!("{self}, {ZERO_DATE}"));
        }
        let date = NaiveDate::from_ymd_opt(i32::from(self.year), u32::from(self.month), u32::from(self.day));
        let date = date.ok_or_else(|| format!("{self}, which there is not"))?;
        Ok(date.num_days_from_ce() - EPOCH_FROM_CE)
    }
}

/// Days from the first of the year 1, counted from 1, to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the date {:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn day_micros(reader: &mut Reader<'_>, has_micros: bool) -> Result<i64> {
    let [hours, minutes, seconds] = reader.array()?.map(i64::from as fn(u8) -> i64);
    let micros = if has_micros { i64::from(reader.u32()?) } else { 0 };
    Ok(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

pub(super) fn boolean(value: Wire<'_>) -> std::result::Result<bool, Refusal> {
    match value {
        Wire::Integer(0) | Wire::Unsigned(0) => Ok(false),
        Wire::Integer(1) | Wire::Unsigned(1) => Ok(true),
        // Numbers of several types together are a decimal.
        Wire::Bytes([byte @ (b'0' | b'1')]) => Ok(*byte == b'1'),
        Wire::Integer(_) | Wire::Unsigned(_) => Err(format!("{value}, which is neither 0 nor 1")),
        other => Err(other.unlike("a truth value")),
    }
}

pub(super) fn integer(value: Wire<'_>) -> std::result::Result<i64, Refusal> {
    match value {
        Wire::Integer(number) => Ok(number),
        Wire::Unsigned(number) => i64::try_from(number).map_err(|_| format!("{number}, which is out of range")),
        Wire::Bytes(bytes) => {
            i64::try_from(unscaled(bytes, 0)?).map_err(|_| "a number that is out of range".to_owned())
        }
        other => Err(other.unlike("an integer")),
    }
}

pub(super) fn narrowed<T: TryFrom<i64>>(value: Wire<'_>) -> std::result::Result<T, Refusal> {
    let number = integer(value)?;
    T::try_from(number).map_err(|_| format!("{number}, which is out of range"))
}

pub(super) fn float32(value: Wire<'_>) -> std::result::Result<f32, Refusal> {
    match value {
        Wire::Float(number) => Ok(number),
        Wire::Double(number) if f64::from(number as f32) == number => Ok(number as f32),
        other => Err(other.unlike("a float of 4 bytes")),
    }
}

pub(super) fn float64(value: Wire<'_>) -> std::result::Result<f64, Refusal> {
    match value {
        Wire::Double(number) => Ok(number),
        Wire::Float(number) => Ok(f64::from(number)),
        other => Err(other.unlike("a float of 8 bytes")),
    }
}

pub(super) fn text(value: Wire<'_>) -> std::result::Result<&str, Refusal> {
    match value {
        Wire::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned()),
        other => Err(other.unlike("text")),
    }
}

pub(super) fn date(value: Wire<'_>) -> std::result::Result<i32, Refusal> {
    match value {
        Wire::Moment(moment) if moment.micros == 0 => moment.days(),
        other => Err(other.unlike("a date")),
    }
}

pub(super) fn time(value: Wire<'_>) -> std::result::Result<i64, Refusal> {
    match value {
        Wire::Time { is_negative: false, micros } if micros < DAY_MICROS => Ok(micros),
        Wire::Time { is_negative: true, micros: 0 } => Ok(0),
        Wire::Time { .. } => Err(format!("{value}, which is not a time of the day")),
        other => Err(other.unlike("a time")),
    }
}

/// Microseconds since 1970.
pub(super) fn moment(value: Wire<'_>) -> std::result::Result<i64, Refusal> {
    match value {
        Wire::Moment(moment) => Ok(i64::from(moment.days()?) * DAY_MICROS + moment.micros),
        other => Err(other.unlike("a timestamp")),
    }
}

pub(super) fn coarser(value: Wire<'_>, micros_each: i64) -> std::result::Result<i64, Refusal> {
    let micros = moment(value)?;
    if micros % micros_each != 0 {
        return Err("a timestamp with a finer fraction than its type".to_owned());
    }
    Ok(micros.div_euclid(micros_each))
}

/// The digits of a decimal before its point and after it, without zeros at the end.
fn parts(bytes: &[u8]) -> std::result::Result<(bool, &str, &str), Refusal> {
    let malformed = || "a number that cannot be read".to_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(malformed());
    }
    Ok((is_negative, whole, fraction.trim_end_matches('0')))
}

/// The number times ten to the scale.
fn unscaled(bytes: &[u8], scale: usize) -> std::result::Result<i128, Refusal> {
    let (is_negative, whole, fraction) = parts(bytes)?;
    if fraction.len() > scale {
        return Err(format!("a number with more than {scale} digits after its point"));
    }
    let too_long = || "a number with more digits than its type".to_owned();
    let mut sum = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        sum = sum.checked_mul(10).and_then(|sum| sum.checked_add(i128::from(digit - b'0'))).ok_or_else(too_long)?;
    }
    let missing = u32::try_from(scale - fraction.len()).map_err(|_| too_long())?;
    let power = 10_i128.checked_pow(missing).ok_or_else(too_long)?;
    let sum = sum.checked_mul(power).ok_or_else(too_long)?;
    Ok(if is_negative { -sum } else { sum })
}

/// The powers of ten that fit into 64 bits.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The number times ten to the scale, where 64 bits hold all of it, as those of most numbers do; none for all others.
fn short(bytes: &[u8], precision: u8, scale: usize) -> Option<i128> {
    let (is_negative, digits) = match bytes.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, bytes),
    };
    let (mut sum, mut places, mut has_point) = (0_u64, 0, false);
    // Nineteen digits fit.
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                sum = sum * 10 + u64::from(byte - b'0');
                places += usize::from(has_point);
            }
            b'.' if !has_point && digits.len() > 1 => has_point = true,
            _ => return None,
        }
    }
    let number = sum.checked_mul(*POWERS.get(scale.checked_sub(places)?)?)?;
    let fits = POWERS.get(usize::from(precision)).is_none_or(|limit| number < *limit);
    let number = i128::from(number);
    fits.then_some(if is_negative { -number } else { number })
}

pub(super) fn decimal128(value: Wire<'_>, precision: u8, scale: i8) -> std::result::Result<i128, Refusal> {
    let places = usize::from(scale.unsigned_abs());
    if let Wire::Bytes(bytes) = value
        && let Some(number) = short(bytes, precision, places)
    {
        return Ok(number);
    }
    let whole = |number: i128| {
        let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
        power
            .and_then(|power| number.checked_mul(power))
            .ok_or_else(|| "a number with more digits than its type".to_owned())
    };
    let number = match value {
        Wire::Bytes(bytes) => unscaled(bytes, places)?,
        Wire::Integer(number) => whole(i128::from(number))?,
        Wire::Unsigned(number) => whole(i128::from(number))?,
        other => return Err(other.unlike("a decimal")),
    };
    if number.unsigned_abs() >= 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX) {
        return Err(format!("a number with more than {precision} digits"));
    }
    Ok(number)
}

pub(super) fn decimal256(value: Wire<'_>, precision: u8, scale: i8) -> std::result::Result<i256, Refusal> {
    let scale = usize::from(scale.unsigned_abs());
    let (is_negative, whole, fraction) = match value {
        Wire::Bytes(bytes) => parts(bytes)?,
        other => return Err(other.unlike("a decimal")),
    };
    if fraction.len() > scale {
        return Err(format!("a number with more than {scale} digits after its point"));
    }
    let digits = format!("{whole}{fraction:0<scale$}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(precision) {
        return Err(format!("a number with more than {precision} digits"));
    }
    let number = if digits.is_empty() { Some(i256::ZERO) } else { i256::from_string(digits) };
    let number = number.ok_or_else(|| "a number that cannot be read".to_owned())?;
    Ok(if is_negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::{Wire, decimal128, short, unscaled};

    #[test]
    fn short_decimals_are_read_as_long_ones_are() {
        for text in ["0", "-0.00", "1.5", "-12.30", "99.99", "007", "1234567890123456789", "-0.000001", ".5", "5."] {
            let quick = short(text.as_bytes(), 38, 6);
            if let Some(quick) = quick {
                assert_eq!(Ok(quick), unscaled(text.as_bytes(), 6), "{text}");
            }
            assert_eq!(decimal128(Wire::Bytes(text.as_bytes()), 38, 6), unscaled(text.as_bytes(), 6), "{text}");
        }
        assert_eq!(short(b"-12.30", 10, 2), Some(-1230));
        for text in ["", "-", ".", "1.2.3", "1e5", "+1", " 1", "1.234", "12345678901234567890", "1000"] {
            assert_eq!(short(text.as_bytes(), 3, 2), None, "{text}");
        }
        for text in ["", "-", ".", "1.2.3", "1e5", "10.00", "1.234"] {
            assert!(decimal128(Wire::Bytes(text.as_bytes()), 3, 2).is_err(), "{text}");
        }
    }
}
