//! The commands, a file each. What they share: [`App`], where the config and the state are; [`run`], one statement from
//! text to delivered rows.

mod cartesian;
mod completions;
mod config;
mod connect;
mod demo;
mod describe;
mod disconnect;
mod doctor;
mod explain;
mod export;
mod history;
mod progress;
mod query;
mod reference;
mod run;
mod shell;
mod sources;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tombolo_connector::{Error, ErrorCode, Registry, Result, ResultExt};
use tombolo_engine::{Engine, EngineConfig};

use crate::config::Config;
use crate::interrupt::Interrupts;
use crate::output::{self, ColorChoice};
use crate::render::{self, Terminal};
use crate::state::StateFolder;

/// One query over many sources, where the data is.
///
/// Tombolo joins islands of data: it sends each source the part of a query that the source can do itself, joins the rest
/// here, and says with a receipt where every column came from. It only ever reads.
#[derive(Debug, Parser)]
#[command(
    name = "tombolo",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "Start here:\n  tombolo demo                                  see it work, with no server and no network\n  tombolo connect data/shop.db --name shop      connect a source\n  tombolo query \"SELECT * FROM shop.customers\"  ask it\n\nExit codes: 0 ok, 1 query failed, 2 usage, 3 source unavailable, 4 refused, 5 partial answer, 124 timed out, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// The config file [default: tombolo.toml here or in a folder above, else the user's config folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TOMBOLO_CONFIG",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Log to stderr what happens; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Connect(connect::ConnectArgs),
    Sources(sources::SourcesArgs),
    Disconnect(disconnect::DisconnectArgs),
    Describe(describe::DescribeArgs),
    Query(query::QueryArgs),
    Explain(explain::ExplainArgs),
    Export(export::ExportArgs),
    History(history::HistoryArgs),
    Shell(shell::ShellArgs),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Reference(reference::ReferenceArgs),
}

/// A form for lists: a table for people, JSON for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table
    #[default]
    Table,
    /// JSON
    Json,
}

/// Runs a command and says how the program should end.
pub(crate) async fn dispatch(app: App, command: Command, interrupts: Interrupts) -> u8 {
    // The shell takes Ctrl-C for itself: it cancels a statement there, not the program.
    let outcome = if let Command::Shell(args) = command {
        args.run(&app, &interrupts).await
    } else {
        tokio::select! {
            biased;
            code = interrupts.wait() => {
                // Dropping the command has cancelled its query and removed its temporary files.
                output::complain("cancelled");
                return code;
            }
            outcome = execute(&app, command) => outcome,
        }
    };
    outcome.unwrap_or_else(|error| app.report(&error))
}

async fn execute(app: &App, command: Command) -> Result<u8> {
    match command {
        Command::Connect(args) => args.run(app).await,
        Command::Sources(args) => args.run(app).await,
        Command::Disconnect(args) => args.run(app),
        Command::Describe(args) => args.run(app).await,
        Command::Query(args) => args.run(app).await,
        Command::Explain(args) => args.run(app).await,
        Command::Export(args) => args.run(app),
        Command::History(args) => args.run(app),
        Command::Config(args) => args.run(app),
        Command::Doctor(args) => args.run(app).await,
        Command::Demo(args) => args.run(app).await,
        Command::Completions(args) => args.run(),
        Command::Reference(args) => args.run(app),
        Command::Shell(_) => Ok(0),
    }
}

/// Where the config and the state are, and what the streams can show. Nothing is read before it is asked for.
#[derive(Debug)]
pub(crate) struct App {
    config: Option<PathBuf>,
    pub(crate) registry: Registry,
    pub(crate) stdout: Terminal,
    pub(crate) stderr: Terminal,
    /// Logs are printed, which progress bars would tear.
    pub(crate) verbose: bool,
}

impl App {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        Self {
            config: global.config.clone().filter(|path| !path.as_os_str().is_empty()),
            registry: tombolo_connectors::registry(),
            stdout: global.color.apply(Terminal::stdout()),
            stderr: global.color.apply(Terminal::stderr()),
            verbose: global.verbose > 0,
        }
    }

    /// The config file, where there is one.
    pub(crate) fn config_path(&self) -> Result<Option<PathBuf>> {
        Ok(crate::config::find(self.config.as_deref(), &working_folder()?))
    }

    /// The config file to change: the one that is read, else one in the working folder.
    pub(crate) fn config_path_to_write(&self) -> Result<PathBuf> {
        Ok(self.config_path()?.unwrap_or(working_folder()?.join(crate::config::FILE_NAME)))
    }

    /// The config.
    pub(crate) fn config(&self) -> Result<Config> {
        Config::load(self.config_path()?, &self.registry)
    }

    /// The engine over the sources of a config. It reaches none of them yet.
    pub(crate) fn engine(&self, config: &Config) -> Result<Engine> {
        // Made here, so that it is its owner's alone whatever is first put into it. Without one, nothing is cached.
        let state_dir = StateFolder::find().and_then(|folder| folder.create().map(Path::to_path_buf)).ok();
        Engine::try_new(EngineConfig {
            registry: self.registry.clone(),
            sources: config.source_configs(&self.registry)?,
            settings: config.federation.settings.clone(),
            state_dir,
        })
    }

    /// Prints an error and gives its exit code.
    pub(crate) fn report(&self, error: &Error) -> u8 {
        if render::reader_is_gone(error) {
            return 0;
        }
        output::with_stderr(|out| render::write_error(error, self.stderr, out));
        error.code().exit_code()
    }
}

/// The folder that the command was called in.
pub(crate) fn working_folder() -> Result<PathBuf> {
    std::env::current_dir().or_error(ErrorCode::FileFailed, || "the working folder is gone".to_owned())
}

/// A path as a person in `folder` would write it.
pub(crate) fn shown_path<'a>(path: &'a Path, folder: &Path) -> std::path::Display<'a> {
    path.strip_prefix(folder).unwrap_or(path).display()
}

/// Reads a duration with a unit, for clap.
pub(crate) fn duration_argument(text: &str) -> Result<std::time::Duration, String> {
    tombolo_connector::options::parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration above zero with its unit is needed, such as 500ms, 10s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for command in
            command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
        {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("tombolo "), "`{}` has no example", command.get_name());
        }
    }
}
