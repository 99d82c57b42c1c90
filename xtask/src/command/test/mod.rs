//! `cargo xtask test`: everything, set-up included.

mod results;
mod runner;
mod test_files;
mod test_servers;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use self::test_servers::TestServers;
use crate::interrupt::Interrupt;
use crate::output::say;

/// Run all tests: start the servers they need, run them, stop the servers, sum up
///
/// Servers that run already, by `cargo xtask servers start` or because their variable (such as TOMBOLO_TEST_POSTGRES_URL) is
/// set, are used and left running. A server that cannot be had is named and counted as skipped. With TOMBOLO_REQUIRE, a list
/// such as postgres,mariadb, its absence is a failure; with CI=true that of every server is, except of those that no package
/// registry has. What failing tests said is shown again at the end. The last line is `N passed, N failed, N skipped`.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask test\n  cargo xtask test --no-servers join")]
pub(crate) struct Args {
    /// Start no server; tests that need one are skipped
    #[arg(long)]
    no_servers: bool,
    /// Run only tests whose path contains this
    filter: Option<String>,
}

/// Which tests to run, with which servers.
pub(crate) struct Selection {
    pub(crate) filter: Option<String>,
    /// Whether what passing tests print is shown too.
    pub(crate) shows_output: bool,
    pub(crate) doc_tests: bool,
    /// Only the servers of this connector matter; `None` is every connector.
    pub(crate) connector: Option<String>,
    pub(crate) start_servers: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    run_selection(&Selection {
        filter: args.filter,
        doc_tests: true,
        connector: None,
        start_servers: !args.no_servers,
        shows_output: false,
    })
}

/// Runs the selected tests and prints the closing lines.
pub(crate) fn run_selection(selection: &Selection) -> Result<ExitCode> {
    let begin = Instant::now();
    let interrupt = Interrupt::install()?;
    // Dropped, and so stopped, on every way out of here.
    let mut servers = TestServers::start(selection, &interrupt)?;
    let outcome = if interrupt.is_requested() {
        runner::Outcome::interrupted()
    } else {
        runner::run(selection, servers.environment(), &interrupt)?
    };
    servers.stop();

    let mut totals = outcome.totals;
    let mut problems = servers.failures();
    problems.extend(outcome.problem);
    if problems.is_empty() && totals.passed + totals.failed == 0 {
        problems.push(match &selection.filter {
            Some(filter) => format!("no test has `{filter}` in its path"),
            None => "no test was run".to_owned(),
        });
    }
    totals.failed += problems.len();
    totals.skipped += servers.skipped();

    say!("");
    for test in &outcome.failed_tests {
        say!("Failed: {test}");
    }
    for line in servers.describe() {
        say!("Server {line}");
    }
    for problem in &problems {
        say!("Failed: {problem}");
    }
    say!("Time: {} s", begin.elapsed().as_secs());
    say!("{totals}");
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
