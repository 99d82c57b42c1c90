use std::io::Write;
use std::path::{Path, PathBuf};

use tombolo_connector::{Error, ErrorCode, OptionValue, Result, ResultExt};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value, value};

use super::guardrails::{SECTION as GUARDRAILS, TABLES};
use super::key::KeyPath;
use super::place::Place;
use super::{parent, read_text};

/// Changes a config file, keeping its comments and order. Nothing is written before [`ConfigEditor::save`], which replaces
/// the file in one step.
#[derive(Debug)]
pub(crate) struct ConfigEditor {
    path: PathBuf,
    document: DocumentMut,
    holds_secret: bool,
}

impl ConfigEditor {
    /// Opens a file, or begins a new one where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let text = if path.exists() { read_text(path)? } else { String::new() };
        let document = text.parse::<DocumentMut>().map_err(|error| Place::new(path, &text).syntax(&error))?;
        Ok(Self { path: path.to_owned(), document, holds_secret: false })
    }

    /// Writes a source's table, in place of one that is there; guardrails stay, since they are not the new source's to drop.
    pub(crate) fn put_source<'a>(
        &mut self,
        name: &str,
        kind: &str,
        options: impl Iterator<Item = (&'a str, &'a OptionValue)>,
    ) -> Result<()> {
        let mut table = Table::new();
        table.insert("kind", value(kind));
        for (key, option) in options {
            table.insert(key, Item::Value(toml_value(option)));
        }
        let sources = self.section("sources", true)?;
        if let Some(existing) = find_key(sources, name)
            && let Some(mut old) = sources.remove(&existing)
            && let Some(old) = old.as_table_like_mut()
        {
            for kept in [GUARDRAILS, TABLES] {
                if let Some(rules) = old.remove(kept) {
                    table.insert(kept, rules);
                }
            }
        }
        sources.insert(name, Item::Table(table));
        Ok(())
    }

    /// Removes a source's table; false where there is none.
    pub(crate) fn remove_source(&mut self, name: &str) -> Result<bool> {
        let sources = self.section("sources", true)?;
        Ok(find_key(sources, name).is_some_and(|key| sources.remove(&key).is_some()))
    }

    /// The kind that the file gives a source.
    pub(crate) fn source_kind(&self, name: &str) -> Option<String> {
        let sources = self.document.get("sources")?.as_table_like()?;
        let table = sources.get(&find_key(sources, name)?)?.as_table_like()?;
        table.get("kind")?.as_str().map(str::to_owned)
    }

    /// Sets a key, keeping the comment beside it.
    pub(crate) fn set(&mut self, path: &KeyPath, option: &OptionValue) -> Result<()> {
        let (table, key) = self.table_of(path, true)?;
        let mut new = toml_value(option);
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
            None => {
                table.insert(key, Item::Value(new));
            }
        }
        Ok(())
    }

    /// Removes a key; false where the file does not have it.
    pub(crate) fn unset(&mut self, path: &KeyPath) -> Result<bool> {
        let (table, key) = self.table_of(path, false)?;
        Ok(table.remove(key).is_some())
    }

    /// Says that the file now holds a secret, so that only its owner may read it.
    pub(crate) fn mark_secret(&mut self) {
        self.holds_secret = true;
    }

    /// The text as it would be saved.
    pub(crate) fn text(&self) -> String {
        self.document.to_string()
    }

    /// Replaces the file.
    pub(crate) fn save(&self) -> Result<()> {
        // A link is followed, so that a config kept elsewhere is changed there and the link stays.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let failed = || format!("the config file {} cannot be written", self.path.display());
        let folder = parent(&path);
        std::fs::create_dir_all(folder).or_error(ErrorCode::FileFailed, failed)?;
        let mut file = tempfile::Builder::new()
            .prefix(".tombolo-")
            .suffix(".toml")
            .tempfile_in(folder)
            .or_error(ErrorCode::FileFailed, failed)?;
        file.write_all(self.text().as_bytes()).or_error(ErrorCode::FileFailed, failed)?;
        file.as_file().sync_all().or_error(ErrorCode::FileFailed, failed)?;
        self.set_permissions(&path, file.path()).or_error(ErrorCode::FileFailed, failed)?;
        file.persist(&path).map_err(|error| error.error).or_error(ErrorCode::FileFailed, failed)?;
        Ok(())
    }

    /// A temporary file is its owner's alone; the config keeps the permissions it had, or gets the usual ones when it is
    /// new and holds no secret.
    #[cfg(unix)]
    fn set_permissions(&self, old: &Path, new: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = match std::fs::metadata(old) {
            _ if self.holds_secret => 0o600,
            Ok(metadata) => metadata.permissions().mode(),
            Err(_) => 0o644,
        };
        std::fs::set_permissions(new, std::fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn set_permissions(&self, _old: &Path, _new: &Path) -> std::io::Result<()> {
        Ok(())
    }

    /// The table that has a key; with `make`, guardrails are begun where there are none.
    fn table_of<'a>(&'a mut self, path: &'a KeyPath, make: bool) -> Result<(&'a mut dyn TableLike, &'a str)> {
        match path {
            KeyPath::Federation(key) => Ok((self.section("federation", false)?, key)),
            KeyPath::Source { source, key } => {
                let missing = || {
                    Error::new(ErrorCode::SourceNotFound, format!("source `{source}` does not exist"))
                        .with_hint("`tombolo sources` lists those that there are; `tombolo connect` adds one.")
                };
                let sources = self.section("sources", true)?;
                let name = find_key(sources, source).ok_or_else(missing)?;
                let table = sources.get_mut(&name).and_then(Item::as_table_like_mut).ok_or_else(missing)?;
                let Some((section, own)) = key.split_once('.').filter(|(section, _)| *section == GUARDRAILS) else {
                    return Ok((table, key));
                };
                if !make && !table.contains_key(section) {
                    return Ok((table, key));
                }
                let rules = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
                let rules = rules.as_table_like_mut().ok_or_else(missing)?;
                Ok((rules, own))
            }
        }
    }

    fn section(&mut self, name: &str, implicit: bool) -> Result<&mut dyn TableLike> {
        let path = self.path.display().to_string();
        let item = self.document.entry(name).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(implicit);
            Item::Table(table)
        });
        item.as_table_like_mut()
            .ok_or_else(|| Error::new(ErrorCode::ConfigInvalid, format!("{path}: `{name}` must be a table")))
    }
}

/// The key as the table writes it, whatever the case it is asked in.
fn find_key(table: &dyn TableLike, name: &str) -> Option<String> {
    table.iter().map(|(key, _)| key).find(|key| key.eq_ignore_ascii_case(name)).map(str::to_owned)
}

fn toml_value(option: &OptionValue) -> Value {
    match option {
        OptionValue::Boolean(truth) => (*truth).into(),
        OptionValue::Integer(number) => (*number).into(),
        OptionValue::Text(text) => text.as_str().into(),
    }
}
