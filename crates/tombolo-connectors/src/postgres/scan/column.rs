use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    LargeStringBuilder, ListArray, NullArray, StringBuilder, StringViewBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, TimestampMillisecondBuilder, TimestampNanosecondBuilder, TimestampSecondBuilder,
    UInt64Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256};
use tombolo_connector::{Error, ErrorCode, Result};

use crate::postgres::types::{EPOCH_DAYS, EPOCH_MICROS};
use crate::sql::Form;

/// Why a value cannot be carried.
type Refusal = String;

/// Puts the values of one output column into an Arrow array, from the form in which PostgreSQL's `…_send` functions write them.
#[derive(Debug)]
pub(super) struct ColumnReader {
    values: Values,
    field: FieldRef,
    /// The stored column as errors name it, or the output column's name.
    name: String,
}

#[derive(Debug)]
enum Values {
    Null(usize),
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Utf8(StringBuilder),
    LargeUtf8(LargeStringBuilder),
    Utf8View(StringViewBuilder),
    Binary(BinaryBuilder),
    Date32(Date32Builder),
    Time64(Time64MicrosecondBuilder),
    Second(TimestampSecondBuilder),
    Millisecond(TimestampMillisecondBuilder),
    Microsecond(TimestampMicrosecondBuilder),
    Nanosecond(TimestampNanosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List(Box<Lists>),
}

/// Lists of one dimension.
#[derive(Debug)]
struct Lists {
    items: Values,
    item: FieldRef,
    lengths: Vec<usize>,
    present: Vec<bool>,
}

impl ColumnReader {
    pub(super) fn try_new(field: &Field, _form: Form, origin: Option<Arc<str>>) -> Result<Self> {
        let name = origin.map_or_else(|| format!("`{}`", field.name()), |origin| origin.to_string());
        let values = Values::of(field.data_type()).ok_or_else(|| {
            Error::internal(format!("values of type {} were accepted and cannot be read", field.data_type()))
        })?;
        Ok(Self { values, field: Arc::new(field.clone()), name })
    }

    /// Adds a value.
    ///
    /// # Errors
    /// Why it cannot be carried.
    pub(super) fn append(&mut self, value: Option<&[u8]>) -> std::result::Result<(), Refusal> {
        if value.is_none() && !self.field.is_nullable() {
            return Err("a null where the column has none".to_owned());
        }
        self.values.append(value)
    }

    /// The error for a value that cannot be carried.
    pub(super) fn refuse(&self, reason: &str) -> Error {
        Error::new(ErrorCode::InvalidValue, format!("column {} holds {reason}", self.name)).with_hint(format!(
            "Name it in `columns_as_text`, cast it to another type in a view, or leave it out ({} was expected).",
            self.field.data_type()
        ))
    }

    /// The array of the values so far; begins anew.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let data_type = self.field.data_type().clone();
        self.values.finish(&data_type)
    }
}

