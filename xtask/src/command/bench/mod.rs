//! `cargo xtask bench`: measurements of what the project promises about speed.

mod java;
mod join;
mod machine;
mod measure;
mod only;
mod peers;
mod runner;
mod scan;
mod server;
mod startup;
mod tpch;

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;

use self::machine::Machine;
use self::only::Only;
use crate::output::say;
use crate::{names, workspace};

/// Measure the speed of the release build
///
/// Builds the release binary first. Measure on a machine that does nothing else.
#[derive(Parser)]
#[command(
    after_help = "Example:\n  cargo xtask bench startup --runs 50 --save\n  cargo xtask bench tpch --scale 0.1 --queries 3,5\n  cargo xtask bench join --only trino,spark --runs 1"
)]
pub(crate) struct Args {
    /// What to measure [default: everything]
    ///
    /// startup: from the start of the command line to the first row, with the catalog warm.
    /// scan: a whole table of PostgreSQL and of MariaDB into Arrow, beside the servers' own bytes and other readers.
    /// join: customers in MariaDB with their orders in PostgreSQL, beside a hand-written program and other engines.
    /// plan: from the text of a statement to its plan, for TPC-H and for a join of four sources.
    /// tpch: the queries of TPC-H over PostgreSQL, MariaDB and Parquet files, beside other engines
    name: Option<String>,
    /// How often [default: 3 for tpch, 7 for join, 30 for the others]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Only these contenders of the benchmark, such as tombolo,trino
    ///
    /// Tombolo is not built unless it is among them. What the others are checked by or measured by runs all the same.
    #[arg(long, value_delimiter = ',', requires = "name", conflicts_with = "save")]
    only: Vec<String>,
    /// Also write the result to benches/results/NAME.md
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    tpch: tpch::Options,
}

struct Bench {
    name: &'static str,
    /// How often, unless it is said.
    runs: u32,
    /// What `--only` may name; nothing where Tombolo is alone.
    contenders: fn() -> Vec<&'static str>,
    /// Returns the report, in Markdown.
    run: fn(u32, &Only, &Args) -> Result<String>,
}

static BENCHES: &[Bench] = &[
    Bench { name: "startup", runs: 30, contenders: Vec::new, run: |runs, _, _| startup::run(runs) },
    Bench { name: "scan", runs: 30, contenders: scan::names, run: |runs, only, _| scan::run(runs, only) },
    Bench { name: "join", runs: 7, contenders: join::names, run: |runs, only, _| join::run(runs, only) },
    Bench { name: "plan", runs: 30, contenders: Vec::new, run: |runs, _, _| tpch::run_plan(runs) },
    Bench { name: "tpch", runs: 3, contenders: tpch::names, run: |runs, only, args| tpch::run(runs, only, &args.tpch) },
];

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if let Some(name) = &args.name
        && !BENCHES.iter().any(|bench| bench.name == name)
    {
        let known = BENCHES.iter().map(|bench| bench.name);
        bail!("there is no benchmark called `{name}`{}", names::suggestion(name, known));
    }
    if args.name.as_deref().is_some_and(|name| name != "tpch") && args.tpch.is_given() {
        bail!("--scale, --queries and --keep are options of the benchmark `tpch`");
    }
    for bench in BENCHES.iter().filter(|bench| args.name.as_deref().is_none_or(|name| name == bench.name)) {
        let only = Only::among(&(bench.contenders)(), &args.only)?;
        let measured = (bench.run)(args.runs.unwrap_or(bench.runs), &only, &args)?;
        let report = format!("{measured}\n{}{}", Machine::of_here(), commit());
        say!("{report}");
        if args.save {
            let folder = workspace::root()?.join("benches/results");
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let path = folder.join(format!("{}.md", bench.name));
            fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
            say!("written to {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the line that says what was measured.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(workspace::root().ok()?).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["log", "-1", "--format=%h of %cs"]) else {
        return "- commit: unknown\n".to_owned();
    };
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    format!("- commit: {commit}{}\n", if is_changed { ", with changes" } else { "" })
}
