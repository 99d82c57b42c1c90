//! `cargo xtask tidy`: the rules of the project that neither the compiler nor clippy knows.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::output::say;
use crate::tidy::{self, Severity, Tree};
use crate::workspace;

/// Check the project's own rules: crate edges, stage order, connector file sets, names, sizes, paths, links
///
/// Looks at every file that git tracks or would track. Each finding is printed as FILE:LINE. Warnings do not fail.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask tidy\n  cargo xtask tidy --list")]
pub(crate) struct Args {
    /// Print the checks, and what each is for, instead of running them
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if args.list {
        for check in tidy::CHECKS {
            say!("{:<12} {}", check.name, check.purpose);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let tree = Tree::read(&workspace::root()?)?;
    let findings = tidy::check(&tree);
    for finding in &findings {
        say!("{finding}");
    }
    let failures = findings.iter().filter(|finding| finding.severity == Severity::Failure).count();
    let warnings = findings.len() - failures;
    say!("tidy: {} files, {failures} failures, {warnings} warnings", tree.files().len());
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
