//! `cargo xtask conform`: the trials of one connector.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use super::test::{self, Selection};
use crate::output::say;
use crate::{names, workspace};

/// Run every test of one connector, on its real server where it has one
///
/// A conformance suite that all connectors share does not exist yet. Until it does, this runs the tests whose path has the
/// connector's name in it, in all crates: its own unit tests and those of tombolo-testkit.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask conform sqlite")]
pub(crate) struct Args {
    /// A connector: the name of a folder in crates/tombolo-connectors/src
    name: String,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let connectors = workspace::connectors()?;
    if !connectors.contains(&args.name) {
        let suggestion = names::suggestion(&args.name, connectors.iter().map(String::as_str));
        bail!("there is no connector called `{}`{suggestion}", args.name);
    }
    say!("There is no shared conformance suite yet: these are the tests named after {}.", args.name);
    // The whole workspace, though few crates have such tests: cargo unites the features of the packages that it is given, so
    // another selection would build DataFusion a second time.
    test::run_selection(&Selection {
        filter: Some(format!("{}::", args.name)),
        doc_tests: false,
        connector: Some(args.name),
        start_servers: true,
    })
}
