use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit, i256};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Offset, TimeZone, Utc};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use tombolo_connector::{Error, ErrorCode};
use uuid::Uuid;

use crate::type_mapping::KeyType;

/// The most letters of a value that an error shows.
const SHOWN: usize = 40;

/// Brings the values of a column to the type that they are compared in, exactly. A value that has no such form is an error that
/// names the column and the value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyConversion {
    to: Target,
    /// The column as errors name it.
    column: String,
    signature: Signature,
}

/// What values are brought to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// What the config says.
    Mapped(KeyType),
    /// The float that is the same number.
    Float,
}

impl KeyConversion {
    pub(super) fn new(to: Target, column: String) -> Self {
        Self { to, column, signature: Signature::any(1, Volatility::Immutable) }
    }

    /// The conversion of an expression.
    pub(super) fn over(self, expr: Expr) -> Expr {
        let func = Arc::new(ScalarUDF::new_from_impl(self));
        Expr::ScalarFunction(ScalarFunction { func, args: vec![expr] })
    }

    /// The type of what comes out.
    pub(crate) fn output(&self, from: &DataType) -> DataType {
        match &self.to {
            Target::Float => DataType::Float64,
            Target::Mapped(KeyType::Integer) => DataType::Int64,
            Target::Mapped(KeyType::Text | KeyType::Uuid) => DataType::Utf8,
            Target::Mapped(KeyType::Decimal { precision, scale }) => decimal(*precision, *scale),
            Target::Mapped(KeyType::Timestamp { zone }) => {
                let unit = match from {
                    DataType::Timestamp(unit, _) => *unit,
                    _ => TimeUnit::Microsecond,
                };
                DataType::Timestamp(unit, zone.as_ref().map(|_| "UTC".into()))
            }
        }
    }

    /// The type of values of which the values of a type are cast when the conversion is undone.
    pub(crate) fn bare(&self, from: &DataType) -> DataType {
        match &self.to {
            Target::Mapped(KeyType::Uuid) => DataType::Binary,
            _ => self.output(from),
        }
    }

    /// Whether no two values of a type become the same, so that it can be undone. Several texts can be one number.
    pub(crate) fn is_injective(&self, from: &DataType) -> bool {
        !is_text(from)
    }

    /// The converted values; null where there is none.
    pub(crate) fn converted(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let (from, to) = (values.data_type(), self.output(values.data_type()));
        let texts = || cast(values, &DataType::Utf8);
        match &self.to {
            Target::Mapped(KeyType::Integer) if is_text(from) => {
                Ok(Arc::new(parsed(texts()?.as_string(), parse_integer).collect::<Int64Array>()))
            }
            Target::Mapped(KeyType::Decimal { precision, scale }) if is_text(from) => {
                let texts = texts()?;
                decimals(parsed(texts.as_string(), |text| parse_decimal(text, *precision, *scale)), &to)
            }
            Target::Mapped(KeyType::Uuid) if is_text(from) => {
                let texts = texts()?;
                let uuids = parsed(texts.as_string(), parse_uuid);
                Ok(Arc::new(uuids.map(|uuid| uuid.map(|uuid| uuid.to_string())).collect::<StringArray>()))
            }
            Target::Mapped(KeyType::Uuid) => {
                let bytes = cast(values, &DataType::Binary)?;
                let uuid = |bytes: Option<&[u8]>| Some(Uuid::from_slice(bytes?).ok()?.to_string());
                Ok(Arc::new(bytes.as_binary::<i32>().iter().map(uuid).collect::<StringArray>()))
            }
            Target::Mapped(KeyType::Timestamp { zone }) if is_text(from) => {
                let zone = zone.as_deref().map(zone_of).transpose()?;
                let texts = texts()?;
                let micros = parsed(texts.as_string(), |text| parse_moment(text, zone.as_ref()));
                let array: TimestampMicrosecondArray = micros.collect();
                Ok(cast(&array, &to)?)
            }
            // What has no zone is the time there, which may not be or be twice; then the same moment as one of UTC.
            Target::Mapped(KeyType::Timestamp { zone: Some(zone) }) => {
                Ok(cast(&safely(values, &there(from, zone))?, &to)?)
            }
            _ => exactly(values, &to),
        }
    }

