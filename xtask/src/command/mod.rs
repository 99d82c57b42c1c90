//! One file for each command.

mod bench;
mod conform;
mod fuzz;
mod new_connector;
mod servers;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    Test(test::Args),
    Servers(servers::Args),
    Conform(conform::Args),
    Fuzz(fuzz::Args),
    Tidy(tidy::Args),
    Bench(bench::Args),
    NewConnector(new_connector::Args),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Test(args) => test::run(args),
            Self::Servers(args) => servers::run(args),
            Self::Conform(args) => conform::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Tidy(args) => tidy::run(args),
            Self::Bench(args) => bench::run(args),
            Self::NewConnector(args) => new_connector::run(args),
        }
    }
}
