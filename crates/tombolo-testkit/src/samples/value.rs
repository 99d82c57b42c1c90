use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};

use super::kinds::{Kind, Server};

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Flag(bool),
    /// An integer, or a decimal without its point.
    Number(i64),
    /// A number in binary.
    Double(f64),
    /// A text.
    Text(String),
    /// Days since 1970.
    Day(i32),
    /// Microseconds since 1970.
    Micros(i64),
    /// Some labels.
    Labels(Vec<&'static str>),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// The value as a server's statement has it.
    pub fn literal(&self, kind: Kind, server: Server) -> String {
        let on_mysql = server == Server::Mysql;
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Flag(is_so) if on_mysql => u8::from(*is_so).to_string(),
            Self::Flag(is_so) => is_so.to_string(),
            Self::Number(number) => match kind {
                Kind::Decimal(_, places) => decimal(*number, u32::try_from(places).unwrap()),
                _ => number.to_string(),
            },
            Self::Double(number) => format!("{number:e}"),
            Self::Text(text) => quoted(text),
            Self::Day(day) => quoted(&date32_to_datetime(*day).unwrap().date().to_string()),
            Self::Micros(micros) => {
                let zone = if kind == Kind::Moment && !on_mysql { "+00" } else { "" };
                quoted(&format!("{}{zone}", timestamp_us_to_datetime(*micros).unwrap()))
            }
            Self::Labels(labels) if on_mysql => quoted(&labels.join(",")),
            Self::Labels(labels) => {
                let labels: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
                format!("ARRAY[{}]::text[]", labels.join(", "))
            }
            Self::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                if on_mysql { format!("X'{digits}'") } else { format!("'\\x{digits}'") }
            }
        }
    }
}

/// A text as a literal, where a backslash is a letter like others.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn decimal(number: i64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let sign = if number < 0 { "-" } else { "" };
    let (whole, rest) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
    format!("{sign}{whole}.{rest:0width$}", width = places as usize)
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Flag(is_so)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<&'static str>> for Value {
    fn from(labels: Vec<&'static str>) -> Self {
        Self::Labels(labels)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A day, so many after the first of 2020.
pub(super) fn day(number: i64) -> Value {
    Value::Day(i32::try_from(18_262 + number).unwrap())
}

/// A point in time, so many seconds after 2020 began, and a part of a second that depends on it.
pub(super) fn at(seconds: i64) -> Value {
    Value::Micros(
        (1_577_836_800 + seconds) * 1_000_000 + if seconds % 5 == 0 { seconds % 1_000_003 % 1_000_000 } else { 0 },
    )
}

/// A row of anything that is a value.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::samples::Value::from($cell)),*] };
}
pub(super) use row;
