//! The program `tombolo`: one query over many sources, where the data is.
//!
//! stdout is data and stderr is talk. Every failure is an error with a code, a message and a hint, printed by the renderer;
//! the exit code comes from the error's code.

mod command;
mod config;
mod demo;
mod interrupt;
mod output;
mod render;
mod state;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::command::{App, Cli};
use crate::interrupt::Interrupts;

/// Plans and batches are many small and some large pieces of memory, for which the system's allocator takes longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plans are walked by recursion, so a deep statement needs a deep stack; the pages are only used when they are touched.
const STACK_BYTES: usize = 64 << 20;

fn main() -> ExitCode {
    let main = std::thread::Builder::new().name("main".to_owned()).stack_size(STACK_BYTES).spawn(run);
    let outcome = match main.context("the main thread cannot be started").map(std::thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        // The panic has printed itself; it is a defect whatever it was.
        Ok(Err(_)) => return ExitCode::FAILURE,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        output::complain(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is no failure.
            let _ = error.print();
            return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)));
        }
    };
    output::log_to_stderr(cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("the runtime cannot be started")?;
    let code = runtime.block_on(async {
        let interrupts = Interrupts::listen().context("signals cannot be listened to")?;
        anyhow::Ok(command::dispatch(App::new(&cli.global), cli.command, interrupts).await)
    });
    // What a driver still does on its own thread after a cancel is not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::from(code?))
}