impl Values {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Null => Self::Null(0),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                Self::Decimal128(Decimal128Builder::new().with_data_type(data_type.clone()), *precision, *scale)
            }
            DataType::Decimal256(precision, scale) if *scale >= 0 => {
                Self::Decimal256(Decimal256Builder::new().with_data_type(data_type.clone()), *precision, *scale)
            }
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeUtf8(LargeStringBuilder::new()),
            DataType::Utf8View => Self::Utf8View(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date32(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time64(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => Self::Second(TimestampSecondBuilder::new().with_data_type(data_type.clone())),
                TimeUnit::Millisecond => {
                    Self::Millisecond(TimestampMillisecondBuilder::new().with_data_type(data_type.clone()))
                }
                TimeUnit::Microsecond => {
                    Self::Microsecond(TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()))
                }
                TimeUnit::Nanosecond => {
                    Self::Nanosecond(TimestampNanosecondBuilder::new().with_data_type(data_type.clone()))
                }
            },
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::List(item) => Self::List(Box::new(Lists {
                items: Self::of(item.data_type())?,
                item: Arc::clone(item),
                lengths: Vec::new(),
                present: Vec::new(),
            })),
            _ => return None,
        })
    }

    fn append(&mut self, value: Option<&[u8]>) -> std::result::Result<(), Refusal> {
        match self {
            Self::Null(rows) => match value {
                None => *rows += 1,
                Some(_) => return Err("a value where all are null".to_owned()),
            },
            Self::Boolean(builder) => builder.append_option(value.map(boolean).transpose()?),
            Self::Int8(builder) => builder.append_option(value.map(narrowed).transpose()?),
            Self::Int16(builder) => builder.append_option(value.map(narrowed).transpose()?),
            Self::Int32(builder) => builder.append_option(value.map(narrowed).transpose()?),
            Self::Int64(builder) => builder.append_option(value.map(integer).transpose()?),
            Self::UInt64(builder) => builder.append_option(value.map(narrowed).transpose()?),
            Self::Float32(builder) => builder.append_option(value.map(float32).transpose()?),
            Self::Float64(builder) => builder.append_option(value.map(float64).transpose()?),
            Self::Decimal128(builder, precision, scale) => {
                builder.append_option(value.map(|bytes| decimal128(bytes, *precision, *scale)).transpose()?);
            }
            Self::Decimal256(builder, precision, scale) => {
                builder.append_option(value.map(|bytes| decimal256(bytes, *precision, *scale)).transpose()?);
            }
            Self::Utf8(builder) => builder.append_option(value.map(text).transpose()?),
            Self::LargeUtf8(builder) => builder.append_option(value.map(text).transpose()?),
            Self::Utf8View(builder) => builder.append_option(value.map(text).transpose()?),
            Self::Binary(builder) => builder.append_option(value),
            Self::Date32(builder) => builder.append_option(value.map(date).transpose()?),
            Self::Time64(builder) => builder.append_option(value.map(time).transpose()?),
            Self::Second(builder) => builder.append_option(value.map(|bytes| coarser(bytes, 1_000_000)).transpose()?),
            Self::Millisecond(builder) => builder.append_option(value.map(|bytes| coarser(bytes, 1_000)).transpose()?),
            Self::Microsecond(builder) => builder.append_option(value.map(moment).transpose()?),
            Self::Nanosecond(builder) => {
                let nanos = |bytes| {
                    moment(bytes)?
                        .checked_mul(1_000)
                        .ok_or_else(|| "a moment outside the years 1677 to 2262".to_owned())
                };
                builder.append_option(value.map(nanos).transpose()?);
            }
            Self::Interval(builder) => builder.append_option(value.map(interval).transpose()?),
            Self::List(lists) => lists.append(value)?,
        }
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        match self {
            Self::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::UInt64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal128(builder, ..) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Decimal256(builder, ..) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Utf8(builder) => Arc::new(builder.finish()),
            Self::LargeUtf8(builder) => Arc::new(builder.finish()),
            Self::Utf8View(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Date32(builder) => Arc::new(builder.finish()),
            Self::Time64(builder) => Arc::new(builder.finish()),
            Self::Second(builder) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Millisecond(builder) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Microsecond(builder) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Nanosecond(builder) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Interval(builder) => Arc::new(builder.finish()),
            Self::List(lists) => lists.finish(),
        }
    }
}

impl Lists {
    fn append(&mut self, value: Option<&[u8]>) -> std::result::Result<(), Refusal> {
        let malformed = || "an array that cannot be read".to_owned();
        let Some(bytes) = value else {
            self.lengths.push(0);
            self.present.push(false);
            return Ok(());
        };
        // Dimensions, whether there are nulls, the elements' type; then the length and the first index of each dimension.
        let (head, mut bytes) = bytes.split_first_chunk::<12>().ok_or_else(malformed)?;
        let dimensions = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let length = match dimensions {
            0 => 0,
            1 => {
                let (dimension, rest) = bytes.split_first_chunk::<8>().ok_or_else(malformed)?;
                bytes = rest;
                i32::from_be_bytes([dimension[0], dimension[1], dimension[2], dimension[3]])
            }
            more => return Err(format!("an array of {more} dimensions")),
        };
        for _ in 0..length {
            let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
            let item = match usize::try_from(i32::from_be_bytes(*size)) {
                Ok(size) => Some(rest.get(..size).ok_or_else(malformed)?),
                Err(_) => None,
            };
            bytes = rest.get(item.map_or(0, <[u8]>::len)..).ok_or_else(malformed)?;
            self.items.append(item)?;
        }
        self.lengths.push(usize::try_from(length).map_err(|_| malformed())?);
        self.present.push(true);
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths));
        let nulls = NullBuffer::from(std::mem::take(&mut self.present));
        let items = self.items.finish(self.item.data_type());
        Arc::new(ListArray::new(Arc::clone(&self.item), offsets, items, Some(nulls)))
    }
}

