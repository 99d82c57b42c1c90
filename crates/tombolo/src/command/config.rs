use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, OptionValue, Result};

use super::{App, ListFormat, shown_path, working_folder};
use crate::config::{
    COMMON, Config, ConfigEditor, FEDERATION, GUARDRAIL_SECTION, GUARDRAILS, KeyPath, MASK, TableEntry, written_path,
};
use crate::output;
use crate::render::{Align, Grid};

/// Show and change the settings in tombolo.toml
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo config list
  tombolo config set federation.max_query_time 10s
  tombolo config set sources.shop.path data/shop.db
  tombolo config get federation.max_memory
  tombolo config unset federation.max_query_time")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every key with its value, whether it is set or the default, and what it does
    #[command(after_help = "Example:\n  tombolo config list --format json")]
    List {
        /// The form of the list
        #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
        format: ListFormat,
    },
    /// Print the value of a key; secrets are masked
    #[command(after_help = "Example:\n  tombolo config get federation.max_memory")]
    Get {
        /// federation.KEY or sources.NAME.KEY
        key: String,
    },
    /// Set a key; comments and order of the file are kept
    #[command(
        after_help = "Examples:\n  tombolo config set federation.max_query_time 10s\n  tombolo config set sources.shop.timeout 5s"
    )]
    Set {
        /// federation.KEY or sources.NAME.KEY
        key: String,
        /// The value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a key from the file, so that its default holds
    #[command(after_help = "Example:\n  tombolo config unset federation.max_query_time")]
    Unset {
        /// federation.KEY or sources.NAME.KEY
        key: String,
    },
}

impl ConfigArgs {
    pub(crate) fn run(self, app: &App) -> Result<u8> {
        match self.action {
            Action::List { format } => list(app, format),
            Action::Get { key } => get(app, &key),
            Action::Set { key, value } => set(app, &key, &value),
            Action::Unset { key } => unset(app, &key),
        }?;
        Ok(0)
    }
}

/// One key as `config list` shows it.
struct Setting {
    key: String,
    value: Option<String>,
    set: bool,
    help: &'static str,
}

fn settings(app: &App, config: &Config) -> Result<Vec<Setting>> {
    let mut settings: Vec<Setting> = FEDERATION
        .iter()
        .map(|spec| setting("federation", spec, config.federation.given.iter().find(|(key, _)| *key == spec.name)))
        .collect();
    for source in &config.sources {
        let whole = format!("sources.{}", source.name);
        let specs = app.registry.factory(&source.kind)?.spec().options;
        settings.extend(
            COMMON.iter().map(|spec| setting(&whole, spec, source.common.iter().find(|(key, _)| *key == spec.name))),
        );
        settings.extend(
            specs.iter().map(|spec| setting(&whole, spec, source.options.iter().find(|(key, _)| *key == spec.name))),
        );
        let rules = format!("{whole}.{GUARDRAIL_SECTION}");
        let guardrails = &source.guardrails;
        settings.extend(
            GUARDRAILS
                .iter()
                .map(|spec| setting(&rules, spec, guardrails.source.iter().find(|(key, _)| *key == spec.name))),
        );
        settings.extend(guardrails.tables.iter().flat_map(TableEntry::shown).map(|(key, value)| Setting {
            key: format!("{whole}.{key}"),
            value: Some(value),
            set: true,
            help: "A guardrail of the table, in place of or beside those of its source.",
        }));
    }
    Ok(settings)
}

fn setting(whole: &str, spec: &OptionSpec, given: Option<(&str, &OptionValue)>) -> Setting {
    let value = match given {
        Some(_) if spec.kind == OptionKind::Secret => Some(MASK.to_owned()),
        Some((_, value)) => Some(value.to_string()),
        None => spec.default.map(str::to_owned),
    };
    Setting { key: format!("{whole}.{}", spec.name), value, set: given.is_some(), help: spec.help }
}

fn list(app: &App, format: ListFormat) -> Result<()> {
    let config = app.config()?;
    let settings = settings(app, &config)?;
    match format {
        ListFormat::Json => {
            let keys: Map<String, Value> = settings
                .into_iter()
                .map(|it| (it.key, json!({ "value": it.value, "set": it.set, "help": it.help })))
                .collect();
            output::write_stdout(&format!("{:#}\n", Value::Object(keys)))
        }
        ListFormat::Table => {
            let mut grid = Grid::new([
                ("key", Align::Left),
                ("value", Align::Left),
                ("", Align::Left),
                ("what it does", Align::Left),
            ]);
            for it in settings {
                let from = if it.set {
                    "set"
                } else if it.value.is_some() {
                    "default"
                } else {
                    "not set"
                };
                grid.row([it.key, it.value.unwrap_or_default(), from.to_owned(), it.help.to_owned()]);
            }
            output::with_stdout(|out| grid.write(out, app.stdout).map(|_| ()))?;
            match &config.path {
                Some(path) => output::complain(&format!("config file: {}", path.display())),
                None => output::complain("config file: none; `tombolo config set` makes tombolo.toml here"),
            }
            Ok(())
        }
    }
}

