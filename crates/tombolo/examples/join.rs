//! Tombolo as a library: joins customers in MariaDB with their orders in PostgreSQL, as often as standard input asks.
//!
//! ```sh
//! printf '200\n200\n' | cargo run --release -p tombolo --example join -- postgres://me@localhost/shop mariadb://me@localhost/shop
//! ```
//!
//! The tables are those of `cargo xtask bench join`, which reads what this prints: a line of JSON when the engine is there, and
//! one for each line of input, which is a number: customers with a lower `pick` are asked for. An answer tells the milliseconds
//! from the question to the last row, the rows as text, and, from the receipt, how many rows each sub-query moved. All questions
//! are put to one engine, which keeps its connections and what it knows of the tables.

// A program for people and scripts, which talks to them.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::io::stdin;
use std::process::ExitCode;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use serde_json::{Value, json};
use tombolo_connector::Registry;
use tombolo_engine::{
    Engine, EngineConfig, Error, ErrorCode, Guardrails, QueryOptions, Receipt, Result, Settings, SourceConfig,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [postgres, mariadb] = arguments.as_slice() else {
        eprintln!("give the URL of PostgreSQL, which has the orders, and of MariaDB, which has the customers");
        return ExitCode::from(2);
    };
    match answer(postgres, mariadb).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.detail().unwrap_or_default());
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn answer(postgres: &str, mariadb: &str) -> Result<()> {
    let registry = tombolo_connectors::registry();
    let sources = vec![source(&registry, "pg", postgres)?, source(&registry, "maria", mariadb)?];
    let engine = Engine::try_new(EngineConfig { registry, sources, settings: Settings::default(), state_dir: None })?;
    println!("{}", json!({ "ready": format!("Tombolo {}", env!("CARGO_PKG_VERSION")) }));
    for line in stdin().lines() {
        let line = line.map_err(|error| Error::new(ErrorCode::Usage, format!("standard input ends: {error}")))?;
        let pick: u32 = line
            .trim()
            .parse()
            .map_err(|_| Error::new(ErrorCode::Usage, format!("`{}` is not a number", line.trim())))?;
        let begun = Instant::now();
        let mut running = engine.query(&question(pick), QueryOptions::default()).await?;
        let mut batches = Vec::new();
        while let Some(batch) = running.next_batch().await? {
            batches.push(batch);
        }
        let ms = begun.elapsed().as_secs_f64() * 1000.0;
        println!("{}", json!({ "ms": ms, "rows": rows(&batches)?, "moved": moved(&running.receipt()) }));
    }
    Ok(())
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

fn question(pick: u32) -> String {
    format!(
        "SELECT c.region, count(*) AS orders, sum(o.amount) AS amount \
         FROM maria.customers c JOIN pg.orders o ON o.customer_id = c.id \
         WHERE c.pick < {pick} GROUP BY c.region ORDER BY c.region"
    )
}

fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row));
            let cells: std::result::Result<Vec<String>, _> = cells.collect();
            rows.push(cells.map_err(|error| Error::internal(error.to_string()))?);
        }
    }
    Ok(rows)
}

/// Returns what was read and how many rows of it came, for each sub-query.
fn moved(receipt: &Receipt) -> Vec<Value> {
    receipt.sub_queries.iter().map(|sub_query| json!([sub_query.tables.join(" and "), sub_query.rows])).collect()
}
