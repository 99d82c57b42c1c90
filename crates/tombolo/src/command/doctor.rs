use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tombolo_connector::{Error, OptionKind, Result};

use super::describe::write_json;
use super::{App, ListFormat, sources};
use crate::config::Config;
use crate::output;
use crate::render::{Style, Terminal, number, text};
use crate::state::StateFolder;

/// Free space below this is worth a word.
const LITTLE_SPACE: u64 = 1 << 30;

/// Check the config, the sources, the folders and the machine, and say what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tombolo doctor\n  tombolo doctor --format json\n\nIt ends with 0 when all is well, and with 1 when something needs attention."
)]
pub(crate) struct DoctorArgs {
    /// The form of the answer
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    format: ListFormat,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works, and may not for long or not in all cases.
    Warning,
    Failed,
}

impl Check {
    fn new(name: impl Into<String>, state: State, message: impl Into<String>) -> Self {
        Self { name: name.into(), state, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn failed(name: impl Into<String>, error: &Error) -> Self {
        let message = match error.detail() {
            Some(detail) => format!("{} ({detail})", error.message()),
            None => error.message().to_owned(),
        };
        Self { hint: error.hint().map(str::to_owned), ..Self::new(name, State::Failed, message) }
    }
}

impl DoctorArgs {
    pub(crate) async fn run(&self, app: &App) -> Result<u8> {
        let mut checks = vec![version()];
        match app.config() {
            Ok(config) => {
                checks.extend(config_file(app, &config));
                checks.push(state_folder());
                checks.push(temp_folder(&config));
                checks.push(memory(&config));
                checks.extend(ask_sources(app, &config).await);
            }
            Err(error) => {
                checks.push(Check::failed("config", &error));
                checks.push(state_folder());
            }
        }
        match self.format {
            ListFormat::Json => write_json(&json!(checks))?,
            ListFormat::Table => output::with_stdout(|out| {
                checks.iter().try_for_each(|check| {
                    let lines = check_lines(check, app.stdout);
                    out.write_all(lines.as_bytes())
                })
            })?,
        }
        Ok(u8::from(checks.iter().any(|check| check.state == State::Failed)))
    }
}

fn check_lines(check: &Check, terminal: Terminal) -> String {
    let (word, style) = match check.state {
        State::Ok => ("ok", Style::Good),
        State::Warning => ("warning", Style::Warning),
        State::Failed => ("failed", Style::Error),
    };
    let word = terminal.paint(style, &format!("{word:<8}"));
    let mut lines = format!("{word} {:<16} {}\n", check.name, text::escape(&check.message));
    if let Some(hint) = &check.hint {
        lines.push_str(&format!("{:26}{}\n", "", text::escape(hint)));
    }
    lines
}

fn version() -> Check {
    let message = format!(
        "tombolo {}, DataFusion {}, {} {}",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION,
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    Check::new("version", State::Ok, message)
}

fn config_file(app: &App, config: &Config) -> Vec<Check> {
    let Some(path) = &config.path else {
        return vec![
            Check::new("config", State::Ok, "there is no config file; the defaults hold")
                .hint("`tombolo connect PATH --name NAME` makes one here."),
        ];
    };
    let sources = number::counted(config.sources.len() as u64, "source", "sources");
    let mut checks = vec![Check::new("config", State::Ok, format!("{}, {sources}", path.display()))];
    if holds_secret(app, config) && others_can_read(path) {
        checks.push(
            Check::new("config", State::Warning, "it holds a secret and others than its owner can read it")
                .hint(format!("chmod 600 {}", path.display())),
        );
    }
    checks
}

fn holds_secret(app: &App, config: &Config) -> bool {
    config.sources.iter().any(|source| {
        let specs = app.registry.factory(&source.kind).map(|factory| factory.spec().options).unwrap_or_default();
        specs.iter().any(|spec| spec.kind == OptionKind::Secret && source.options.text(spec.name).is_some())
    })
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_path: &Path) -> bool {
    false
}

fn state_folder() -> Check {
    let name = "state folder";
    match StateFolder::find().and_then(|folder| folder.create().map(Path::to_path_buf)) {
        Ok(path) => folder_check(name, &path, "Set TOMBOLO_HOME to a folder that you can write to."),
        Err(error) => Check::failed(name, &error),
    }
}

fn temp_folder(config: &Config) -> Check {
    let path = config.federation.settings.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let limit = config.federation.text("max_temp_bytes");
    let mut check = folder_check("temporary files", &path, "`tombolo config set federation.temp_dir PATH` moves them.");
    check.message.push_str(&format!("; queries may take {limit}"));
    check
}

/// Whether files can be made there, and how much room there is.
fn folder_check(name: &str, path: &Path, hint: &str) -> Check {
    if let Err(error) = tempfile::tempfile_in(path) {
        return Check::new(name, State::Failed, format!("{} cannot be written to: {error}", path.display())).hint(hint);
    }
    match free_bytes(path) {
        Some(free) if free < LITTLE_SPACE => {
            let message = format!("{}, only {} free", path.display(), number::bytes(free));
            Check::new(name, State::Warning, message).hint(hint)
        }
        Some(free) => Check::new(name, State::Ok, format!("{}, {} free", path.display(), number::bytes(free))),
        None => Check::new(name, State::Ok, path.display().to_string()),
    }
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(path).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

fn memory(config: &Config) -> Check {
    let limit = config.federation.settings.max_memory;
    let shown = format!("max_memory is {}", config.federation.text("max_memory"));
    match machine_memory() {
        // What operators reserve is not all that a process takes.
        Some(memory) if limit > memory / 10 * 8 => {
            Check::new("memory", State::Warning, format!("{shown}, and the machine has {}", number::bytes(memory)))
                .hint(format!(
                    "`tombolo config set federation.max_memory {}MB` leaves room for the rest.",
                    (memory / 2) >> 20
                ))
        }
        Some(memory) => Check::new("memory", State::Ok, format!("{shown} of the machine's {}", number::bytes(memory))),
        None => Check::new("memory", State::Ok, shown),
    }
}

/// The memory that this process may use: the machine's, or less where its control group says so. Known on Linux only.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let group =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    Some(group.map_or(total, |group| group.min(total)))
}

async fn ask_sources(app: &App, config: &Config) -> Vec<Check> {
    let engine = match app.engine(config) {
        Ok(engine) => engine,
        Err(error) => return vec![Check::failed("sources", &error)],
    };
    let states = sources::ask_all(app, config, &engine).await;
    let mut checks = Vec::new();
    for state in states {
        let name = format!("source {}", state.name);
        checks.push(match &state.answer {
            Ok(remote) => {
                let took = number::milliseconds(state.elapsed.as_secs_f64() * 1000.0);
                let guarded = match engine.source(&state.name) {
                    Ok(source) => source.check_guardrails().await,
                    Err(error) => Err(error),
                };
                match guarded {
                    Ok(()) => Check::new(
                        name,
                        State::Ok,
                        format!("{} {} at {}, answered in {took}", remote.product, remote.version, state.location),
                    ),
                    Err(error) => Check::failed(name, &error),
                }
            }
            Err(error) => Check::failed(name, error),
        });
    }
    checks
}
