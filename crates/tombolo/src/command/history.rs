use chrono::Local;
use clap::{Args, Subcommand};
use serde_json::json;
use tombolo_connector::Result;

use super::describe::write_json;
use super::{App, ListFormat};
use crate::output;
use crate::render::{self, Align, Grid, Style, number, text};
use crate::state::{History, HistoryEntry, StateFolder};

/// Show the queries that were run
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  tombolo history
  tombolo history --limit 100 --format json
  tombolo history show 3f9a21c4"
)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// How many, the newest first
    #[arg(short = 'n', long, default_value_t = 20, value_name = "QUERIES")]
    limit: usize,
    /// The form of the list
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    format: ListFormat,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show one query with its receipt
    #[command(after_help = "Example:\n  tombolo history show 3f9a21c4")]
    Show {
        /// Its id, or the end of it that `tombolo history` shows
        id: String,
        /// The form of the answer
        #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
        format: ListFormat,
    },
}

impl HistoryArgs {
    pub(crate) fn run(self, app: &App) -> Result<u8> {
        let folder = StateFolder::find()?;
        let history = History::new(&folder);
        match self.action {
            Some(Action::Show { id, format }) => show(app, &history, &id, format)?,
            None => list(app, &history.list(self.limit)?, self.format)?,
        }
        Ok(0)
    }
}

fn list(app: &App, entries: &[HistoryEntry], format: ListFormat) -> Result<()> {
    if format == ListFormat::Json {
        return write_json(&json!(entries));
    }
    if entries.is_empty() {
        output::complain("the history is empty; `tombolo query` fills it");
        return Ok(());
    }
    let (left, right) = (Align::Left, Align::Right);
    let mut grid = Grid::new([
        ("id", left),
        ("when", left),
        ("outcome", left),
        ("rows", right),
        ("time", right),
        ("statement", left),
    ]);
    for entry in entries {
        let statement = entry.statement.split_whitespace().collect::<Vec<_>>().join(" ");
        grid.row([
            short_id(&entry.id).to_owned(),
            when(entry),
            entry.outcome.to_string(),
            number::count(entry.rows),
            number::milliseconds(entry.elapsed_ms),
            statement,
        ]);
    }
    output::with_stdout(|out| grid.write(out, app.stdout).map(|_| ()))
}

fn show(app: &App, history: &History<'_>, id: &str, format: ListFormat) -> Result<()> {
    let (entry, receipt) = history.find(id)?;
    if format == ListFormat::Json {
        return write_json(&json!({ "query": entry, "receipt": receipt }));
    }
    output::with_stdout(|out| {
        let label = |text: &str| app.stdout.paint(Style::Dim, &format!("{text:<9}"));
        writeln!(out, "{}{}", label("id"), entry.id)?;
        writeln!(out, "{}{}", label("when"), when(&entry))?;
        writeln!(out, "{}{}, {}", label("outcome"), entry.outcome, number::rows(entry.rows))?;
        writeln!(out, "{}{}", label("time"), number::milliseconds(entry.elapsed_ms))?;
        writeln!(out)?;
        for line in text::escape_lines(&entry.statement) {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
        match &receipt {
            Some(receipt) => render::write_receipt(receipt, app.stdout, out),
            None => writeln!(out, "No receipt was kept: the query did not come to its end."),
        }
    })
}

fn when(entry: &HistoryEntry) -> String {
    entry.at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Ids begin with their time, so it is the end that tells them apart.
fn short_id(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}
