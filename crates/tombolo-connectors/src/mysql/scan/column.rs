use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, LargeStringBuilder, NullArray,
    StringBuilder, StringViewBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
    TimestampMillisecondBuilder, TimestampNanosecondBuilder, TimestampSecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use tombolo_connector::{Error, ErrorCode, Result};

pub(super) use super::value::Wire;
use super::value::{
    Refusal, ZERO_DATE, boolean, coarser, date, decimal128, decimal256, float32, float64, integer, moment, narrowed,
    text, time,
};

/// Puts the values of one output column into an Arrow array.
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
}

impl ColumnReader {
    pub(super) fn try_new(field: &Field, origin: Option<Arc<str>>) -> Result<Self> {
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
    pub(super) fn append(&mut self, value: Wire<'_>) -> std::result::Result<(), Refusal> {
        if matches!(value, Wire::Null) && !self.field.is_nullable() {
            return Err("a null where the column has none".to_owned());
        }
        self.values.append(value)
    }

    /// The error for a value that cannot be carried.
    pub(super) fn refuse(&self, reason: &str) -> Error {
        let error = Error::new(ErrorCode::InvalidValue, format!("column {} holds {reason}", self.name));
        let wanted = self.field.data_type();
        error.with_hint(if reason.contains(ZERO_DATE) {
            "Set `zero_dates = \"null\"` to read such dates as null.".to_owned()
        } else {
            format!("Name it in `columns_as_text`, cast it in a view, or leave it out ({wanted} was expected).")
        })
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
            _ => return None,
        })
    }

    fn append(&mut self, value: Wire<'_>) -> std::result::Result<(), Refusal> {
        // NULL, or the value as the builder takes it.
        macro_rules! option {
            ($convert:expr) => {
                match value {
                    Wire::Null => None,
                    value => Some($convert(value)?),
                }
            };
        }
        match self {
            Self::Null(rows) => match value {
                Wire::Null => *rows += 1,
                _ => return Err("a value where all are null".to_owned()),
            },
            Self::Boolean(builder) => builder.append_option(option!(boolean)),
            Self::Int8(builder) => builder.append_option(option!(narrowed)),
            Self::Int16(builder) => builder.append_option(option!(narrowed)),
            Self::Int32(builder) => builder.append_option(option!(narrowed)),
            Self::Int64(builder) => builder.append_option(option!(integer)),
            Self::UInt64(builder) => builder.append_option(option!(narrowed)),
            Self::Float32(builder) => builder.append_option(option!(float32)),
            Self::Float64(builder) => builder.append_option(option!(float64)),
            Self::Decimal128(builder, precision, scale) => {
                builder.append_option(option!(|value| decimal128(value, *precision, *scale)));
            }
            Self::Decimal256(builder, precision, scale) => {
                builder.append_option(option!(|value| decimal256(value, *precision, *scale)));
            }
            Self::Utf8(builder) => builder.append_option(option!(text)),
            Self::LargeUtf8(builder) => builder.append_option(option!(text)),
            Self::Utf8View(builder) => builder.append_option(option!(text)),
            Self::Binary(builder) => match value {
                Wire::Null => builder.append_null(),
                Wire::Bytes(bytes) => builder.append_value(bytes),
                other => return Err(other.unlike("bytes")),
            },
            Self::Date32(builder) => builder.append_option(option!(date)),
            Self::Time64(builder) => builder.append_option(option!(time)),
            Self::Second(builder) => builder.append_option(option!(|value| coarser(value, 1_000_000))),
            Self::Millisecond(builder) => builder.append_option(option!(|value| coarser(value, 1_000))),
            Self::Microsecond(builder) => builder.append_option(option!(moment)),
            Self::Nanosecond(builder) => {
                let nanos = |value| {
                    moment(value)?
                        .checked_mul(1_000)
                        .ok_or_else(|| "a moment outside the years 1677 to 2262".to_owned())
                };
                builder.append_option(option!(nanos));
            }
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
        }
    }
}
