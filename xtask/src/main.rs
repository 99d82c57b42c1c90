//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Whatever takes more than one command by hand is here, so that a person and the CI machine do it in the same way.

// A program without async: waiting is sleeping here.
#![allow(clippy::disallowed_methods)]

mod cargo;
mod command;
mod interrupt;
mod names;
mod output;
mod servers;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Command;
use crate::output::complain;

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "The project's own commands", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
