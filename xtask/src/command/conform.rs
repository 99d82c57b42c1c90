//! `cargo xtask conform`: the trials of one connector.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use super::test::{self, Selection};
use crate::{names, workspace};

/// Run the conformance suite and every other test of one connector, on its real server where it has one
///
/// The suite is in tombolo-testkit; each of its trials is a line of the output, such as
/// `trial sqlite/pushdown/join/left ... ok, in the source`. With it run the tests whose path has the connector's name in it,
/// in all crates: its own unit tests too.
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
    // The whole workspace, though few crates have such tests: cargo unites the features of the packages that it is given, so
    // another selection would build DataFusion a second time.
    test::run_selection(&Selection {
        filter: Some(format!("{}::", args.name)),
        doc_tests: false,
        connector: Some(args.name),
        start_servers: true,
        shows_output: true,
    })
}
