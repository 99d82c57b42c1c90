//! Real servers for the tests: found or installed, started on a free loopback port in a folder of their own, stopped.
//!
//! A kind of server is one file here that implements [`ServerKind`], and one line in [`KINDS`]. Everything that is alike for
//! all kinds is in the other files: `debian` installs packages, `crates_io` Rust programs, `npm` programs that are published
//! there and `sid` those of Debian's unstable distribution, all three in the folders of `tools`; `instance` is one server's folder, `lifecycle` starts and stops, `lock` keeps runs out
//! of each other's way, `process` is one operating-system process, `tls` makes certificates, `unavailable` lists what nobody can
//! install. What only related kinds share is in `postgres_cluster` and `mysql_server`.

mod crates_io;
pub(crate) mod debian;
pub(crate) mod instance;
pub(crate) mod lifecycle;
mod lock;
mod mariadb;
mod mysql57;
mod mysql9;
mod mysql_server;
mod npm;
mod postgres;
mod postgres18;
mod postgres_cluster;
pub(crate) mod process;
mod s3;
mod sid;
mod tls;
pub(crate) mod tools;
pub(crate) mod unavailable;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use self::instance::Instance;
use crate::names;

/// Every kind of server that tests can ask for.
pub(crate) static KINDS: &[&dyn ServerKind] =
    &[&postgres::Postgres, &postgres18::Postgres18, &mariadb::MariaDb, &mysql57::MySql57, &mysql9::MySql9, &s3::S3];

/// What is particular to one kind of server.
pub(crate) trait ServerKind: Sync {
    /// The name on the command line and in `TOMBOLO_REQUIRE`.
    fn name(&self) -> &'static str;

    /// The name that people know it by. Two versions of a server share it.
    fn title(&self) -> &'static str;

    /// The connector whose tests use it.
    fn connector(&self) -> &'static str;

    /// The environment variable that tells the tests where it is. Who sets it has a server of his own, and sets the others of
    /// [`Self::environment`] too.
    fn env_name(&self) -> &'static str;

    /// The accounts to run as when started by root, best first. Most servers refuse root, and none should have it.
    fn accounts(&self) -> &'static [&'static str];

    /// Returns the folder of its programs when it is installed.
    fn find(&self) -> Option<PathBuf>;

    /// Installs it, or fails with what a person has to do.
    fn install(&self) -> Result<()>;

    /// Whether CI goes on without it, and says so: where it comes from changes without us, and that must not fail a change
    /// that has nothing to do with it.
    fn may_be_missing(&self) -> bool {
        false
    }

    /// Returns the version of the programs in `binaries`.
    fn version(&self, binaries: &Path) -> Result<String>;

    /// Fills the empty data folder of a new instance.
    fn prepare(&self, instance: &Instance) -> Result<()>;

    /// Returns the command that is the server itself and stays in the foreground.
    fn serve(&self, instance: &Instance) -> Result<Command>;

    /// Whether the server takes connections yet.
    fn is_ready(&self, instance: &Instance) -> Result<bool>;

    /// Returns the variables that tell the tests where it is and how to sign in, passwords included.
    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)>;

    /// The signal upon which it closes its connections and ends in good order.
    fn stop_signal(&self) -> Signal {
        Signal::SIGTERM
    }
}

/// Returns the kind called `name`.
pub(crate) fn kind(name: &str) -> Result<&'static dyn ServerKind> {
    if let Some(kind) = KINDS.iter().find(|kind| kind.name() == name) {
        return Ok(*kind);
    }
    if let Some(entry) = unavailable::LIST.iter().find(|entry| entry.name == name) {
        bail!("no server `{name}` can be started here: {}", entry.reason);
    }
    let known = KINDS.iter().map(|kind| kind.name()).chain(unavailable::LIST.iter().map(|entry| entry.name));
    bail!("there is no server called `{name}`{}", names::suggestion(name, known))
}

/// Returns the first word that starts with a digit: every `--version` line has the version there.
fn version_in(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

/// Runs `program --version` and returns the version in its answer.
fn version_of(program: &Path) -> Result<String> {
    version_told(Command::new(program).arg("--version"))
}

/// Runs a command that tells a version and returns it.
fn version_told(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    version_in(&text).map(str::to_owned).with_context(|| format!("{program} names no version: {}", text.trim()))
}

/// Returns the folder on `PATH`, or else among `more`, that holds all of `programs`.
pub(crate) fn folder_with(programs: &[&str], more: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(more.iter().map(PathBuf::from))
        .find(|folder| programs.iter().all(|program| folder.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::{KINDS, kind, unavailable, version_in};

    #[test]
    fn the_version_is_found_in_the_lines_that_servers_print() {
        assert_eq!(version_in("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some("15.14"));
        assert_eq!(
            version_in("mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)"),
            Some("10.11.14-MariaDB-0+deb12u2")
        );
        assert_eq!(version_in("no such option"), None);
    }

    #[test]
    fn an_unknown_server_gets_a_suggestion() {
        let error = kind("postgers").map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with("did you mean `postgres`?"), "{error}");
    }

    #[test]
    fn a_server_that_cannot_be_had_says_why() {
        let error = kind("oracle").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("package registry"), "{error}");
    }

    #[test]
    fn names_and_variables_are_distinct() {
        let mut names: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
        names.extend(unavailable::LIST.iter().map(|entry| entry.name));
        names.extend(KINDS.iter().map(|kind| kind.env_name()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
