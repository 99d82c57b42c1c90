//! Which types are compared as what, where they are not alike. Only what each value can be written as in one way is compared with
//! text; whatever could be wrong without a word is refused.

use arrow::datatypes::DataType;
use tombolo_connector::{Collation, Error, ErrorCode, TextFormat};

use super::conversion::{Target, decimal, is_text};
use super::side::Side;
use super::widening::{self, integer_digits, is_utc};

/// The most digits of a decimal each of which has a float of its own.
const FLOAT_DIGITS: i32 = 15;
/// The most digits of any decimal.
const MAX_DIGITS: i32 = 76;

/// What becomes of two sides that are compared.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Meeting {
    /// What the left side is brought to.
    pub(super) left: Option<Means>,
    /// What the right side is brought to.
    pub(super) right: Option<Means>,
    /// What a reader should know of it, in sentences.
    pub(super) notices: Vec<String>,
}

/// How a side is brought to the type that both are compared in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Means {
    /// A cast that gives each value one of its own.
    Cast(DataType),
    /// What fails for a value that has none.
    Convert(Target),
}

/// Finds what two sides are compared as.
///
/// # Errors
/// [`ErrorCode::TypeMismatch`] where equal values may be told to be unequal, or the other way round, and nothing says how they are
/// meant.
pub(super) fn meet(left: &Side, right: &Side) -> Result<Meeting, Error> {
    let turned = |meeting: Meeting| Meeting { left: meeting.right, right: meeting.left, ..meeting };
    match one_way(left, right)? {
        Some(meeting) => Ok(meeting),
        None => Ok(one_way(right, left)?.map(turned).unwrap_or_default()),
    }
}

/// What two sides are compared as, where it is told from the first to the second.
fn one_way(a: &Side, b: &Side) -> Result<Option<Meeting>, Error> {
    use DataType::{Boolean, Date32, Date64, Time32, Time64, Timestamp};
    let (first, second) = (&a.data_type, &b.data_type);
    let both = format!("{a} and {b} are compared as");
    let is_whole = |data_type: &DataType| {
        integer_digits(data_type).is_some() || widening::decimal(data_type).is_some_and(|(_, scale)| scale == 0)
    };
    let is_bytes = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        )
    };
    Ok(Some(match (first, second) {
        (first, second) if is_text(first) && is_text(second) => texts(a, b),
        (first, second) if first == second => Meeting::default(),
        (first, second) if is_whole(first) && is_text(second) => Meeting {
            left: Some(Means::Cast(second.clone())),
            right: None,
            notices: vec![format!(
                "{both} integers: text that no integer is written as, such as 007 or +7, matches nothing{}",
                b.suggestion("integer")
            )],
        },
        (Date32, second) if is_text(second) => Meeting {
            left: Some(Means::Cast(second.clone())),
            right: None,
            notices: vec![format!("{both} dates: text that is not written like 2024-01-31 matches nothing")],
        },
        (first, second) if is_text(second) && (widening::decimal(first).is_some() || first.is_floating()) => {
            let (precision, scale) = widening::decimal(first).unwrap_or((20, 6));
            let reason = "the same number is written as 7, 7.0 and 7.00";
            return Err(refused(a, b, reason, b, &format!("decimal({precision},{scale})")));
        }
        (Timestamp(_, zone), second) if is_text(second) => {
            let wanted = zone.as_ref().map_or("timestamp".to_owned(), |_| "timestamp(UTC)".to_owned());
            return Err(refused(a, b, "the same moment is written in several ways", b, &wanted));
        }
        (Time32(_) | Time64(_), second) if is_text(second) => {
            return Err(refused(a, b, "the same time is written in several ways", b, ""));
        }
        (first, second) if is_bytes(first) && is_text(second) => {
            let wanted = if b.format == TextFormat::Uuid { "uuid" } else { "" };
            return Err(refused(a, b, "bytes are no text, whatever is written in them", a, wanted));
        }
        (Boolean, second) if is_text(second) || is_whole(second) || second.is_floating() => {
            return Err(refused(a, b, "truth values are written in several ways", a, "integer"));
        }
        (first, second)
            if widening::decimal(second).is_some() && (is_whole(first) || widening::decimal(first).is_some()) =>
        {
            return decimals(a, b).map(Some);
        }
        (first, second) if integer_digits(first).is_some() && second.is_floating() => {
            let is_exact = widening::widens(first, &DataType::Float64);
            Meeting {
                left: Some(if is_exact { Means::Cast(DataType::Float64) } else { Means::Convert(Target::Float) }),
                right: as_double(second),
                notices: vec![if is_exact {
                    format!("{both} floats")
                } else {
                    format!("{both} floats: an integer that no float is exactly, beyond 9007199254740992, is an error")
                }],
            }
        }
        (first, second) if widening::decimal(first).is_some() && second.is_floating() => {
            if widening::decimal(first).is_none_or(|(digits, _)| digits > FLOAT_DIGITS) {
                let reason = format!("several decimals of more than {FLOAT_DIGITS} digits are the same float");
                return Err(refused(a, b, &reason, a, ""));
            }
            Meeting {
                left: Some(Means::Cast(DataType::Float64)),
                right: as_double(second),
                notices: vec![format!("{both} floats: a decimal is the float that is nearest to it")],
            }
        }
        (Date32, Timestamp(_, zone)) => Meeting {
            left: Some(Means::Cast(second.clone())),
            right: None,
            notices: vec![format!(
                "{both} moments: a date is its midnight{}",
                zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default()
            )],
        },
        (Timestamp(unit, None), Timestamp(_, Some(zone))) => {
            let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
            Meeting {
                left: Some(Means::Cast(utc(*unit))),
                right: (!is_utc(zone)).then(|| match second {
                    Timestamp(unit, _) => Means::Cast(utc(*unit)),
                    other => Means::Cast(other.clone()),
                }),
                notices: vec![format!(
                    "{a} has no time zone and is read as UTC, to be compared with {b}{}",
                    a.suggestion("timestamp(Europe/Berlin)")
                )],
            }
        }
        (Date32 | Date64, second) if second.is_numeric() => {
            return Err(refused(a, b, "a number is no date before it is said what it counts", b, ""));
        }
        (Date32 | Date64 | Timestamp(..), Time32(_) | Time64(_)) => {
            return Err(refused(a, b, "a time of day is no date", a, ""));
        }
        _ => return Ok(None),
    }))
}