fn get(app: &App, key: &str) -> Result<()> {
    let path = KeyPath::parse(key)?;
    let config = app.config()?;
    let kind = match &path {
        KeyPath::Source { source, .. } => Some(config.source(source)?.kind.clone()),
        KeyPath::Federation(_) => None,
    };
    let spec = path.spec(&app.registry, kind.as_deref())?;
    let given = match &path {
        KeyPath::Federation(key) => config.federation.given.iter().find(|(name, _)| *name == key),
        KeyPath::Source { source, key } => {
            let source = config.source(source)?;
            match key.split_once('.') {
                Some((_, own)) => source.guardrails.source.iter().find(|(name, _)| *name == own),
                None => source.common.iter().chain(source.options.iter()).find(|(name, _)| *name == key),
            }
        }
    };
    match setting("", spec, given).value {
        Some(value) => output::write_stdout(&format!("{value}\n")),
        None => {
            output::complain(&format!("{path} is not set"));
            Ok(())
        }
    }
}

fn set(app: &App, key: &str, value: &str) -> Result<()> {
    let path = KeyPath::parse(key)?;
    let file = app.config_path_to_write()?;
    let mut editor = ConfigEditor::open(&file)?;
    let spec = spec_of(app, &path, &editor)?;
    let mut checked = spec.kind.check(spec.name, &OptionValue::Text(value.to_owned()))?;
    match &path {
        KeyPath::Federation(key) => crate::config::check_range(key, value)?,
        KeyPath::Source { source, key } if key == "kind" => {
            return Err(Error::new(ErrorCode::Usage, "the kind of a source cannot be changed")
                .with_hint(format!("Connect it anew: `tombolo connect URL --name {source} --replace`.")));
        }
        KeyPath::Source { .. } => {}
    }
    if spec.kind == OptionKind::Path {
        let working = working_folder()?;
        let absolute = working.join(&file);
        let folder = absolute.parent().unwrap_or(&working);
        checked = OptionValue::Text(written_path(value, &working, folder));
    }
    if spec.kind == OptionKind::Secret {
        editor.mark_secret();
    }
    let created = !file.exists();
    editor.set(&path, &checked)?;
    editor.save()?;
    let shown = if spec.kind == OptionKind::Secret { MASK.to_owned() } else { checked.to_string() };
    let what = if created { "made" } else { "changed" };
    output::complain(&format!("{path} = {shown} ({what} {})", shown_path(&file, &working_folder()?)));
    Ok(())
}

fn unset(app: &App, key: &str) -> Result<()> {
    let path = KeyPath::parse(key)?;
    let file = app.config_path_to_write()?;
    let mut editor = ConfigEditor::open(&file)?;
    // A key that this version does not know may still be removed: that is how a broken config is mended.
    let spec = spec_of(app, &path, &editor).ok();
    if spec.is_some_and(|spec| spec.required) {
        return Err(Error::new(ErrorCode::Usage, format!("{path} cannot be unset: a source cannot do without it"))
            .with_hint("Set it to something else, or remove the source with `tombolo disconnect`."));
    }
    if file.exists() && editor.unset(&path)? {
        editor.save()?;
        let default = spec.and_then(|spec| spec.default).map(|default| format!("; the default is {default}"));
        output::complain(&format!("{path} is unset{}", default.unwrap_or_default()));
    } else {
        spec_of(app, &path, &editor)?;
        output::complain(&format!("{path} was not set"));
    }
    Ok(())
}

fn spec_of(app: &App, path: &KeyPath, editor: &ConfigEditor) -> Result<&'static OptionSpec> {
    let kind = match path {
        KeyPath::Source { source, .. } => match editor.source_kind(source) {
            Some(kind) => Some(kind),
            None => Some(app.config()?.source(source)?.kind.clone()),
        },
        KeyPath::Federation(_) => None,
    };
    path.spec(&app.registry, kind.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked() {
        let spec = OptionSpec { name: "password", kind: OptionKind::Secret, default: None, required: false, help: "" };
        let given = OptionValue::Text("hunter2".to_owned());
        assert_eq!(setting("sources.x", &spec, Some(("password", &given))).value.as_deref(), Some(MASK));
    }
}