    /// The values of a type that become these; null where none does.
    pub(crate) fn undone(&self, values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
        match &self.to {
            Target::Mapped(KeyType::Uuid) => {
                let bytes = |text: Option<&str>| Some(*Uuid::try_parse(text?).ok()?.as_bytes());
                let texts = cast(values, &DataType::Utf8)?;
                let bytes: BinaryArray = texts.as_string::<i32>().iter().map(bytes).collect();
                safely(&(Arc::new(bytes) as ArrayRef), to)
            }
            Target::Mapped(KeyType::Timestamp { zone: Some(zone) }) => local(values, &zone_of(zone)?, to),
            _ => safely(values, to),
        }
    }

    /// The converted values, none of which may be missing.
    fn strictly(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let converted = self.converted(values)?;
        if converted.null_count() > values.null_count() {
            let lost = (0..values.len()).find(|row| values.is_valid(*row) && converted.is_null(*row));
            return Err(DataFusionError::External(Box::new(self.error(values, lost.unwrap_or_default()))));
        }
        Ok(converted)
    }

    fn error(&self, values: &ArrayRef, row: usize) -> Error {
        let value = array_value_to_string(values, row).unwrap_or_default();
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        let column = &self.column;
        match &self.to {
            Target::Float => Error::new(ErrorCode::InvalidValue, format!("no float is exactly {shown}, which is in {column}"))
                .with_detail("the column is compared with floats, as which several integers beyond 9007199254740992 are the same number")
                .with_hint("Say how to compare them with CAST(… AS …) in the statement: both as DOUBLE, which may be inexact, or as DECIMAL."),
            Target::Mapped(key_type) => Error::new(ErrorCode::InvalidValue, format!("`{shown}` in {column} is no {key_type}"))
                .with_detail(format!("`type_mappings` says that this column is compared as {key_type}"))
                .with_hint("Correct the value, leave its row out with WHERE, or take the column out of `federation.type_mappings`."),
        }
    }
}

impl ScalarUDFImpl for KeyConversion {
    fn name(&self) -> &str {
        match self.to {
            Target::Float => "as_float",
            Target::Mapped(KeyType::Integer) => "as_integer",
            Target::Mapped(KeyType::Text) => "as_text",
            Target::Mapped(KeyType::Uuid) => "as_uuid",
            Target::Mapped(KeyType::Decimal { .. }) => "as_decimal",
            Target::Mapped(KeyType::Timestamp { .. }) => "as_timestamp",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(self.output(arguments.first().unwrap_or(&DataType::Null)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Field::new(self.name(), self.return_type(&types)?, nullable).into())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(self.strictly(values)?)),
            [ColumnarValue::Scalar(value)] => {
                let converted = self.strictly(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?))
            }
            other => datafusion::common::internal_err!("{} was given {} arguments", self.name(), other.len()),
        }
    }
}

/// Whether a type is text.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The decimal of so many digits.
pub(super) fn decimal(precision: u8, scale: i8) -> DataType {
    if precision <= arrow::datatypes::DECIMAL128_MAX_PRECISION {
        DataType::Decimal128(precision, scale)
    } else {
        DataType::Decimal256(precision, scale)
    }
}

/// A time zone by its name or offset.
fn zone_of(name: &str) -> Result<Tz> {
    Ok(Tz::from_str(name)?)
}

/// The type of the same values in a zone.
fn there(data_type: &DataType, zone: &str) -> DataType {
    let unit = match data_type {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Microsecond,
    };
    DataType::Timestamp(unit, Some(zone.into()))
}

/// What clocks in a zone show at these moments.
fn local(moments: &ArrayRef, zone: &Tz, to: &DataType) -> Result<ArrayRef> {
    let per_second = match moments.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => 1,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
        _ => 1_000_000_000,
    };
    let shown = |moment: Option<i64>| {
        let utc = DateTime::from_timestamp(moment?.div_euclid(per_second), 0)?;
        let offset = zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
        moment?.checked_add(i64::from(offset) * per_second)
    };
    let moments = cast(moments, &DataType::Int64)?;
    let local: Int64Array = moments.as_primitive::<Int64Type>().iter().map(shown).collect();
    safely(&(Arc::new(local) as ArrayRef), to)
}

