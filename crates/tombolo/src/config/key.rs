use tombolo_connector::{Error, ErrorCode, OptionSpec, OptionValue, Registry, Result, nearest_name};
use toml_edit::{Item, Value};

use super::FEDERATION;
use super::guardrails::{GUARDRAILS, SECTION, TABLES};
use super::source::{COMMON, check_name};

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***";

/// The name of one setting, as `config set` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPath {
    /// `federation.KEY`
    Federation(String),
    /// `sources.NAME.KEY`, where the key may be `guardrails.KEY`
    Source { source: String, key: String },
}

impl KeyPath {
    /// Reads `federation.max_memory` or `sources.shop.path`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let malformed = || {
            Error::new(ErrorCode::Usage, format!("`{text}` is not the name of a setting"))
                .with_hint("A setting is `federation.KEY` or `sources.NAME.KEY`; `tombolo config list` shows them.")
        };
        match text.split_once('.').ok_or_else(malformed)? {
            ("federation", key) => Ok(Self::Federation(key.to_owned())),
            ("sources", rest) => {
                let (source, key) = rest.split_once('.').ok_or_else(malformed)?;
                check_name(source)?;
                Ok(Self::Source { source: source.to_owned(), key: key.to_owned() })
            }
            _ => Err(malformed()),
        }
    }

    /// What the key takes. `kind` is the source's kind, for a source.
    pub(crate) fn spec(&self, registry: &Registry, kind: Option<&str>) -> Result<&'static OptionSpec> {
        match (self, kind) {
            (Self::Source { source, key }, _) if key.starts_with(&format!("{TABLES}.")) => {
                Err(Error::new(ErrorCode::Usage, format!("`{self}` is set in the file alone"))
                    .with_hint(format!("Write [sources.{source}.{TABLES}.TABLE.{SECTION}] in the config file.")))
            }
            (Self::Source { source, key }, _) if key.starts_with(&format!("{SECTION}.")) => {
                let own = key.split_at(SECTION.len() + 1).1;
                find_spec(own, GUARDRAILS.iter(), &format!("sources.{source}.{SECTION}"))
            }
            (Self::Federation(key), _) => find_spec(key, FEDERATION.iter(), "federation"),
            (Self::Source { source, key }, Some(kind)) => {
                let options = registry.factory(kind)?.spec().options;
                find_spec(key, COMMON.iter().chain(options), &format!("sources.{source}"))
            }
            (Self::Source { source, key }, None) => find_spec(key, COMMON.iter(), &format!("sources.{source}")),
        }
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Federation(key) => write!(f, "federation.{key}"),
            Self::Source { source, key } => write!(f, "sources.{source}.{key}"),
        }
    }
}

fn find_spec(
    key: &str,
    specs: impl Iterator<Item = &'static OptionSpec> + Clone,
    whole: &str,
) -> Result<&'static OptionSpec> {
    specs.clone().find(|spec| spec.name == key).ok_or_else(|| {
        let names: Vec<&str> = specs.map(|spec| spec.name).collect();
        let hint = match nearest_name(key, names.iter().copied()) {
            Some(near) => format!("Did you mean `{whole}.{near}`?"),
            None => format!("`{whole}` takes: {}.", names.join(", ")),
        };
        Error::new(ErrorCode::ConfigInvalid, format!("unknown key `{whole}.{key}`")).with_hint(hint)
    })
}

/// A TOML value as an option's value; `None` for what no option takes (arrays, tables, floats, dates).
pub(crate) fn option_value(item: &Item) -> Option<OptionValue> {
    match item.as_value()? {
        Value::String(text) => Some(OptionValue::Text(text.value().clone())),
        Value::Integer(number) => Some(OptionValue::Integer(*number.value())),
        Value::Boolean(truth) => Some(OptionValue::Boolean(*truth.value())),
        _ => None,
    }
}
