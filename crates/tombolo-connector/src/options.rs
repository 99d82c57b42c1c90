use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, Result, nearest_name};

/// One option of a connector. The list of them generates the help, the reference and the check of the config.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// The key in the config.
    pub name: &'static str,
    /// What values it takes.
    pub kind: OptionKind,
    /// The value where the config has none, as the config would write it; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether a source cannot do without it.
    pub required: bool,
    /// One sentence on what it does, with its unit.
    pub help: &'static str,
}

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// A path; relative ones are taken from the config file's folder.
    Path,
    /// `true` or `false`.
    Boolean,
    /// A whole number from 0.
    Integer,
    /// A number of rows, from 1.
    Rows,
    /// A number with a unit: `500ms`, `10s`, `5m`, `1h`.
    Duration,
    /// A number with a unit: `64KB`, `512MB`, `2GB` (powers of 1024).
    Bytes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A password, a token or a key: never printed.
    Secret,
}

impl OptionKind {
    /// The kind in words, for help and errors.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Rows => "a number of rows from 1".to_owned(),
            Self::Duration => "a duration such as 500ms, 10s or 5m".to_owned(),
            Self::Bytes => "a size such as 64KB, 512MB or 2GB".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Secret => "a secret".to_owned(),
        }
    }

    /// Checks a value and brings it to the form that the config keeps.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] that names the option and what it takes.
    pub fn check(self, name: &str, value: &OptionValue) -> Result<OptionValue> {
        let refuse = || {
            let given = if self == Self::Secret { "the value given".to_owned() } else { format!("`{value}`") };
            Error::new(ErrorCode::ConfigInvalid, format!("option `{name}` takes {}, not {given}", self.describe()))
                .with_hint(format!("Set `{name}` to {}.", self.describe()))
        };
        let text = value.to_string();
        Ok(match self {
            Self::Text | Self::Path | Self::Secret => OptionValue::Text(text),
            Self::Boolean => OptionValue::Boolean(text.parse().map_err(|_| refuse())?),
            Self::Integer => OptionValue::Integer(text.parse::<u32>().map_err(|_| refuse())?.into()),
            Self::Rows => OptionValue::Integer(text.parse().ok().filter(|rows| *rows >= 1_i64).ok_or_else(refuse)?),
            Self::Duration => parse_duration(&text).map(|_| OptionValue::Text(text)).ok_or_else(refuse)?,
            Self::Bytes => parse_bytes(&text).map(|_| OptionValue::Text(text)).ok_or_else(refuse)?,
            Self::Choice(words) if words.contains(&text.as_str()) => OptionValue::Text(text),
            Self::Choice(_) => return Err(refuse()),
        })
    }
}

/// The value of an option, as the config holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Anything else.
    Text(String),
}

impl std::fmt::Display for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// The options of one source: what its table in the config holds beside its kind.
///
/// `Debug` prints the names alone: before they are checked, nobody knows which of the values are secrets.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options {
    values: BTreeMap<String, OptionValue>,
}

impl Options {
    /// Sets an option.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OptionValue>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// Sets an option.
    pub fn set(&mut self, name: &str, value: impl Into<OptionValue>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// Removes an option and says what it was.
    pub fn remove(&mut self, name: &str) -> Option<OptionValue> {
        self.values.remove(name)
    }

    /// All options by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Checks every option against the list and fills the defaults in.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for an unknown name (with the nearest known one), a value of the wrong kind, or a
    /// missing required option.
    pub fn checked(&self, specs: &[OptionSpec]) -> Result<Options> {
        let mut checked = BTreeMap::new();
        for (name, value) in &self.values {
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
                let hint = match nearest_name(name, specs.iter().map(|spec| spec.name)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => {
                        let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
                        format!("It takes: {}.", known.join(", "))
                    }
                };
                return Err(Error::new(ErrorCode::ConfigInvalid, format!("unknown option `{name}`")).with_hint(hint));
            };
            checked.insert(name.clone(), spec.kind.check(name, value)?);
        }
        for spec in specs {
            match spec.default {
                Some(default) if !checked.contains_key(spec.name) => {
                    let value = spec.kind.check(spec.name, &OptionValue::Text(default.to_owned()))?;
                    checked.insert(spec.name.to_owned(), value);
                }
                None if spec.required && !checked.contains_key(spec.name) => {
                    return Err(Error::new(ErrorCode::ConfigInvalid, format!("option `{}` is missing", spec.name))
                        .with_hint(format!("Set `{}` to {}: {}", spec.name, spec.kind.describe(), spec.help)));
                }
                _ => {}
            }
        }
        Ok(Options { values: checked })
    }

    /// The text of an option, or `None` where it is not set.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(OptionValue::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// The boolean of a checked option, or `false`.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(OptionValue::Boolean(true)))
    }

    /// The number of a checked option.
    pub fn integer(&self, name: &str) -> Option<usize> {
        match self.values.get(name) {
            Some(OptionValue::Integer(value)) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The duration of a checked option.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(parse_duration)
    }

    /// The bytes of a checked option.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(parse_bytes)
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Options ")?;
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl From<bool> for OptionValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for OptionValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for OptionValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for OptionValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// Reads `500ms`, `10s`, `5m` or `1h`; a number without a unit is refused, since it would be a guess.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// Reads `64KB`, `512MB`, `2GB` or `1024B`, as powers of 1024; `KiB` and its kin are the same.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_uppercase().as_str() {
        "B" => 1.0,
        "KB" | "KIB" | "K" => 1024.0,
        "MB" | "MIB" | "M" => 1024.0 * 1024.0,
        "GB" | "GIB" | "G" => 1024.0 * 1024.0 * 1024.0,
        "TB" | "TIB" | "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    // Every whole number up to 2^53 is exact as a float; no machine has more bytes than that.
    (0.0..=9_007_199_254_740_992.0).contains(&bytes).then_some(bytes as u64)
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..at].trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| (number, text[at..].trim()))
}
