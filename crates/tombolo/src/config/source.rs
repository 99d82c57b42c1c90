use std::path::{Component, Path, PathBuf};

use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Registry, Result};
use tombolo_engine::SourceConfig;
use toml_edit::TableLike;

use super::guardrails::{self, GuardrailEntries};
use super::key::option_value;
use super::place::Place;

/// The keys that every source takes beside its connector's own.
pub(crate) const COMMON: &[OptionSpec] = &[
    OptionSpec {
        name: "kind",
        kind: OptionKind::Text,
        default: None,
        required: true,
        help: "The kind of source, such as sqlite or files.",
    },
    OptionSpec {
        name: "timeout",
        kind: OptionKind::Duration,
        default: None,
        required: false,
        help: "The longest that the source may be silent: for one metadata call, or between two batches of rows.",
    },
    OptionSpec {
        name: "max_concurrency",
        kind: OptionKind::Integer,
        default: None,
        required: false,
        help: "The most sub-queries that the source runs at once; not set, what its connector declares.",
    },
];

/// One `[sources.NAME]` table.
#[derive(Debug, Clone)]
pub(crate) struct SourceEntry {
    /// The name that statements use.
    pub(crate) name: String,
    /// The connector's kind.
    pub(crate) kind: String,
    /// The connector's options as the file gives them.
    pub(crate) options: Options,
    /// The common options as the file gives them.
    pub(crate) common: Options,
    /// What queries may not do to it.
    pub(crate) guardrails: GuardrailEntries,
}

impl SourceEntry {
    /// Reads and checks one table.
    pub(super) fn read(name: &str, table: &dyn TableLike, place: &Place<'_>, registry: &Registry) -> Result<Self> {
        let whole = format!("[sources.{name}]");
        let header = table.iter().next().and_then(|(first, _)| table.key(first)).and_then(toml_edit::Key::span);
        let kind = match table.get("kind") {
            Some(item) => item.as_str().ok_or_else(|| {
                place.error(item.span(), format!("`sources.{name}.kind` takes text, not {}", item.type_name()))
            })?,
            None => {
                let kinds: Vec<&str> = registry.factories().iter().map(|factory| factory.spec().kind).collect();
                return Err(place
                    .error(header, format!("`kind` is missing in {whole}"))
                    .with_hint(format!("Add kind = \"…\"; known kinds: {}.", kinds.join(", "))));
            }
        };
        let factory = registry
            .factory(kind)
            .map_err(|error| place.locate(error, table.get("kind").and_then(toml_edit::Item::span)))?;
        let specs = factory.spec().options;
        let mut entry = Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            options: Options::default(),
            common: Options::default(),
            guardrails: GuardrailEntries::default(),
        };
        for (key, item) in table.iter() {
            if [guardrails::SECTION, guardrails::TABLES].contains(&key) {
                entry.guardrails.read(name, key, item, place)?;
                continue;
            }
            let common = COMMON.iter().find(|spec| spec.name == key);
            let Some(spec) = common.or_else(|| specs.iter().find(|spec| spec.name == key)) else {
                let known = COMMON.iter().chain(specs).map(|spec| spec.name);
                let known: Vec<&str> = known.chain([guardrails::SECTION, guardrails::TABLES]).collect();
                return Err(place.unknown_key(table.key(key).and_then(toml_edit::Key::span), key, &known, &whole));
            };
            let value = option_value(item).ok_or_else(|| {
                let (takes, given) = (spec.kind.describe(), item.type_name());
                place.error(item.span(), format!("`sources.{name}.{key}` takes {takes}, not {given}"))
            })?;
            let value = spec.kind.check(key, &value).map_err(|error| place.locate(error, item.span()))?;
            match common {
                Some(_) => entry.common.set(key, value),
                None => entry.options.set(key, value),
            }
        }
        entry.guardrails.check(name, place)?;
        entry.options.checked(specs).map_err(|error| place.locate(in_source(error, name), header))?;
        Ok(entry)
    }

    /// The source as the engine takes it: defaults filled in, relative paths taken from `folder`.
    pub(crate) fn resolved(&self, registry: &Registry, folder: &Path) -> Result<SourceConfig> {
        let specs = registry.factory(&self.kind)?.spec().options;
        let mut options = self.options.checked(specs).map_err(|error| in_source(error, &self.name))?;
        for spec in specs.iter().filter(|spec| spec.kind == OptionKind::Path) {
            if let Some(path) = options.text(spec.name).map(|path| absolute_path(path, folder)) {
                options.set(spec.name, path);
            }
        }
        Ok(SourceConfig {
            name: self.name.clone(),
            kind: self.kind.clone(),
            options,
            timeout: self.common.duration("timeout"),
            max_concurrency: self.common.integer("max_concurrency"),
            guardrails: self.guardrails.rules(),
        })
    }

    /// Where the source is, in a few words without a secret: its path, or its host with what tells apart several there.
    pub(crate) fn location(&self, registry: &Registry) -> String {
        let Ok(factory) = registry.factory(&self.kind) else { return String::new() };
        let mut shown = factory.spec().options.iter().filter(|spec| spec.kind != OptionKind::Secret);
        let found = shown.find_map(|spec| {
            let place = matches!(spec.name, "path" | "url" | "host").then(|| self.options.text(spec.name)).flatten();
            place.map(|place| (spec.name, place))
        });
        match found {
            Some(("host", host)) => {
                let port = self.options.integer("port").map(|port| format!(":{port}")).unwrap_or_default();
                let database = self.options.text("database").map(|name| format!("/{name}")).unwrap_or_default();
                format!("{host}{port}{database}")
            }
            Some((_, place)) => place.to_owned(),
            None => String::new(),
        }
    }
}

