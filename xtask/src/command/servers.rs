//! `cargo xtask servers`: real servers for the tests, by hand.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::interrupt::Interrupt;
use crate::output::{complain, say};
use crate::servers::lifecycle::{self, Started};
use crate::servers::{KINDS, ServerKind, kind, unavailable};

/// Start, stop and find the real servers that tests use
///
/// Each server runs on a free port of the loopback interface, under an account that is not root, with its data in a folder
/// of its own: below TOMBOLO_SERVERS_DIR if that is set, else in cargo's build folder, or for root in the folder for temporary
/// files. Programs that are missing are installed: s3s-fs with cargo and PostgreSQL 18 and MySQL 5.7 with npm below
/// ~/.cache/tombolo, the others, and the libraries of these, from Debian's packages when this is run by root. All but s3 take
/// connections with TLS as well as without. Linux only.
#[derive(Parser)]
#[command(
    after_help = "Example:\n  cargo xtask servers start postgres\n  eval \"$(cargo xtask servers env postgres)\"\n  \
                        cargo test -p tombolo-connectors\n  cargo xtask servers stop"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start servers, installing what is missing; one that runs already is left as it is
    #[command(after_help = "Example:\n  cargo xtask servers start postgres mariadb")]
    Start(Names),
    /// Stop servers and remove their data; their logs stay until the next start
    #[command(after_help = "Example:\n  cargo xtask servers stop")]
    Stop(Names),
    /// Say which servers run, where, and what could be started
    #[command(after_help = "Example:\n  cargo xtask servers status")]
    Status(Names),
    /// Print shell lines that tell tests where the running servers are (with their passwords)
    #[command(after_help = "Example:\n  eval \"$(cargo xtask servers env)\"")]
    Env(Names),
}

#[derive(Parser)]
struct Names {
    /// Names of servers: postgres, postgres18, mariadb, mysql57, mysql9, s3 [default: all]
    names: Vec<String>,
}

impl Names {
    fn kinds(&self) -> Result<Vec<&'static dyn ServerKind>> {
        if self.names.is_empty() {
            return Ok(KINDS.to_vec());
        }
        self.names.iter().map(|name| kind(name)).collect()
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Start(names) => start(&names.kinds()?),
        Action::Stop(names) => stop(&names.kinds()?),
        Action::Status(names) => status(&names),
        Action::Env(names) => env(&names),
    }
}

fn start(kinds: &[&'static dyn ServerKind]) -> Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let mut code = ExitCode::SUCCESS;
    for kind in kinds {
        match lifecycle::obtain(*kind).and_then(|binaries| lifecycle::start(*kind, binaries, &interrupt)) {
            Ok(Started::Now(server)) => {
                say!("{}: started {} {} on port {}", kind.name(), kind.title(), server.version, server.port);
            }
            Ok(Started::Before(server)) => {
                say!("{}: {} {} runs already on port {}", kind.name(), kind.title(), server.version, server.port);
            }
            // The others may still be of use.
            Err(error) => {
                complain!("error: {}: {error:#}", kind.name());
                code = ExitCode::FAILURE;
            }
        }
        if interrupt.is_requested() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(code)
}

fn stop(kinds: &[&'static dyn ServerKind]) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for kind in kinds {
        match lifecycle::stop(*kind) {
            Ok(true) => say!("{}: stopped", kind.name()),
            Ok(false) => say!("{}: was not running", kind.name()),
            Err(error) => {
                complain!("error: {}: {error:#}", kind.name());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn status(names: &Names) -> Result<ExitCode> {
    for kind in names.kinds()? {
        let name = kind.name();
        match (lifecycle::running(kind)?, kind.find()) {
            (Some(server), _) => {
                say!("{name}: {} {} on port {}, process {}", kind.title(), server.version, server.port, server.pid());
            }
            (None, Some(binaries)) => say!("{name}: stopped ({} {})", kind.title(), kind.version(&binaries)?),
            (None, None) => say!("{name}: {} is not installed", kind.title()),
        }
    }
    if names.names.is_empty() {
        for entry in unavailable::LIST {
            say!("{}: cannot be had: {}", entry.name, entry.reason);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn env(names: &Names) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for kind in names.kinds()? {
        match lifecycle::running(kind)? {
            Some(server) => {
                // Nothing in these values needs quoting for a shell, but quotes do no harm.
                for (name, value) in server.environment {
                    say!("export {name}='{value}'");
                }
            }
            None if names.names.is_empty() => {}
            None => {
                complain!("error: {0} is not running; start it with: cargo xtask servers start {0}", kind.name());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Names;
    use crate::servers::KINDS;

    #[test]
    fn the_help_names_every_server() {
        let help = Names::command().render_help().to_string();
        for kind in KINDS {
            assert!(
                help.contains(&format!(" {},", kind.name())) || help.contains(&format!(" {} [", kind.name())),
                "{help}"
            );
        }
    }
}
