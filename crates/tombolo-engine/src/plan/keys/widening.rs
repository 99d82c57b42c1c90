use arrow::datatypes::{DataType, TimeUnit};

/// Whether the cast from one type to another gives each value one of its own, which the cast back makes the same value again. So
/// a key of the wider type stands for one value of the narrower at most.
pub(crate) fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8,
        Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    if let (Some((digits, scale)), Some((to_digits, to_scale))) = (decimal(from), decimal(to)) {
        return scale <= to_scale && digits - scale <= to_digits - to_scale;
    }
    match (from, to) {
        (Int8 | UInt8, Int16 | Int32 | Int64 | Float32 | Float64)
        | (UInt8, UInt16 | UInt32 | UInt64)
        | (Int16 | UInt16, Int32 | Int64 | Float32 | Float64)
        | (UInt16, UInt32 | UInt64)
        | (Int32 | UInt32, Int64 | Float64)
        | (UInt32, UInt64)
        | (Float32, Float64)
        | (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View)
        | (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView)
        | (Date32, Timestamp(..))
        // Of each there is one way to be written.
        | (Date32, Utf8 | LargeUtf8 | Utf8View) => true,
        (Timestamp(from, None), Timestamp(to, zone)) => {
            rank(*from) <= rank(*to) && zone.as_deref().is_none_or(is_utc)
        }
        (Timestamp(from, Some(_)), Timestamp(to, Some(_))) => rank(*from) <= rank(*to),
        // Both such a number and its power of ten are floats, so that it is the float nearest to it, and no other has that.
        (Decimal128(precision, scale), Float64) => *precision <= 15 && *scale >= 0,
        (from, Decimal128(..) | DataType::Decimal256(..)) => {
            let (digits, scale) = decimal(to).unwrap_or_default();
            integer_digits(from).is_some_and(|own| scale >= 0 && own <= digits - scale)
        }
        (from, Utf8 | LargeUtf8 | Utf8View) => {
            integer_digits(from).is_some() || decimal(from).is_some_and(|(_, scale)| scale >= 0)
        }
        _ => false,
    }
}

/// The most digits of an integer type.
pub(super) fn integer_digits(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some(3),
        DataType::Int16 | DataType::UInt16 => Some(5),
        DataType::Int32 | DataType::UInt32 => Some(10),
        DataType::Int64 => Some(19),
        DataType::UInt64 => Some(20),
        _ => None,
    }
}

/// The digits of a decimal, and those of them after the point.
pub(super) fn decimal(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((i32::from(*precision), i32::from(*scale))),
        _ => None,
    }
}

/// Whether a zone's clocks show UTC.
pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}
