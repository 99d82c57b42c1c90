pub(super) mod table;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use rusqlite::types::ValueRef;

use crate::sql::Form;

/// The most digits of a decimal that a double always carries.
pub(super) const MAX_DECIMAL_DIGITS: u8 = 15;

/// How SQLite converts what is stored in a column, by the rules of <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    pub(super) fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |word: &str| declared.contains(word);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// The types that a column of this declaration may be carried as, the first first: the values decide among them. The first
/// is taken where the values are not looked at, or fit none.
pub(super) fn candidates(declared: &str) -> Vec<DataType> {
    let upper = declared.trim().to_ascii_uppercase();
    let word = upper.split(['(', ' ']).next().unwrap_or_default();
    match word {
        "BOOLEAN" | "BOOL" => vec![DataType::Boolean],
        "DATE" => vec![DataType::Date32, DataType::Int64, DataType::Float64],
        "DATETIME" | "TIMESTAMP" => {
            vec![timestamp(None), timestamp(Some("UTC")), DataType::Int64, DataType::Float64]
        }
        "TIMESTAMPTZ" => vec![timestamp(Some("UTC")), timestamp(None), DataType::Int64],
        "DECIMAL" | "NUMERIC" | "NUMBER" | "MONEY" => match precision_and_scale(&upper) {
            Some((precision, scale)) => vec![DataType::Decimal128(precision, scale), DataType::Float64],
            None => vec![DataType::Int64, DataType::Float64, DataType::Utf8],
        },
        _ => match Affinity::of(declared) {
            Affinity::Integer => vec![DataType::Int64],
            Affinity::Real => vec![DataType::Float64],
            Affinity::Text => vec![DataType::Utf8],
            Affinity::Blob if !declared.is_empty() && upper != "ANY" => vec![DataType::Binary],
            // Nothing is declared of what is stored, so the values alone can tell.
            Affinity::Blob | Affinity::Numeric => {
                vec![DataType::Int64, DataType::Float64, DataType::Utf8, DataType::Binary]
            }
        },
    }
}

fn timestamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

fn precision_and_scale(declared: &str) -> Option<(u8, i8)> {
    let inside = declared.split_once('(')?.1.split_once(')')?.0;
    let (precision, scale) = match inside.split_once(',') {
        Some((precision, scale)) => (precision, scale.trim().parse().ok()?),
        None => (inside, 0_i8),
    };
    let precision: u8 = precision.trim().parse().ok()?;
    let fits = (1..=38).contains(&precision) && (0..=i16::from(precision)).contains(&i16::from(scale));
    fits.then_some((precision, scale))
}

/// Reads `YYYY-MM-DD` as days since 1970.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    let digits = |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if !shaped {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Prints days since 1970 as `YYYY-MM-DD`, for the years that this form has.
pub(super) fn print_date(days: i32) -> Option<String> {
    let date = NaiveDate::default().checked_add_signed(chrono::Duration::days(days.into()))?;
    in_form(date).then(|| date.format("%Y-%m-%d").to_string())
}

fn in_form(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (0..=9999).contains(&date.year())
}

/// A timestamp as SQLite files hold it: the separator, the digits of its fraction, and whether it ends in `Z`.
const TIMESTAMP_FORMS: [(Form, char, usize, bool); 12] = [
    (Form("YYYY-MM-DD HH:MM:SS"), ' ', 0, false),
    (Form("YYYY-MM-DD HH:MM:SS.SSS"), ' ', 3, false),
    (Form("YYYY-MM-DD HH:MM:SS.SSSSSS"), ' ', 6, false),
    (Form("YYYY-MM-DDTHH:MM:SS"), 'T', 0, false),
    (Form("YYYY-MM-DDTHH:MM:SS.SSS"), 'T', 3, false),
    (Form("YYYY-MM-DDTHH:MM:SS.SSSSSS"), 'T', 6, false),
    (Form("YYYY-MM-DD HH:MM:SSZ"), ' ', 0, true),
    (Form("YYYY-MM-DD HH:MM:SS.SSSZ"), ' ', 3, true),
    (Form("YYYY-MM-DD HH:MM:SS.SSSSSSZ"), ' ', 6, true),
    (Form("YYYY-MM-DDTHH:MM:SSZ"), 'T', 0, true),
    (Form("YYYY-MM-DDTHH:MM:SS.SSSZ"), 'T', 3, true),
    (Form("YYYY-MM-DDTHH:MM:SS.SSSSSSZ"), 'T', 6, true),
];

/// The form of this name, if it is one of a timestamp's.
pub(super) fn timestamp_form(name: &str) -> Option<Form> {
    TIMESTAMP_FORMS.iter().map(|known| known.0).find(|form| form.0 == name)
}