fn wrong(bytes: &[u8], what: &str) -> Refusal {
    format!("{} bytes where {what} was expected", bytes.len())
}

fn boolean(bytes: &[u8]) -> std::result::Result<bool, Refusal> {
    match bytes {
        [value] => Ok(*value != 0),
        _ => Err(wrong(bytes, "a truth value")),
    }
}

/// An integer of any width: what is computed has the width that its operands gave it.
fn integer(bytes: &[u8]) -> std::result::Result<i64, Refusal> {
    if let Ok(bytes) = bytes.try_into() {
        Ok(i64::from_be_bytes(bytes))
    } else if let Ok(bytes) = bytes.try_into() {
        Ok(i64::from(i32::from_be_bytes(bytes)))
    } else if let Ok(bytes) = bytes.try_into() {
        Ok(i64::from(i16::from_be_bytes(bytes)))
    } else {
        Err(wrong(bytes, "an integer"))
    }
}

fn narrowed<T: TryFrom<i64>>(bytes: &[u8]) -> std::result::Result<T, Refusal> {
    let value = integer(bytes)?;
    T::try_from(value).map_err(|_| format!("{value}, which is out of range"))
}

/// Not-a-number has many bit patterns, which PostgreSQL holds to be one value, greater than all others.
fn float32(bytes: &[u8]) -> std::result::Result<f32, Refusal> {
    let bytes = bytes.try_into().map_err(|_| wrong(bytes, "a float of 4 bytes"))?;
    let value = f32::from_be_bytes(bytes);
    Ok(if value.is_nan() { f32::NAN } else { value })
}

fn float64(bytes: &[u8]) -> std::result::Result<f64, Refusal> {
    if bytes.len() == 4 {
        return float32(bytes).map(f64::from);
    }
    let bytes = bytes.try_into().map_err(|_| wrong(bytes, "a float of 8 bytes"))?;
    let value = f64::from_be_bytes(bytes);
    Ok(if value.is_nan() { f64::NAN } else { value })
}

fn text(bytes: &[u8]) -> std::result::Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())
}

fn date(bytes: &[u8]) -> std::result::Result<i32, Refusal> {
    let days = i32::from_be_bytes(bytes.try_into().map_err(|_| wrong(bytes, "a date"))?);
    if matches!(days, i32::MAX | i32::MIN) {
        return Err("an infinite date".to_owned());
    }
    days.checked_add(EPOCH_DAYS).ok_or_else(|| "a date that is out of range".to_owned())
}

fn time(bytes: &[u8]) -> std::result::Result<i64, Refusal> {
    let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong(bytes, "a time of day"))?);
    if micros >= 86_400_000_000 {
        return Err("the time 24:00:00, which is not a time of the day".to_owned());
    }
    Ok(micros)
}

/// Microseconds since 1970. A date stands for its midnight.
fn moment(bytes: &[u8]) -> std::result::Result<i64, Refusal> {
    if bytes.len() == 4 {
        return Ok(i64::from(date(bytes)?) * 86_400_000_000);
    }
    let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong(bytes, "a timestamp"))?);
    if matches!(micros, i64::MAX | i64::MIN) {
        return Err("an infinite timestamp".to_owned());
    }
    micros.checked_add(EPOCH_MICROS).ok_or_else(|| "a timestamp that is out of range".to_owned())
}

fn coarser(bytes: &[u8], micros_each: i64) -> std::result::Result<i64, Refusal> {
    let micros = moment(bytes)?;
    if micros % micros_each != 0 {
        return Err("a timestamp with a finer fraction than its type".to_owned());
    }
    Ok(micros.div_euclid(micros_each))
}

