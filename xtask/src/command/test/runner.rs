//! Running `cargo test` while listening to it.

use std::io::{BufRead, BufReader, IsTerminal, Write, stdout};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Selection;
use super::results::{FailedTest, FailedTests, Totals};
use crate::cargo;
use crate::interrupt::Interrupt;

/// What became of the tests.
pub(crate) struct Outcome {
    pub(crate) totals: Totals,
    pub(crate) failed_tests: Vec<FailedTest>,
    /// A failure that no test has reported.
    pub(crate) problem: Option<String>,
}

impl Outcome {
    pub(crate) fn interrupted() -> Self {
        Self { totals: Totals::default(), failed_tests: vec![], problem: Some("interrupted".to_owned()) }
    }
}

/// Runs the selected tests with the variables of `environment`, and passes their output through.
pub(crate) fn run(selection: &Selection, environment: &[(String, String)], interrupt: &Interrupt) -> Result<Outcome> {
    let mut command = cargo::command()?;
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if !selection.doc_tests {
        command.args(["--lib", "--bins", "--tests"]);
    }
    if stdout().is_terminal() {
        command.args(["--color", "always"]);
    }
    command.args(&selection.filter).args(["--", "--color", if stdout().is_terminal() { "always" } else { "auto" }]);
    if selection.shows_output {
        command.arg("--show-output");
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    // In a group of its own, so that an interrupt ends cargo and the test programs below it together, when we say so.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);

    let mut child = command.spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let listener = thread::spawn(move || listen(output));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if interrupt.is_requested() {
            end(&mut child)?;
            break child.wait()?;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let Ok((totals, failed_tests)) = listener.join() else {
        anyhow::bail!("the output of cargo test could not be read")
    };
    let problem = if interrupt.is_requested() {
        Some("interrupted".to_owned())
    } else if !status.success() && totals.failed == 0 {
        Some(format!("cargo test ended with {status}, though no test reported a failure: see its output"))
    } else {
        None
    };
    Ok(Outcome { totals, failed_tests: failed_tests.into_found(), problem })
}

fn listen(output: ChildStdout) -> (Totals, FailedTests) {
    let mut totals = Totals::default();
    let mut failed_tests = FailedTests::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, since a test may print anything; and a reader that stops reading would stop the tests.
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // When our own output is closed there is nobody to tell, and the exit code still counts.
        let _ = stdout().write_all(&line).and_then(|()| stdout().flush());
        let text = String::from_utf8_lossy(&line);
        totals.add_line(&text);
        failed_tests.add_line(&text);
        line.clear();
    }
    (totals, failed_tests)
}

/// Ends cargo and the programs that it runs.
fn end(child: &mut Child) -> Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let _ = killpg(group, Signal::SIGTERM);
    let give_up = Instant::now() + Duration::from_secs(5);
    while Instant::now() < give_up && child.try_wait()?.is_none() {
        thread::sleep(Duration::from_millis(50));
    }
    // Test programs that outlive cargo are still in the group.
    let _ = killpg(group, Signal::SIGKILL);
    Ok(())
}
