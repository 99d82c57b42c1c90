//! The one config file, `tombolo.toml`: where it is found, what it holds, and how it is changed.
//!
//! Reading is strict: a key that is not known is refused with its place in the file and the nearest known name, so that no
//! setting is ever ignored. Changing keeps comments and order, and replaces the file in one step.

mod edit;
mod federation;
mod guardrails;
mod key;
mod locate;
mod place;
pub(crate) mod reference;
mod source;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use tombolo_connector::{Error, ErrorCode, Registry, Result, ResultExt, nearest_name};
use tombolo_engine::SourceConfig;
use toml_edit::{Document, TableLike};

pub(crate) use edit::ConfigEditor;
pub(crate) use federation::{FEDERATION, Federation, check_range};
pub(crate) use guardrails::{GUARDRAILS, GuardrailEntries, SECTION as GUARDRAIL_SECTION, TableEntry};
pub(crate) use key::{KeyPath, MASK};
pub(crate) use locate::{FILE_NAME, find};
pub(crate) use source::{COMMON, SourceEntry, check_name, name_from_path, written_path};

use place::Place;

const SECTIONS: &[&str] = &["federation", "sources"];

/// The config as it was read; empty where there is no file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file, where there is one.
    pub(crate) path: Option<PathBuf>,
    /// The `[federation]` table with its defaults.
    pub(crate) federation: Federation,
    /// The `[sources.NAME]` tables in the order of the file.
    pub(crate) sources: Vec<SourceEntry>,
}

impl Config {
    /// Reads the file at `path`, or gives the defaults where there is none.
    pub(crate) fn load(path: Option<PathBuf>, registry: &Registry) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = read_text(&path)?;
        Self::parse(path, &text, registry)
    }

    /// Reads the text of a file; `path` is for its errors and for relative paths in it.
    pub(crate) fn parse(path: PathBuf, text: &str, registry: &Registry) -> Result<Self> {
        let place = Place::new(&path, text);
        let document = Document::parse(text).map_err(|error| place.syntax(&error))?;
        let mut config = Self::default();
        for (name, item) in document.as_table() {
            let key = document.as_table().key(name).and_then(toml_edit::Key::span);
            if !SECTIONS.contains(&name) {
                return Err(place.unknown_key(key, name, SECTIONS, "the file"));
            }
            let Some(table) = item.as_table_like() else {
                return Err(place.error(key, format!("`{name}` must be a table, not {}", item.type_name())));
            };
            match name {
                "federation" => config.federation = Federation::read(table, &place)?,
                _ => config.sources = read_sources(table, &place, &path, registry)?,
            }
        }
        if let Some(temp_dir) = &mut config.federation.settings.temp_dir {
            *temp_dir = parent(&path).join(&temp_dir);
        }
        config.path = Some(path);
        Ok(config)
    }

    /// The folder that relative paths in the file start from.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.path.as_deref().map(parent)
    }

    /// The source of this name, whatever its case.
    pub(crate) fn source(&self, name: &str) -> Result<&SourceEntry> {
        self.sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let error = Error::new(ErrorCode::SourceNotFound, format!("source `{name}` does not exist"));
            match nearest_name(name, self.sources.iter().map(|source| source.name.as_str())) {
                Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
                None if self.sources.is_empty() => {
                    error.with_hint("No source is connected yet: `tombolo connect PATH --name NAME` adds one.")
                }
                None => error.with_hint("`tombolo sources` lists those that there are."),
            }
        })
    }

    /// The sources as the engine takes them, with absolute paths.
    pub(crate) fn source_configs(&self, registry: &Registry) -> Result<Vec<SourceConfig>> {
        let folder = match self.folder() {
            Some(folder) => std::path::absolute(folder)
                .or_error(ErrorCode::FileFailed, || "the working directory is gone".into())?,
            None => PathBuf::new(),
        };
        self.sources.iter().map(|source| source.resolved(registry, &folder)).collect()
    }
}

fn read_sources(
    table: &dyn TableLike,
    place: &Place<'_>,
    path: &Path,
    registry: &Registry,
) -> Result<Vec<SourceEntry>> {
    let mut sources: Vec<SourceEntry> = Vec::new();
    for (name, item) in table.iter() {
        let key = table.key(name).and_then(toml_edit::Key::span);
        let Some(options) = item.as_table_like() else {
            return Err(place.error(key, format!("`sources.{name}` must be a table, not {}", item.type_name())));
        };
        check_name(name).map_err(|error| place.locate(error, key.clone()))?;
        if let Some(other) = sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)) {
            return Err(place
                .error(key, format!("source `{name}` is there twice, as `{}` too", other.name))
                .with_hint("Names of sources match whatever their case: rename one of them."));
        }
        let entry = SourceEntry::read(name, options, place, registry)?;
        tracing::trace!(source = name, kind = entry.kind, config = %path.display(), "read a source");
        sources.push(entry);
    }
    Ok(sources)
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let (message, hint) = match error.kind() {
            std::io::ErrorKind::NotFound => {
                ("does not exist", "Give the path of a config file, or leave --config away.")
            }
            std::io::ErrorKind::InvalidData => ("is not UTF-8 text", "A config file is TOML text."),
            _ => ("cannot be read", "Look at its permissions."),
        };
        Error::new(ErrorCode::ConfigInvalid, format!("the config file {} {message}", path.display()))
            .with_detail(error.to_string())
            .with_hint(hint)
            .with_cause(error)
    })
}

/// The folder of a file; a bare name is in the working directory.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