fn interval(bytes: &[u8]) -> std::result::Result<IntervalMonthDayNano, Refusal> {
    let bytes: &[u8; 16] = bytes.try_into().map_err(|_| wrong(bytes, "an interval"))?;
    let [a, b, c, d, e, f, g, h, days @ ..] = bytes;
    let micros = i64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
    let [a, b, c, d, months @ ..] = days;
    let (days, months) = (i32::from_be_bytes([*a, *b, *c, *d]), i32::from_be_bytes(*months));
    let nanos =
        micros.checked_mul(1_000).ok_or_else(|| "an interval whose time is longer than 292 years".to_owned())?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

/// A number as `numeric_send` writes it: digits to the base of 10,000, of which the first stands for 10,000 to its weight.
struct Numeric<'a> {
    weight: i32,
    is_negative: bool,
    digits: &'a [u8],
}

fn numeric(bytes: &[u8]) -> std::result::Result<Numeric<'_>, Refusal> {
    let (head, digits) = bytes.split_first_chunk::<8>().ok_or_else(|| wrong(bytes, "a number"))?;
    let [_, _, weight_high, weight_low, sign_high, sign_low, ..] = *head;
    let is_negative = match u16::from_be_bytes([sign_high, sign_low]) {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Err("a number that is not a number (NaN)".to_owned()),
        _ => return Err("an infinite number".to_owned()),
    };
    Ok(Numeric { weight: i32::from(i16::from_be_bytes([weight_high, weight_low])), is_negative, digits })
}

/// The number times ten to the scale, by a sum that is told each digit and the power of ten that it is to be multiplied with.
fn unscaled<T>(
    number: &Numeric<'_>,
    scale: i8,
    zero: T,
    mut add: impl FnMut(T, i64, u32) -> Option<T>,
) -> std::result::Result<T, Refusal> {
    let mut sum = zero;
    for (at, digit) in (0i32..).zip(number.digits.chunks_exact(2)) {
        let digit = i64::from(u16::from_be_bytes([digit[0], digit[1]]));
        let power = 4 * (number.weight - at) + i32::from(scale);
        let (digit, power) = match u32::try_from(power) {
            Ok(power) => (digit, power),
            // The digit goes on behind the last place; there it must be zero.
            Err(_) => {
                let divisor = 10_i64.checked_pow(power.unsigned_abs()).unwrap_or(i64::MAX);
                if digit % divisor != 0 {
                    return Err(format!("a number with more than {scale} digits after its point"));
                }
                (digit / divisor, 0)
            }
        };
        if digit != 0 {
            sum = add(sum, digit, power).ok_or_else(|| "a number with more digits than its type".to_owned())?;
        }
    }
    Ok(sum)
}

fn decimal128(bytes: &[u8], precision: u8, scale: i8) -> std::result::Result<i128, Refusal> {
    // What was computed of integers alone is an integer.
    if let 2 | 4 = bytes.len() {
        return i128::from(integer(bytes)?)
            .checked_mul(10_i128.pow(u32::from(scale.unsigned_abs())))
            .ok_or_else(|| "a number with more digits than its type".to_owned());
    }
    let number = numeric(bytes)?;
    let sum = unscaled(&number, scale, 0_i128, |sum, digit, power| {
        sum.checked_add(i128::from(digit).checked_mul(10_i128.checked_pow(power)?)?)
    })?;
    if sum >= 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) {
        return Err(format!("a number with more than {precision} digits"));
    }
    Ok(if number.is_negative { -sum } else { sum })
}

fn decimal256(bytes: &[u8], precision: u8, scale: i8) -> std::result::Result<i256, Refusal> {
    let number = numeric(bytes)?;
    let ten = i256::from_i128(10);
    let sum = unscaled(&number, scale, i256::ZERO, |sum, digit, power| {
        sum.checked_add(i256::from_i128(i128::from(digit)).checked_mul(ten.checked_pow(power)?)?)
    })?;
    if ten.checked_pow(u32::from(precision)).is_some_and(|limit| sum >= limit) {
        return Err(format!("a number with more than {precision} digits"));
    }
    Ok(if number.is_negative { sum.wrapping_neg() } else { sum })
}
