//! Tombolo as a library: opens a source by its URL, runs a query some times, and drops the rows as they come.
//!
//! ```sh
//! cargo run --release -p tombolo --example scan -- postgres://me@localhost/shop 'SELECT * FROM s.public.orders' 5
//! ```
//!
//! The source is called `s`. For each run a line of JSON: milliseconds from the question to the last row, rows, and bytes in
//! Arrow; at the end `peak` and the KiB of memory that the process took. `cargo xtask bench scan` reads them.

// A program for people and scripts, which talks to them.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use tombolo_engine::{
    Engine, EngineConfig, Error, ErrorCode, Guardrails, QueryOptions, Result, Settings, SourceConfig,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, sql, runs] = arguments.as_slice() else {
        eprintln!("give a URL, a query over the source `s`, and how often to run it");
        return ExitCode::from(2);
    };
    match scan(url, sql, runs).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{}", error.detail().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

async fn scan(url: &str, sql: &str, runs: &str) -> Result<()> {
    let runs: u32 = runs.parse().map_err(|_| Error::new(ErrorCode::Usage, format!("`{runs}` is not a number")))?;
    let registry = tombolo_connectors::registry();
    let (factory, options) = registry.parse_url(url)?;
    let kind = factory.spec().kind.to_owned();
    let source = SourceConfig {
        name: "s".to_owned(),
        kind,
        options,
        timeout: None,
        max_concurrency: None,
        guardrails: Guardrails::default(),
    };
    let settings = Settings::default();
    let engine = Engine::try_new(EngineConfig { registry, sources: vec![source], settings, state_dir: None })?;
    for _ in 0..runs {
        let begun = Instant::now();
        let mut answer = engine.query(sql, QueryOptions::default()).await?;
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = answer.next_batch().await? {
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
        }
        println!("{{\"ms\": {:.1}, \"rows\": {rows}, \"bytes\": {bytes}}}", begun.elapsed().as_secs_f64() * 1000.0);
    }
    // The most memory that this process ever held, where Linux tells it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        println!("peak {}", peak.trim().trim_end_matches(" kB"));
    }
    Ok(())
}