fn in_source(error: Error, name: &str) -> Error {
    let located = Error::new(error.code(), format!("source `{name}`: {}", error.message()));
    match error.hint() {
        Some(hint) => located.with_hint(hint),
        None => located,
    }
}

/// Checks that a name can be written in SQL as it is: a letter or `_`, then letters, digits, `_` and single hyphens.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let refuse = |why: &str| {
        Err(Error::new(ErrorCode::ConfigInvalid, format!("`{name}` cannot be the name of a source: {why}")).with_hint(
            "A name is a letter, then letters, digits, `_` or single hyphens, such as `shop` or `users-db`.",
        ))
    };
    let Some(first) = name.chars().next() else { return refuse("it is empty") };
    if !(first.is_ascii_alphabetic() || first == '_') {
        return refuse("it does not begin with a letter");
    }
    if let Some(odd) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        return refuse(&format!("it holds `{}`", odd.escape_default()));
    }
    if name.contains("--") || name.ends_with('-') {
        return refuse("SQL reads `--` as a comment, and a name cannot end with a hyphen");
    }
    if name.len() > 63 {
        return refuse("it is longer than 63 characters");
    }
    if name.eq_ignore_ascii_case("tombolo") {
        return refuse("it is Tombolo's own");
    }
    Ok(())
}

/// A name for a source made from its path, where one can be made: `data/shop-2024.db` gives `shop-2024`.
pub(crate) fn name_from_path(path: &str) -> Option<String> {
    let clean = without_dots(Path::new(path)).display().to_string();
    let last = clean.rsplit('/').find(|part| !part.contains(['*', '?', '[']))?;
    let stem = Path::new(last).file_stem()?.to_str()?;
    let mut name = String::new();
    for c in stem.chars() {
        let c = if c.is_ascii_alphanumeric() {
            c
        } else if c == '-' && !name.ends_with('-') {
            '-'
        } else {
            '_'
        };
        name.push(c);
    }
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        name.insert(0, '_');
    }
    let name = name.trim_end_matches('-').to_owned();
    check_name(&name).ok().map(|()| name)
}

/// The path as the config should keep it: relative to the config's folder when it lies below it, else absolute. What is
/// a URL stays as it is.
pub(crate) fn written_path(path: &str, working: &Path, config_folder: &Path) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let absolute = without_dots(&working.join(path));
    match absolute.strip_prefix(without_dots(config_folder)) {
        Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.display().to_string(),
        Err(_) => absolute.display().to_string(),
    }
}

fn absolute_path(path: &str, folder: &Path) -> String {
    if path.contains("://") { path.to_owned() } else { without_dots(&folder.join(path)).display().to_string() }
}

/// Removes `.` and resolves `..` by the text alone, since a glob is no file that could be looked up.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
