//! The interactive shell: statements over several lines, names completed, a history, and a few commands that begin with a
//! backslash.

mod complete;
mod input;
mod prompt;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;
use reedline::{
    ColumnarMenu, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, default_emacs_keybindings,
};
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::check::Receipt;
use tombolo_engine::{Engine, QueryOptions};

use self::complete::{NameCompleter, Names};
use self::input::{Input, StatementValidator, read_input};
use self::prompt::ShellPrompt;
use super::cartesian::{CartesianArgs, tell_change};
use super::query::{query_options, read_stdin, summary};
use super::run::{Runner, Target};
use super::{App, ListFormat, describe, sources};
use crate::config::Config;
use crate::interrupt::Interrupts;
use crate::output;
use crate::render::{self, Format};
use crate::state::StateFolder;

/// How many lines the shell remembers.
const REMEMBERED: usize = 5000;

const HELP: &str = r"A statement ends with `;` and may take several lines. Tab completes names, Ctrl-R searches the history, Ctrl-C
cancels what runs, Ctrl-D leaves.

  \s               the sources, and whether they answer
  \dt              the tables of all sources
  \d NAME          the tables of a source, or the columns of SOURCE.TABLE
  \e STATEMENT     how the statement would run
  \receipt         the receipt of the last query
  \format FORMAT   table, json, jsonl, csv or markdown
  \timing          time after each query, on or off
  \?               this help
  \q               leave
";

/// Ask questions interactively
///
/// Where stdin is not a terminal, its statements are run as `tombolo query -` would run them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tombolo shell\n\n  tombolo> SELECT count(*) FROM shop.customers;")]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    cartesian: CartesianArgs,
}

impl ShellArgs {
    pub(crate) async fn run(self, app: &App, interrupts: &Interrupts) -> Result<u8> {
        let config = app.config()?;
        let engine = app.engine(&config)?;
        let mut shell = Shell {
            app,
            config: &config,
            engine: &engine,
            cartesian: self.cartesian,
            timing: true,
            format: None,
            receipt: None,
        };
        if std::io::stdin().is_terminal() {
            shell.converse(interrupts).await
        } else {
            let text = read_stdin()?;
            tokio::select! {
                biased;
                code = interrupts.wait() => Ok(code),
                done = shell.run_all(&text) => done.map(|()| 0),
            }
        }
    }
}

struct Shell<'a> {
    app: &'a App,
    config: &'a Config,
    engine: &'a Engine,
    cartesian: CartesianArgs,
    timing: bool,
    format: Option<Format>,
    receipt: Option<Receipt>,
}

impl Shell<'_> {
    async fn converse(&mut self, interrupts: &Interrupts) -> Result<u8> {
        let names = Arc::new(Mutex::new(Names::new(self.config)));
        let mut editor = editor(self.engine.clone(), Arc::clone(&names))?;
        output::complain(&format!("tombolo {}. \\? for help, \\q to leave.", env!("CARGO_PKG_VERSION")));
        let mut prompt = ShellPrompt;
        loop {
            // The editor waits for keys on this thread, and what completes names waits for the engine inside it.
            let (line, returned) = tokio::task::block_in_place(move || {
                let line = editor.read_line(&prompt);
                (line, (editor, prompt))
            });
            (editor, prompt) = returned;
            match line.or_error(ErrorCode::FileFailed, || "the terminal cannot be read".to_owned())? {
                Signal::Success(text) => {
                    let outcome = tokio::select! {
                        biased;
                        _ = interrupts.wait() => {
                            output::complain("cancelled");
                            continue;
                        }
                        outcome = self.act(&text) => outcome,
                    };
                    match outcome {
                        Ok(true) => return Ok(0),
                        Ok(false) => {}
                        Err(error) => {
                            self.app.report(&error);
                        }
                    }
                }
                Signal::CtrlD => return Ok(0),
                _ => {}
            }
        }
    }

    /// Does what was typed; true when it was to leave.
    async fn act(&mut self, text: &str) -> Result<bool> {
        match read_input(text)? {
            Input::Nothing => {}
            Input::Leave => return Ok(true),
            Input::Help => output::write_stdout(HELP)?,
            Input::Sources => sources::write_sources(self.app, self.config, self.engine, ListFormat::Table).await?,
            Input::Tables => {
                for source in &self.config.sources {
                    output::write_stdout(&format!("{}\n", source.name))?;
                    // A source that is down does not hide the others.
                    if let Err(error) =
                        describe::describe_source(self.app, self.engine, &source.name, ListFormat::Table).await
                    {
                        self.app.report(&error);
                    }
                }
            }
            Input::Describe(name) => self.describe(&name).await?,
            Input::Explain(statement) => {
                let (explanation, _) = self.engine.explain(&statement, false, self.options()).await?;
                tell_change(self.app, explanation.change.as_ref());
                output::with_stdout(|out| {
                    render::write_explanation(&explanation, render::PlanFormat::Text, self.app.stdout, out)
                })?;
            }
            Input::Receipt => match &self.receipt {
                Some(receipt) => output::with_stdout(|out| render::write_receipt(receipt, self.app.stdout, out))?,
                None => output::complain("no query has been run yet"),
            },
            Input::Timing => {
                self.timing = !self.timing;
                output::complain(if self.timing { "timing is on" } else { "timing is off" });
            }
            Input::Format(format) => self.format = Some(format),
            Input::Statements(text) => self.run_all(&text).await?,
        }
        Ok(false)
    }

    fn options(&self) -> QueryOptions {
        self.cartesian.apply(query_options())
    }

    async fn describe(&self, name: &str) -> Result<()> {
        match self.config.source(name) {
            Ok(source) => describe::describe_source(self.app, self.engine, &source.name, ListFormat::Table).await,
            Err(error) if !name.contains('.') => Err(error),
            Err(_) => {
                let (source, table) = self.engine.describe_table(name).await?;
                output::with_stdout(|out| describe::write_table(out, &source, &table, self.app.stdout))
            }
        }
    }

    async fn run_all(&mut self, text: &str) -> Result<()> {
        let usual = if self.app.stdout.interactive { Format::Table } else { Format::Csv };
        let target = Target::Stdout(self.format.unwrap_or(usual));
        let runner = Runner { app: self.app, engine: self.engine, federation: &self.config.federation, keep: true };
        for statement in self.engine.split_statements(text)? {
            let answered = runner.run(&statement, self.options(), &target).await?;
            if self.timing && self.app.stderr.interactive {
                output::complain(&summary(&answered, &target));
            }
            let closed = answered.closed;
            self.receipt = Some(answered.receipt);
            if closed {
                break;
            }
        }
        Ok(())
    }
}

fn editor(engine: Engine, names: Arc<Mutex<Names>>) -> Result<Reedline> {
    const MENU: &str = "names";
    let mut keys = default_emacs_keybindings();
    let complete = ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    let menu = ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU)));
    let editor = Reedline::create()
        .with_completer(Box::new(NameCompleter::new(engine, names)))
        .with_menu(menu)
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(StatementValidator));
    match history_file() {
        Ok(path) => {
            let history = FileBackedHistory::with_file(REMEMBERED, path).map_err(|error| {
                Error::new(ErrorCode::FileFailed, format!("the shell's history cannot be read: {error}"))
            })?;
            Ok(editor.with_history(Box::new(history)))
        }
        Err(error) => {
            output::complain(&format!("warning: the shell's history is not kept: {}", error.message()));
            Ok(editor)
        }
    }
}

fn history_file() -> Result<PathBuf> {
    Ok(StateFolder::find()?.create()?.join("shell_history.txt"))
}
