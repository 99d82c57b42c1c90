//! Tombolo as a library: the queries of TPC-H over PostgreSQL, MariaDB and Parquet files, as standard input asks for them.
//!
//! ```sh
//! printf '3\nexplain 3\n' | cargo run --release -p tombolo --example tpch -- postgres://me@localhost/tpch mariadb://me@localhost/tpch data
//! ```
//!
//! The tables and the folder are those of `cargo xtask bench tpch`: `data/lake` has the Parquet files, and `data/queries` the
//! queries. A line of input is the number of a query, or a statement of its own over the sources `pg`, `maria`,
//! `lake` and `tables`. An
//! answer is a line of JSON: the milliseconds from the question to the last row, the rows as text, and, from the receipt, the
//! rows and the bytes that each source has sent. A line that begins with `plan` is answered by the milliseconds of planning alone,
//! over four sources if it says so: `tables` has the tables of the servers as Parquet files. One that begins with `explain` prints
//! the plan as text, one that begins with `analyze` runs the query as well. All questions are put to one engine, which keeps its
//! connections and what it knows of the tables.

// A program for people and scripts, which talks to them.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs;
use std::io::stdin;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, result};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use serde_json::{Value, json};
use tombolo_connector::Registry;
use tombolo_engine::check::PlanStep;
use tombolo_engine::{
    Engine, EngineConfig, Error, ErrorCode, Guardrails, QueryOptions, Receipt, Result, Settings, SourceConfig,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [postgres, mariadb, data] = arguments.as_slice() else {
        eprintln!("give the URL of PostgreSQL, that of MariaDB, and the folder of the Parquet files and queries");
        return ExitCode::from(2);
    };
    match converse(postgres, mariadb, Path::new(data)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

async fn converse(postgres: &str, mariadb: &str, data: &Path) -> Result<()> {
    let registry = tombolo_connectors::registry();
    let sources = vec![
        source(&registry, "pg", postgres)?,
        source(&registry, "maria", mariadb)?,
        source(&registry, "lake", &format!("file://{}", data.join("lake").display()))?,
        source(&registry, "tables", &format!("file://{}", data.join("tables").display()))?,
    ];
    let engine = Engine::try_new(EngineConfig { registry, sources, settings: Settings::default(), state_dir: None })?;
    println!("{}", json!({ "ready": format!("Tombolo {}", env!("CARGO_PKG_VERSION")) }));
    for line in stdin().lines() {
        let line = line.map_err(|error| Error::new(ErrorCode::Usage, format!("standard input ends: {error}")))?;
        let outcome = match line.split_once(' ') {
            Some(("plan", rest)) => plan(&engine, rest, data).await,
            Some((word @ ("explain" | "analyze"), rest)) => explain(&engine, rest, data, word == "analyze").await,
            _ => answer(&engine, &line, data).await,
        };
        if let Err(error) = outcome {
            tell(&error);
        }
    }
    Ok(())
}

fn tell(error: &Error) {
    eprintln!("{}", error.detail().or(error.hint()).unwrap_or_default());
    println!("{}", json!({ "error": error.to_string() }));
}

fn source(registry: &Registry, name: &str, url: &str) -> Result<SourceConfig> {
    let (factory, options) = registry.parse_url(url)?;
    let kind = factory.spec().kind.to_owned();
    Ok(SourceConfig {
        name: name.to_owned(),
        kind,
        options,
        timeout: None,
        max_concurrency: None,
        guardrails: Guardrails::default(),
    })
}

/// Returns the text of a query that is asked for by its number; all else is a statement.
fn statement(question: &str, data: &Path) -> Result<String> {
    let Ok(number) = question.trim().parse::<u32>() else { return Ok(question.to_owned()) };
    let path = data.join(format!("queries/q{number:02}.sql"));
    fs::read_to_string(&path)
        .map_err(|error| Error::new(ErrorCode::Usage, format!("cannot read {}: {error}", path.display())))
}

async fn answer(engine: &Engine, question: &str, data: &Path) -> Result<()> {
    let sql = statement(question, data)?;
    let begun = Instant::now();
    let mut running = engine.query(&sql, QueryOptions::default()).await?;
    let mut batches = Vec::new();
    while let Some(batch) = running.next_batch().await? {
        batches.push(batch);
    }
    let ms = begun.elapsed().as_secs_f64() * 1000.0;
    let (moved, bytes) = moved(&running.receipt());
    println!("{}", json!({ "ms": ms, "rows": rows(&batches)?, "moved": moved, "bytes": bytes }));
    Ok(())
}

fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row));
            let cells: result::Result<Vec<String>, _> = cells.collect();
            rows.push(cells.map_err(|error| Error::internal(error.to_string()))?);
        }
    }
    Ok(rows)
}

/// Returns the rows and the bytes that came from each source.
fn moved(receipt: &Receipt) -> (Vec<Value>, Vec<Value>) {
    let mut sources: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for sub_query in &receipt.sub_queries {
        let (rows, bytes) = sources.entry(&sub_query.source).or_default();
        *rows += sub_query.rows;
        *bytes += sub_query.bytes;
    }
    sources.iter().map(|(source, (rows, bytes))| (json!([source, rows]), json!([source, bytes]))).unzip()
}

async fn plan(engine: &Engine, question: &str, data: &Path) -> Result<()> {
    let (explanation, _) = engine.explain(&statement(question, data)?, false, QueryOptions::default()).await?;
    println!("{}", json!({ "ms": explanation.planning_ms, "rows": [] }));
    Ok(())
}

async fn explain(engine: &Engine, question: &str, data: &Path, is_run: bool) -> Result<()> {
    let (explanation, _) = engine.explain(&statement(question, data)?, is_run, QueryOptions::default()).await?;
    tell_step(&explanation.root, 0);
    for notice in &explanation.notices {
        println!("note: {notice}");
    }
    println!("planned in {:.1} ms", explanation.planning_ms);
    if let Some(ms) = explanation.elapsed_ms {
        println!("ran in {ms:.1} ms");
    }
    Ok(())
}

/// Prints a step, what was seen of it, and below it the steps that feed it.
fn tell_step(step: &PlanStep, depth: usize) {
    let indent = "  ".repeat(depth);
    let strategy = step.strategy.as_ref().map(|strategy| format!(" [{strategy}]")).unwrap_or_default();
    let expected = step.estimated_rows.map(|rows| format!(", {rows} rows expected")).unwrap_or_default();
    let seen = step.actual.as_ref().and_then(|actual| actual.rows).map(|rows| format!(", {rows} rows"));
    let took = step.actual.as_ref().and_then(|actual| actual.elapsed_ms).map(|ms| format!(", {ms:.1} ms"));
    println!("{indent}{}{strategy}{expected}{}{}", step.operator, seen.unwrap_or_default(), took.unwrap_or_default());
    for (label, detail) in &step.details {
        println!("{indent}  {label}: {detail}");
    }
    if let Some(remote) = &step.remote {
        println!("{indent}  {} of {}", remote.tables.join(", "), remote.source);
        for line in remote.native.lines() {
            println!("{indent}  | {line}");
        }
        for part in &remote.not_pushed {
            let again = if part.checked_again { "checked again here" } else { "not pushed" };
            println!("{indent}  {again}: {} {}: {}", part.operator, part.part, part.reason);
        }
    }
    for input in &step.inputs {
        tell_step(input, depth + 1);
    }
}