fn as_double(data_type: &DataType) -> Option<Means> {
    (*data_type != DataType::Float64).then_some(Means::Cast(DataType::Float64))
}

/// A decimal that holds all values of both sides.
fn decimals(a: &Side, b: &Side) -> Result<Meeting, Error> {
    let digits = |data_type: &DataType| {
        widening::decimal(data_type).or_else(|| integer_digits(data_type).map(|digits| (digits, 0))).unwrap_or_default()
    };
    let ((a_digits, a_scale), (b_digits, b_scale)) = (digits(&a.data_type), digits(&b.data_type));
    let scale = a_scale.max(b_scale);
    let precision = (a_digits - a_scale).max(b_digits - b_scale) + scale;
    let common = match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if i32::from(precision) <= MAX_DIGITS => decimal(precision, scale),
        _ => return Err(refused(a, b, "no decimal has the digits of both", a, "")),
    };
    let means = |side: &Side| (side.data_type != common).then(|| Means::Cast(common.clone()));
    let notices = if a_scale == b_scale {
        Vec::new()
    } else {
        vec![format!("{a} and {b} are compared as decimals, with all their digits")]
    };
    Ok(Meeting { left: means(a), right: means(b), notices })
}

/// Text is compared byte by byte, whatever it is in its source.
fn texts(a: &Side, b: &Side) -> Meeting {
    let mut notices = Vec::new();
    for (side, other) in [(a, b), (b, a)] {
        // Who says how a column is compared knows what is in it.
        if !side.is_mapped && !other.is_mapped && side.format != other.format {
            match side.format {
                TextFormat::Uuid => notices.push(format!(
                    "{side} and {other} are compared as text: a uuid is in small letters with hyphens, and text that spells it \
                     otherwise matches nothing{}",
                    other.suggestion("uuid")
                )),
                TextFormat::Padded if other.format != TextFormat::Uuid => notices.push(format!(
                    "{side} comes without blanks at its end, and those of {other} count: text with blanks at its end matches \
                     nothing"
                )),
                TextFormat::Padded | TextFormat::Plain => {}
            }
        }
        if let Some(Collation::Other(name)) = side.collation.as_ref().filter(|collation| collation.ignores_case())
            && side.format != TextFormat::Uuid
        {
            notices.push(format!(
                "{side} is compared with {other} letter by letter, though its source compares it without regard to case ({name})"
            ));
        }
    }
    Meeting { notices, ..Meeting::default() }
}

fn refused(a: &Side, b: &Side, reason: &str, mapped: &Side, key_type: &str) -> Error {
    let mapping = mapped.path.as_ref().filter(|_| !key_type.is_empty()).map(|path| {
        format!(", or once for all with `tombolo config set federation.type_mappings '{path} = {key_type}'`")
    });
    Error::new(ErrorCode::TypeMismatch, format!("{a} and {b} are not compared unless it is said how"))
        .with_detail(reason)
        .with_hint(format!("Say it with CAST(… AS …) in the statement{}.", mapping.unwrap_or_default()))
}
