//! From the start of the command line to the first row of an answer.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::measure::{Spread, milliseconds};
use crate::{cargo, workspace};

const QUERY: &str = "SELECT name FROM shop.customers LIMIT 1";

/// Runs before the measured ones: they read the sources' schemas, and bring the binary into the system's memory.
const WARM_UP_RUNS: u32 = 3;

pub(super) fn run(runs: u32) -> Result<String> {
    let status =
        cargo::command()?.args(["build", "--release", "-p", "tombolo"]).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the release build failed");
    }
    let program = workspace::target_dir()?.join(format!("release/tombolo{EXE_SUFFIX}"));
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    prepare(&program, folder.path())?;

    let mut first_rows = Vec::new();
    let mut ends = Vec::new();
    for run in 0..WARM_UP_RUNS + runs {
        let (first_row, end) = measure(&program, folder.path())?;
        if run >= WARM_UP_RUNS {
            first_rows.push(first_row);
            ends.push(end);
        }
    }
    let mut report = format!(
        "# Start of the command line to the first row\n\n`tombolo query \"{QUERY}\" --format csv`\nover the demo's SQLite \
         file, with the catalog warm; the release build, {runs} runs after {WARM_UP_RUNS} that do not count.\nMilliseconds.\n\n\
         | from the start to | min | median | max |\n|---|---:|---:|---:|\n"
    );
    for (what, times) in [("the first row", first_rows), ("the end", ends)] {
        let Spread { min, median, max } = Spread::of(times)?;
        let cells = [min, median, max].map(milliseconds).join(" | ");
        report.push_str(&format!("| {what} | {cells} |\n"));
    }
    Ok(report)
}

fn tombolo(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("TOMBOLO_HOME", folder.join("home")).stdin(Stdio::null());
    // A config of the person who measures is none of our business.
    command.env_remove("TOMBOLO_CONFIG");
    command
}

fn prepare(program: &Path, folder: &Path) -> Result<()> {
    let output = tombolo(program, folder)
        .args(["demo", "--no-tour", "--dir"])
        .arg(folder)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("the demo could not be made ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Returns the times from the start to the end of the first row, and to the end of the program.
fn measure(program: &Path, folder: &Path) -> Result<(Duration, Duration)> {
    let begin = Instant::now();
    let mut child = tombolo(program, folder)
        .arg("--config")
        .arg(folder.join("tombolo.toml"))
        .args(["query", QUERY, "--format", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let mut output = BufReader::new(child.stdout.take().context("the query has no output")?);
    let (mut header, mut row) = (String::new(), String::new());
    output.read_line(&mut header)?;
    output.read_line(&mut row)?;
    let first_row = begin.elapsed();
    let mut rest = String::new();
    output.read_to_string(&mut rest)?;
    // What it writes to standard error fits the pipe, so that it need not be read at the same time.
    let finished = child.wait_with_output()?;
    let end = begin.elapsed();
    if !finished.status.success() {
        bail!("the query failed ({}): {}", finished.status, String::from_utf8_lossy(&finished.stderr).trim());
    }
    if header.trim() != "name" || row.trim().is_empty() {
        bail!("the query answered {header:?} and {row:?} instead of a header and a row");
    }
    Ok((first_row, end))
}