/// Reads an ISO timestamp as microseconds since 1970, with its form where that is one whose texts compare as their times do.
/// With `zoned`, the text must say its offset from UTC; without, it must not.
pub(super) fn parse_timestamp(text: &str, zoned: bool) -> Option<(i64, Option<Form>)> {
    let date = NaiveDate::default().checked_add_signed(chrono::Duration::days(parse_date(text.get(..10)?)?.into()))?;
    let rest = &text[10..];
    if rest.is_empty() && !zoned {
        return Some((date.and_time(NaiveTime::MIN).and_utc().timestamp_micros(), None));
    }
    let separator = rest.chars().next().filter(|c| matches!(c, ' ' | 'T'))?;
    let rest = &rest[1..];
    let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(end)?;
    let clock = clock.trim_end();
    let time = match clock.len() {
        5 => NaiveTime::parse_from_str(clock, "%H:%M").ok()?,
        8 => NaiveTime::parse_from_str(clock, "%H:%M:%S").ok()?,
        _ => NaiveTime::parse_from_str(clock, "%H:%M:%S%.f").ok()?,
    };
    let offset = match zone {
        "" => None,
        "Z" => Some(chrono::FixedOffset::east_opt(0)?),
        zone => DateTime::parse_from_str(&format!("1970-01-01 00:00:00 {zone}"), "%Y-%m-%d %H:%M:%S %:z")
            .ok()
            .map(|t| *t.offset()),
    };
    if offset.is_some() != zoned || (!zone.is_empty() && offset.is_none()) {
        return None;
    }
    use chrono::Timelike;
    // Finer digits than microseconds cannot be carried, and a leap second has no number.
    if time.nanosecond() % 1_000 != 0 || time.nanosecond() >= 1_000_000_000 {
        return None;
    }
    let local = NaiveDateTime::new(date, time);
    let utc = local.checked_sub_signed(chrono::Duration::seconds(offset.map_or(0, |o| o.local_minus_utc()).into()))?;
    let fraction = clock.split_once('.').map_or(0, |(_, digits)| digits.len());
    let form = TIMESTAMP_FORMS
        .iter()
        .find(|(form, sep, digits, z)| {
            *sep == separator && *digits == fraction && *z == (zone == "Z") && form.0.len() == text.len()
        })
        .map(|known| known.0);
    Some((utc.and_utc().timestamp_micros(), form))
}

/// Prints microseconds since 1970 in a form, with more digits where the value needs them. A longer fraction sorts after a
/// shorter one that it begins with, as it should; not so before a `Z`, so there it is refused.
pub(super) fn print_timestamp(micros: i64, form: Form) -> Option<String> {
    let (_, separator, digits, z) =
        TIMESTAMP_FORMS.iter().find(|known| known.0 == form).copied().unwrap_or(TIMESTAMP_FORMS[0]);
    let time = DateTime::from_timestamp_micros(micros)?.naive_utc();
    if !in_form(time.date()) {
        return None;
    }
    let needed = match micros.rem_euclid(1_000_000) {
        0 => 0,
        part if part % 1_000 == 0 => 3,
        _ => 6,
    };
    if needed > digits && z {
        return None;
    }
    let mut text = time.format("%Y-%m-%d").to_string();
    text.push(separator);
    let pattern = match needed.max(digits) {
        0 => "%H:%M:%S",
        3 => "%H:%M:%S%.3f",
        _ => "%H:%M:%S%.6f",
    };
    text.push_str(&time.format(pattern).to_string());
    if z {
        text.push('Z');
    }
    Some(text)
}

/// Reads a stored number as a decimal, exactly: an integer, or the double that stands for these digits and no others.
pub(super) fn parse_decimal(value: ValueRef<'_>, precision: u8, scale: i8) -> Option<i128> {
    let limit = 10_i128.checked_pow(precision.into())?;
    let factor = 10_i128.checked_pow(u32::try_from(scale).ok()?)?;
    let unscaled = match value {
        ValueRef::Integer(whole) => i128::from(whole).checked_mul(factor)?,
        ValueRef::Real(real) => {
            // The shortest digits that name this double; `Display` writes no exponent.
            let digits = real.is_finite().then(|| real.to_string())?;
            let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
            let scale = usize::try_from(scale).ok()?;
            if fraction.len() > scale || whole.trim_start_matches('-').len() + fraction.len() > 17 {
                return None;
            }
            format!("{whole}{fraction:0<scale$}").parse().ok()?
        }
        _ => return None,
    };
    (unscaled > -limit && unscaled < limit).then_some(unscaled)
}

/// A stored value in words, for an error: its storage class, and a short piece of it.
pub(super) fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => format!("integer {value}"),
        ValueRef::Real(value) => format!("real {value:?}"),
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let short: String = text.chars().take(40).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("text '{short}{more}'")
        }
        ValueRef::Blob(bytes) => format!("blob of {} bytes", bytes.len()),
    }
}