/// A cast that makes null of what does not fit.
pub(crate) fn safely(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(values, to, &safe)?)
}

/// A cast that makes null of what is not the same when it is cast back.
fn exactly(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let there = safely(values, to)?;
    let same = not_distinct(&safely(&there, values.data_type())?, values)?;
    Ok(nullif(&there, &negated(&same))?)
}

fn negated(same: &BooleanArray) -> BooleanArray {
    BooleanArray::new(!same.values(), None::<NullBuffer>)
}

fn parsed<'a, T: 'a>(
    texts: &'a StringArray,
    parse: impl Fn(&str) -> Option<T> + 'a,
) -> impl Iterator<Item = Option<T>> + 'a {
    texts.iter().map(move |text| parse(text?.trim_matches(' ')))
}

/// The sign and the digits of a whole number.
fn signed(text: &str) -> Option<(bool, &str)> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    Some((is_negative, digits))
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_integer(text: &str) -> Option<i64> {
    let (_, digits) = signed(text)?;
    (!digits.is_empty() && are_digits(digits)).then(|| text.parse().ok())?
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    Uuid::try_parse(inner).ok()
}

/// Reads digits with a point among them, if the decimal holds all of them.
fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i256> {
    let (is_negative, digits) = signed(text)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).ok()?;
    let fraction = fraction.trim_end_matches('0');
    let is_number = digits.bytes().any(|byte| byte.is_ascii_digit()) && are_digits(whole) && are_digits(fraction);
    let unscaled = format!("{whole}{fraction:0<scale$}");
    let unscaled = unscaled.trim_start_matches('0');
    if !is_number || fraction.len() > scale || unscaled.len() > usize::from(precision) {
        return None;
    }
    let value = if unscaled.is_empty() { i256::ZERO } else { i256::from_string(unscaled)? };
    Some(if is_negative { -value } else { value })
}

fn decimals(values: impl Iterator<Item = Option<i256>>, to: &DataType) -> Result<ArrayRef> {
    Ok(match to {
        DataType::Decimal256(precision, scale) => {
            Arc::new(values.collect::<Decimal256Array>().with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Decimal128(precision, scale) => {
            let values = values.map(|value| value.and_then(i256::to_i128));
            Arc::new(values.collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale)?)
        }
        other => return datafusion::common::internal_err!("{other} is no decimal"),
    })
}

/// Reads an ISO text as microseconds since 1970: with a zone as a moment, without as what a clock shows, with no offset in it.
fn parse_moment(text: &str, zone: Option<&Tz>) -> Option<i64> {
    let moment = match zone {
        Some(zone) => string_to_datetime(zone, text).ok()?.to_utc(),
        None if text.len() > 10 && text.get(10..)?.contains(['Z', 'z', '+', '-']) => return None,
        None => string_to_datetime(&Utc, text).ok()?,
    };
    // Finer digits would be lost, and a leap second has no number.
    let finest = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let nanos = moment.timestamp_subsec_nanos();
    (finest <= 9 && nanos % 1_000 == 0 && nanos < 1_000_000_000).then(|| moment.timestamp_micros())
}

/// What becomes of text that is compared as something else, as the end of a sentence.
pub(super) fn told(key_type: &KeyType) -> &'static str {
    match key_type {
        KeyType::Integer => ": 007 equals 7, text that is none is an error, and no keys are sent to its source",
        KeyType::Decimal { .. } => ": 7 equals 7.00, text that is none is an error, and no keys are sent to its source",
        KeyType::Uuid | KeyType::Timestamp { .. } => {
            ": its spelling does not matter, text that is none is an error, and no keys are sent to its source"
        }
        KeyType::Text => "",
    }
}

/// A conversion for tests.
#[cfg(test)]
pub(crate) fn conversion_to(key_type: KeyType) -> KeyConversion {
    KeyConversion::new(Target::Mapped(key_type), "source.table.column (type)".to_owned())
}

#[cfg(test)]
mod tests;
