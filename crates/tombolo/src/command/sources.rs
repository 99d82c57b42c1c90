use std::time::{Duration, Instant};

use clap::Args;
use futures::{StreamExt, stream};
use serde_json::json;
use tombolo_connector::{Error, ErrorCode, RemoteInfo, Result};
use tombolo_engine::Engine;

use super::describe::write_json;
use super::{App, ListFormat};
use crate::config::Config;
use crate::output;
use crate::render::{Align, Grid};

/// A list is not kept waiting longer by a source that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// List the sources, and whether they answer
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tombolo sources\n  tombolo sources --format json")]
pub(crate) struct SourcesArgs {
    /// The form of the list
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    format: ListFormat,
}

/// One source, asked whether it answers.
pub(crate) struct SourceState {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) location: String,
    pub(crate) answer: Result<RemoteInfo>,
    pub(crate) elapsed: Duration,
}

impl SourcesArgs {
    pub(crate) async fn run(&self, app: &App) -> Result<u8> {
        let config = app.config()?;
        let engine = app.engine(&config)?;
        write_sources(app, &config, &engine, self.format).await?;
        Ok(0)
    }
}

/// Asks every source at once whether it answers.
pub(crate) async fn ask_all(app: &App, config: &Config, engine: &Engine) -> Vec<SourceState> {
    let asked = config.sources.iter().map(|source| async move {
        let started = Instant::now();
        let answer = match tokio::time::timeout(PATIENCE, engine.ping(&source.name)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorCode::Timeout, format!("no answer within {} s", PATIENCE.as_secs()))
                .with_source_name(&source.name)
                .with_hint("See that the source runs and can be reached from here.")),
        };
        SourceState {
            name: source.name.clone(),
            kind: source.kind.clone(),
            location: source.location(&app.registry),
            answer,
            elapsed: started.elapsed(),
        }
    });
    stream::iter(asked).buffered(16).collect().await
}

/// Shows the sources. One that is down is shown as down.
pub(crate) async fn write_sources(app: &App, config: &Config, engine: &Engine, format: ListFormat) -> Result<()> {
    let states = ask_all(app, config, engine).await;
    match format {
        ListFormat::Json => {
            let list: Vec<_> = states
                .iter()
                .map(|state| match &state.answer {
                    Ok(remote) => json!({
                        "name": state.name, "kind": state.kind, "location": state.location, "state": "up",
                        "product": remote.product, "version": remote.version,
                    }),
                    Err(error) => json!({
                        "name": state.name, "kind": state.kind, "location": state.location, "state": "down",
                        "error": { "code": error.code(), "message": error.message(), "hint": error.hint() },
                    }),
                })
                .collect();
            write_json(&json!(list))
        }
        ListFormat::Table if states.is_empty() => {
            output::complain("no source is connected; `tombolo connect PATH --name NAME` adds one");
            Ok(())
        }
        ListFormat::Table => {
            let mut grid = Grid::new(["source", "kind", "location", "state", ""].map(|header| (header, Align::Left)));
            for state in states {
                let (word, note) = match &state.answer {
                    Ok(remote) => ("up", format!("{} {}", remote.product, remote.version)),
                    Err(error) => ("down", error.message().to_owned()),
                };
                grid.row([state.name, state.kind, state.location, word.to_owned(), note]);
            }
            output::with_stdout(|out| grid.write(out, app.stdout).map(|_| ()))
        }
    }
}
