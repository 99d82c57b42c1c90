use std::path::Path;

use clap::Args;
use tombolo_connector::{Error, ErrorCode, OptionKind, OptionValue, Options, Result};
use tombolo_engine::{Engine, EngineConfig};

use super::describe::{self, TableLine};
use super::{App, shown_path, working_folder};
use crate::config::{COMMON, ConfigEditor, GuardrailEntries, SourceEntry, check_name, name_from_path, written_path};
use crate::output;
use crate::render::{Align, Grid, number};

/// Connect a source: test it, read its schema, and save it in the config
///
/// A source is a URL, or the path of a database, a data file, a folder or a glob. It is saved only when it answers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo connect data/shop.db --name shop
  tombolo connect sqlite:archive/2023.db --name shop-2023
  tombolo connect 'logs/*.parquet' --name logs
  tombolo connect data/ --name files --option timeout=60s")]
pub(crate) struct ConnectArgs {
    /// What to connect
    #[arg(value_name = "URL|PATH")]
    url: String,
    /// The name that statements use [default: from the file's or folder's name]
    #[arg(short, long)]
    name: Option<String>,
    /// A further option of the source, as KEY=VALUE; may be given several times
    #[arg(short = 'O', long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Take the place of a source that has this name already
    #[arg(long)]
    replace: bool,
}

impl ConnectArgs {
    pub(crate) async fn run(self, app: &App) -> Result<u8> {
        let file = app.config_path_to_write()?;
        let config = if file.exists() { app.config()? } else { crate::config::Config::default() };
        let working = working_folder()?;
        let folder = working.join(&file).parent().map_or_else(|| working.clone(), Path::to_path_buf);
        let entry = self.entry(app, &working, &folder)?;
        if let Some(existing) = config.sources.iter().find(|source| source.name.eq_ignore_ascii_case(&entry.name))
            && !self.replace
        {
            let (name, location) = (&existing.name, existing.location(&app.registry));
            return Err(Error::new(ErrorCode::Usage, format!("there is a source `{name}` already, at {location}"))
                .with_hint("Give another --name, or --replace to put this one in its place."));
        }
        let engine = Engine::try_new(EngineConfig {
            registry: app.registry.clone(),
            sources: vec![entry.resolved(&app.registry, &folder)?],
            settings: config.federation.settings.clone(),
            // What an earlier source of this name left in the cache is not this one's.
            state_dir: None,
        })?;
        let remote = engine.ping(&entry.name).await?;
        let tables = describe::list_tables(&engine, &entry.name).await?;
        save(&file, &entry, app)?;

        output::complain(&format!(
            "connected {}: {} {}{}; saved in {}",
            entry.name,
            remote.product,
            remote.version,
            remote.detail.map(|detail| format!(" ({detail})")).unwrap_or_default(),
            shown_path(&file, &working)
        ));
        write_tables(app, &tables)?;
        if let Some(table) = tables.iter().find(|table| table.description.is_ok()) {
            let name = describe::sql_name(&[&entry.name, &table.name]);
            output::complain(&format!("try: tombolo query 'SELECT * FROM {name} LIMIT 10'"));
        }
        Ok(0)
    }

    fn entry(&self, app: &App, working: &Path, folder: &Path) -> Result<SourceEntry> {
        let (factory, mut given) = app.registry.parse_url(&self.url)?;
        let spec = factory.spec();
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                given.text("path").and_then(|path| name_from_path(&working.join(path).to_string_lossy())).ok_or_else(
                    || Error::new(ErrorCode::Usage, "the source needs a name").with_hint("Give one with --name."),
                )?
            }
        };
        check_name(&name).map_err(|error| usage(&error))?;
        let mut common = Options::default();
        for option in &self.options {
            let (key, value) = option.split_once('=').ok_or_else(|| {
                Error::new(ErrorCode::Usage, format!("--option takes KEY=VALUE, not `{option}`"))
                    .with_hint("For example --option timeout=60s.")
            })?;
            match COMMON.iter().find(|spec| spec.name == key && key != "kind") {
                Some(spec) => common.set(key, spec.kind.check(key, &OptionValue::Text(value.to_owned()))?),
                None => match spec.options.iter().find(|spec| spec.name == key) {
                    // Typed as the config types it, so that a number is written as one.
                    Some(spec) => given.set(key, spec.kind.check(key, &OptionValue::Text(value.to_owned()))?),
                    // The check below says what the kind takes.
                    None => given.set(key, value),
                },
            }
        }
        given.checked(spec.options)?;
        for option in spec.options.iter().filter(|option| option.kind == OptionKind::Path) {
            if let Some(path) = given.text(option.name).map(|path| written_path(path, working, folder)) {
                given.set(option.name, path);
            }
        }
        let guardrails = GuardrailEntries::default();
        Ok(SourceEntry { name, kind: spec.kind.to_owned(), options: given, common, guardrails })
    }
}

fn save(file: &Path, entry: &SourceEntry, app: &App) -> Result<()> {
    let mut editor = ConfigEditor::open(file)?;
    if !file.exists() {
        output::complain(&format!("made {}", file.display()));
    }
    let specs = app.registry.factory(&entry.kind)?.spec().options;
    let is_secret = |name: &str| specs.iter().any(|spec| spec.name == name && spec.kind == OptionKind::Secret);
    if entry.options.iter().any(|(name, _)| is_secret(name)) {
        editor.mark_secret();
    }
    // The path stands first, as a person would write it.
    let mut options: Vec<_> = entry.options.iter().collect();
    options.sort_by_key(|(name, _)| specs.iter().position(|spec| spec.name == *name));
    editor.put_source(&entry.name, &entry.kind, options.into_iter().chain(entry.common.iter()))?;
    editor.save()
}

/// Tables with their row counts, as `connect` and `describe SOURCE` show them.
pub(crate) fn write_tables(app: &App, tables: &[TableLine]) -> Result<()> {
    let noted = tables.iter().any(|table| match &table.description {
        Ok(description) => description.comment.is_some(),
        Err(_) => true,
    });
    let (left, right) = (Align::Left, Align::Right);
    let columns = [("table", left), ("kind", left), ("rows", right), ("columns", right), ("", left)];
    let mut grid = Grid::new(columns.into_iter().take(if noted { 5 } else { 4 }));
    for table in tables {
        let [kind, rows, columns, note] = match &table.description {
            Ok(description) => [
                description.kind.to_string(),
                describe::row_count(description.statistics.rows),
                number::count(description.columns.len() as u64),
                description.comment.clone().unwrap_or_default(),
            ],
            Err(error) => [String::new(), String::new(), String::new(), format!("cannot be read: {}", error.message())],
        };
        grid.row([table.name.clone(), kind, rows, columns, note]);
    }
    output::with_stdout(|out| grid.write(out, app.stdout).map(|_| ()))
}

fn usage(error: &Error) -> Error {
    let usage = Error::new(ErrorCode::Usage, error.message());
    match error.hint() {
        Some(hint) => usage.with_hint(hint),
        None => usage,
    }
}
