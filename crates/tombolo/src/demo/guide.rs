use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use tombolo_connector::{Error, ErrorCode, Result};
use tombolo_engine::{Engine, QueryOptions};

use super::tour::{STEPS, Step, StepKind};
use crate::render::{
    self, Buffer, Destination, Format, PlanFormat, Style, Summary, Terminal, number, text, write_explanation,
    write_gaps, write_receipt,
};

/// Runs the tour over a shop that [`super::generate`] made, with an engine whose sources are the demo's.
pub(crate) async fn run(
    engine: &Engine,
    folder: &Path,
    terminal: Terminal,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    write_welcome(folder, terminal, out).map_err(not_written)?;
    for (index, step) in STEPS.iter().enumerate() {
        write_question(index + 1, step, terminal, out).map_err(not_written)?;
        match step.kind {
            StepKind::Explain => {
                let (explanation, _) = engine.explain(step.sql, false, options()).await?;
                write_explanation(&explanation, PlanFormat::Text, terminal, &mut *out).map_err(not_written)?;
            }
            StepKind::Query | StepKind::QueryWithReceipt => answer(engine, step, terminal, out).await?,
        }
        writeln!(out).map_err(not_written)?;
    }
    write_farewell(folder, terminal, out).map_err(not_written)
}

fn options() -> QueryOptions {
    QueryOptions { user: "demo".to_owned(), ..QueryOptions::default() }
}

async fn answer(engine: &Engine, step: &Step, terminal: Terminal, out: &mut (dyn Write + Send)) -> Result<()> {
    let begun = Instant::now();
    let mut query = engine.query(step.sql, options()).await?;
    let buffer = Buffer::default();
    let mut table = render::writer(Format::Table, Box::new(buffer.clone()), Destination::Stdout(terminal))?;
    table.begin(&query.schema())?;
    while let Some(batch) = query.next_batch().await? {
        table.batch(&batch)?;
    }
    table.finish(&Summary::default())?;
    let receipt = query.receipt();
    let took = format!("answered in {}", number::duration(begun.elapsed()));
    out.write_all(&buffer.take()).map_err(not_written)?;
    writeln!(out, "{}\n", terminal.paint(Style::Dim, &took)).map_err(not_written)?;
    if step.kind == StepKind::QueryWithReceipt {
        write_receipt(&receipt, terminal, &mut *out)
    } else {
        write_gaps(&receipt, terminal, &mut *out)
    }
    .map_err(not_written)
}

fn write_welcome(folder: &Path, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    write_prose(
        "A small shop keeps its data in three places that know nothing of each other. Tombolo answers one question over all \
         of them, where they are: nothing is copied first.",
        terminal,
        out,
    )?;
    writeln!(out)?;
    for (source, what) in [
        ("shop", "a SQLite database: customers, regions"),
        ("files", "a folder of files: orders (JSON), products (CSV)"),
        ("lake", "a data lake of Parquet files: transactions, a folder a day"),
    ] {
        writeln!(out, "  {}{}  {what}", terminal.paint(Style::Name, source), text::padding(source, 5))?;
    }
    writeln!(out)?;
    writeln!(out, "It was just made in {}.", folder.display())?;
    writeln!(out)
}

fn write_question(number: usize, step: &Step, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let title = format!("{number} of {}  {}", STEPS.len(), step.title);
    let rule = "─".repeat(terminal.prose_width().min(80).saturating_sub(text::width(&title) + 1));
    writeln!(out, "{} {}", terminal.paint(Style::Heading, &title), terminal.paint(Style::Dim, &rule))?;
    write_prose(step.before, terminal, out)?;
    writeln!(out)?;
    for line in step.sql.lines() {
        writeln!(out, "    {}", terminal.paint(Style::Good, line))?;
    }
    writeln!(out)
}

fn write_farewell(folder: &Path, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", terminal.paint(Style::Heading, "Now you"))?;
    let program = std::env::current_exe().ok().filter(|program| !is_on_path(program));
    let alias = program.map(|program| (format!("alias tombolo='{}'", program.display()), "it is not on your PATH yet"));
    let here = (format!("cd {}", folder.display()), "where the demo's tombolo.toml is");
    for (command, what) in alias.into_iter().chain([
        here,
        ("tombolo query \"SELECT * FROM files.products LIMIT 5\"".to_owned(), "ask"),
        ("tombolo describe files.orders".to_owned(), "see what a table holds"),
        ("tombolo shell".to_owned(), "ask, with completion and history"),
        ("tombolo connect PATH --name mine".to_owned(), "add data of your own"),
    ]) {
        writeln!(out, "  {command}{}  {}", text::padding(&command, 54), terminal.paint(Style::Dim, what))?;
    }
    Ok(())
}

/// Whether typing `tombolo` would run this program.
fn is_on_path(program: &Path) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .any(|folder| folder.join("tombolo").canonicalize().is_ok_and(|found| found == program))
}

fn write_prose(prose: &str, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    for line in text::wrap(prose, terminal.prose_width().min(80)) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn not_written(error: io::Error) -> Error {
    Error::new(ErrorCode::FileFailed, "the tour could not be written")
        .with_detail(error.to_string())
        .with_hint("See that the output is open and has room.")
        .with_cause(error)
}
