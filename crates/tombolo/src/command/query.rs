use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::QueryOptions;

use super::cartesian::CartesianArgs;
use super::run::{Answered, Runner, Target};
use super::{App, duration_argument};
use crate::output;
use crate::render::{self, Format, number};

/// Run a query over any of the sources
///
/// The statement is the argument, or comes from a file or stdin; several are separated by `;`. The result is a table on a
/// terminal, and CSV where stdout is a pipe or a file, unless --format says otherwise.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo query \"SELECT name, city FROM shop.customers ORDER BY name LIMIT 10\"
  tombolo query \"SELECT c.region, sum(o.total) FROM shop.customers c JOIN orders.orders o ON o.customer_id = c.id GROUP BY 1\"
  tombolo query -f report.sql -o report.parquet
  echo 'SELECT count(*) FROM shop.orders' | tombolo query --format json --receipt")]
pub(crate) struct QueryArgs {
    /// The statement; `-` reads it from stdin
    #[arg(value_name = "SQL")]
    statement: Option<String>,
    /// Read the statements from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,
    /// The format of the result [default: by the extension of the output file; else table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT", value_parser = format_argument())]
    format: Option<Format>,
    /// Write the result to a file, which appears only when it is whole
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Deliver no more than so many rows; the receipt says whether there were more
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Give up after this long, such as 10s [default: federation.max_query_time]
    #[arg(long, value_name = "TIME", value_parser = duration_argument)]
    timeout: Option<Duration>,
    #[command(flatten)]
    cartesian: CartesianArgs,
    /// Print the receipt on stderr: what each source was asked, and where the columns came from
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    receipt: Option<ReceiptForm>,
    /// Hold nothing back: rows are written as they come, as CSV unless --format says otherwise, and are not kept
    #[arg(long)]
    streaming: bool,
    /// Do not keep the result for `tombolo export last`
    #[arg(long)]
    no_keep: bool,
}

/// How the receipt is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReceiptForm {
    /// For people
    Text,
    /// For programs, on one line
    Json,
}

impl QueryArgs {
    pub(crate) async fn run(self, app: &App) -> Result<u8> {
        let text = self.text()?;
        let config = app.config()?;
        let engine = app.engine(&config)?;
        let statements = engine.split_statements(&text)?;
        let target = self.target(app)?;
        if statements.is_empty() {
            return Err(Error::new(ErrorCode::Usage, "there is no statement to run")
                .with_hint("Give one, such as `tombolo query \"SELECT 1\"`."));
        }
        if statements.len() > 1 && !takes_several(&target) {
            return Err(Error::new(ErrorCode::Usage, "a file holds the result of one statement")
                .with_detail(format!("there are {} statements", statements.len()))
                .with_hint("Run them one by one, each with its own `-o FILE`."));
        }
        let keep = !self.no_keep && !self.streaming;
        let runner = Runner { app, engine: &engine, federation: &config.federation, keep };
        for statement in &statements {
            let answered = runner.run(statement, self.options(), &target).await?;
            self.tell(app, &answered, &target)?;
            if answered.closed {
                break;
            }
        }
        Ok(0)
    }

    fn text(&self) -> Result<String> {
        match (&self.statement, &self.file) {
            (_, Some(file)) => read_script(file),
            (Some(statement), None) if statement != "-" => Ok(statement.clone()),
            (None, None) if std::io::stdin().is_terminal() => {
                Err(Error::new(ErrorCode::Usage, "there is no statement to run")
                    .with_hint("Give one, such as `tombolo query \"SELECT 1\"`, or a file with -f, or pipe it in."))
            }
            _ => read_stdin(),
        }
    }

    fn options(&self) -> QueryOptions {
        self.cartesian.apply(QueryOptions { limit: self.limit, timeout: self.timeout, ..query_options() })
    }

    fn target(&self, app: &App) -> Result<Target> {
        let Some(path) = &self.output else {
            let usual = if app.stdout.interactive && !self.streaming { Format::Table } else { Format::Csv };
            return Ok(Target::Stdout(self.format.unwrap_or(usual)));
        };
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = self.format.or_else(|| Format::of_extension(extension)).ok_or_else(|| {
            Error::new(ErrorCode::Usage, format!("the extension of {} does not say its format", path.display()))
                .with_hint("Add --format csv, or name the file .csv, .json, .jsonl, .parquet, .arrow, .md or .txt.")
        })?;
        Ok(Target::File(format, path.clone()))
    }

    fn tell(&self, app: &App, answered: &Answered, target: &Target) -> Result<()> {
        if app.stderr.interactive && !answered.closed {
            output::complain(&summary(answered, target));
        }
        match self.receipt {
            Some(ReceiptForm::Text) => {
                output::with_stderr(|out| render::write_receipt(&answered.receipt, app.stderr, out));
            }
            Some(ReceiptForm::Json) => output::complain(
                &serde_json::to_string(&answered.receipt)
                    .or_error(ErrorCode::Internal, || "the receipt is no JSON".into())?,
            ),
            None => {}
        }
        Ok(())
    }
}

/// The formats by name, so that the command line lists them and suggests the nearest.
fn format_argument() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>())
}

/// `12 rows in 34 ms`, and what was cut or written where. A table has said itself how many rows there are.
pub(crate) fn summary(answered: &Answered, target: &Target) -> String {
    let took = number::milliseconds(answered.elapsed_ms);
    let mut line = match target {
        Target::Stdout(Format::Table) => format!("in {took}"),
        _ => format!("{} in {took}", number::rows(answered.receipt.rows)),
    };
    if let Some(limit) = answered.receipt.limit.as_ref().filter(|limit| limit.reached) {
        line.push_str(&format!(", cut at --limit {}", limit.limit));
    }
    if let Target::File(_, path) = target {
        line.push_str(&format!(", written to {}", path.display()));
    }
    line
}

/// The options of a query by the user of this process.
pub(crate) fn query_options() -> QueryOptions {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    QueryOptions { user: user.unwrap_or_else(|| "unknown".to_owned()), ..QueryOptions::default() }
}

/// The text of stdin.
pub(crate) fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).or_error(ErrorCode::Usage, || "stdin is not text".to_owned())?;
    Ok(text)
}

fn read_script(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorCode::Usage, format!("{} cannot be read", path.display()))
            .with_detail(error.to_string())
            .with_hint("-f takes a file of SQL text.")
            .with_cause(error)
    })
}

/// Whether results can follow each other there.
fn takes_several(target: &Target) -> bool {
    matches!(target, Target::Stdout(format) if !matches!(format, Format::Parquet | Format::Arrow))
}
