//! `cargo xtask fuzz`: made queries, answered in many ways, which must agree.

use std::env;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;

use crate::interrupt::Interrupt;
use crate::servers::lifecycle::{self, Lease, Started};
use crate::{cargo, servers};

/// Run queries made at random over SQLite, Parquet and memory, each in many ways, and compare the answers
///
/// Each query is run as it is, with nothing pushed down, with one rule of push-down off, on one stream with small batches, by
/// plain DataFusion, and by SQLite alone where it means the same there. With `--over` the tables of SQLite are those of that
/// server, which is started where it does not run. The seed is printed first; what happened, on standard error; at the end how
/// many queries there were, how many were empty or refused and why, and the differences, each made small.
#[derive(Parser)]
#[command(
    after_help = "Example:\n  cargo xtask fuzz --minutes 10\n  cargo xtask fuzz --seed 42 --queries 200\n  cargo xtask fuzz --over mariadb --release --queries 20000 --minutes 60"
)]
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
    /// A server in place of SQLite
    #[arg(long, value_name = "SERVER", value_parser = ["postgres", "mariadb", "mysql57", "mysql9"])]
    over: Option<String>,
    /// Build with optimisation: slow to build, and several times the queries a second
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let over = args.over.as_ref().map_or(String::new(), |server| format!("over_{server}_"));
    // The one test that makes queries at random.
    let test = format!("fuzz::queries_made_at_random_{over}are_answered_alike_in_all_ways");
    let mut command = cargo::command()?;
    command.args(["test", "--quiet", "-p", "tombolo-testkit", "--test", "suite"]);
    command.args(args.release.then_some("--release"));
    command.args(["--", "--exact", &test, "--nocapture"]);
    command.env("TOMBOLO_FUZZ_SEED", args.seed.unwrap_or_else(fresh_seed).to_string());
    command.env("TOMBOLO_FUZZ_MINUTES", args.minutes.to_string());
    if let Some(queries) = args.queries {
        command.env("TOMBOLO_FUZZ_QUERIES", queries.to_string());
    }
    let lease = match &args.over {
        Some(server) => with_server(&mut command, server, &interrupt)?,
        None => None,
    };
    let status = command.status().context("cannot run cargo test");
    lease.map_or(Ok(()), Lease::end)?;
    Ok(if status?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells the command where the server is: the one that its variable names, or one that is started where none runs.
fn with_server(command: &mut Command, server: &str, interrupt: &Interrupt) -> Result<Option<Lease>> {
    let kind = servers::kind(server)?;
    if env::var_os(kind.env_name()).is_some() {
        return Ok(None);
    }
    let (Started::Now(running) | Started::Before(running), lease) =
        lifecycle::lease(kind, lifecycle::obtain(kind)?, interrupt)?;
    command.envs(running.environment);
    Ok(Some(lease))
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_secs() % 1_000_000_007
}
