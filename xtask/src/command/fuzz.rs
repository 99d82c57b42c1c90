//! `cargo xtask fuzz`: made queries, answered in many ways, which must agree.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;

use crate::cargo;

/// The one test that makes queries at random.
const TEST: &str = "fuzz::queries_made_at_random_are_answered_alike_in_all_ways";

/// Run queries made at random over SQLite, Parquet and memory, each in many ways, and compare the answers
///
/// Each query is run as it is, with nothing pushed down, with one rule of push-down off, on one stream with small batches, by
/// plain DataFusion, and by SQLite alone where it means the same there. The seed is printed first; what happened, on standard
/// error; at the end how many queries there were, how many were empty or refused and why, and the differences, each made small.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask fuzz --minutes 10\n  cargo xtask fuzz --seed 42 --queries 200")]
pub(crate) struct Args {
    /// How long to go on
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Where to begin; the same seed makes the same queries [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// The most queries to make
    #[arg(long)]
    queries: Option<u64>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let mut command = cargo::command()?;
    command.args(["test", "--quiet", "-p", "tombolo-testkit", "--test", "suite", "--", "--exact", TEST, "--nocapture"]);
    command.env("TOMBOLO_FUZZ_SEED", seed.to_string());
    command.env("TOMBOLO_FUZZ_MINUTES", args.minutes.to_string());
    if let Some(queries) = args.queries {
        command.env("TOMBOLO_FUZZ_QUERIES", queries.to_string());
    }
    let status = command.status().context("cannot run cargo test")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_secs() % 1_000_000_007
}
