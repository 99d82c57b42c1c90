//! The servers of a test run: which ran, which were missing, and whether that is a failure.

use std::collections::BTreeSet;
use std::env;

use anyhow::{Result, bail};

use super::{Selection, test_files};
use crate::interrupt::Interrupt;
use crate::names;
use crate::output::complain;
use crate::servers::lifecycle::{self, Lease, Started};
use crate::servers::{KINDS, ServerKind, unavailable};

/// The servers of one run. Those that only this run uses are stopped when this is dropped.
pub(crate) struct TestServers {
    entries: Vec<Entry>,
    environment: Vec<(String, String)>,
    leases: Vec<Lease>,
}

struct Entry {
    name: &'static str,
    title: &'static str,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Ran(String),
    /// Not there, for this reason; and whether that fails the run.
    Missing {
        reason: String,
        fails: bool,
    },
}

/// Which absences are failures.
struct Strictness {
    required: BTreeSet<String>,
    is_ci: bool,
}

impl Strictness {
    fn from_env() -> Result<Self> {
        let required = env::var("TOMBOLO_REQUIRE").unwrap_or_default();
        let is_ci = env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        Self::new(&required, is_ci)
    }

    fn new(required: &str, is_ci: bool) -> Result<Self> {
        let required: BTreeSet<String> =
            required.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let known = || {
            KINDS
                .iter()
                .map(|kind| kind.name())
                .chain(unavailable::LIST.iter().map(|entry| entry.name))
                .chain([test_files::NAME])
        };
        for name in &required {
            if !known().any(|known| known == name) {
                bail!(
                    "TOMBOLO_REQUIRE names `{name}`, and there is no such server{}",
                    names::suggestion(name, known())
                );
            }
        }
        Ok(Self { required, is_ci })
    }

    fn missing(&self, name: &str, reason: String, is_forgiven_in_ci: bool) -> State {
        let fails = self.required.contains(name) || (self.is_ci && !is_forgiven_in_ci);
        State::Missing { reason, fails }
    }
}

impl TestServers {
    /// Starts the servers that the selected tests use.
    pub(crate) fn start(selection: &Selection, interrupt: &Interrupt) -> Result<Self> {
        let is_used = |connector: &str| selection.connector.as_deref().is_none_or(|selected| selected == connector);
        let strictness = Strictness::from_env()?;
        let mut servers = Self { entries: Vec::new(), environment: Vec::new(), leases: Vec::new() };
        for kind in KINDS.iter().filter(|kind| is_used(kind.connector())) {
            let state = if env::var_os(kind.env_name()).is_some() {
                State::Ran(format!("given by {}", kind.env_name()))
            } else if interrupt.is_requested() {
                State::Missing { reason: "interrupted".to_owned(), fails: false }
            } else if selection.start_servers {
                servers.start_one(*kind, &strictness, interrupt)?
            } else {
                strictness.missing(kind.name(), "not started, as asked".to_owned(), false)
            };
            servers.entries.push(Entry { name: kind.name(), title: kind.title(), state });
        }
        // They are of no one connector.
        if selection.connector.is_none() {
            let state = servers.files(selection, &strictness);
            servers.entries.push(Entry { name: test_files::NAME, title: test_files::TITLE, state });
        }
        for entry in unavailable::missed()?.into_iter().filter(|entry| is_used(entry.connector)) {
            let state = strictness.missing(entry.name, entry.reason.to_owned(), true);
            servers.entries.push(Entry { name: entry.name, title: entry.title, state });
        }
        Ok(servers)
    }

    /// Gets the files of tests that are handled as a server is: their absence is counted and said.
    fn files(&mut self, selection: &Selection, strictness: &Strictness) -> State {
        if env::var_os(test_files::VARIABLE).is_some() {
            return State::Ran(format!("given by {}", test_files::VARIABLE));
        }
        if !selection.start_servers {
            return strictness.missing(test_files::NAME, "not got, as asked".to_owned(), false);
        }
        match test_files::obtain() {
            Ok(folder) => {
                self.environment.push((test_files::VARIABLE.to_owned(), folder.display().to_string()));
                State::Ran("in cargo's home".to_owned())
            }
            Err(error) => strictness.missing(test_files::NAME, format!("{error:#}"), false),
        }
    }

    fn start_one(
        &mut self,
        kind: &'static dyn ServerKind,
        strictness: &Strictness,
        interrupt: &Interrupt,
    ) -> Result<State> {
        let binaries = match lifecycle::obtain(kind) {
            Ok(binaries) => binaries,
            Err(error) => return Ok(strictness.missing(kind.name(), format!("{error:#}"), kind.may_be_missing())),
        };
        let (server, how) = match lifecycle::lease(kind, binaries, interrupt) {
            Ok((Started::Now(server), lease)) => {
                self.leases.push(lease);
                (server, "started for this run")
            }
            Ok((Started::Before(server), lease)) => {
                self.leases.push(lease);
                (server, "was running already")
            }
            Err(error) if kind.may_be_missing() => {
                return Ok(strictness.missing(kind.name(), format!("{error:#}"), true));
            }
            // A server that is there but does not start is a fault to look at, never something to skip.
            Err(error) => {
                return Ok(State::Missing { reason: format!("{error:#}"), fails: true });
            }
        };
        self.environment.extend(server.environment);
        Ok(State::Ran(format!("{}, {how}", server.version)))
    }

    /// The variables that tell the tests where the servers are.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Stops what only this run uses.
    pub(crate) fn stop(&mut self) {
        for lease in self.leases.drain(..) {
            let name = lease.name();
            if let Err(error) = lease.end() {
                complain!("warning: {name} could not be stopped: {error:#}");
            }
        }
    }

    pub(crate) fn describe(&self) -> Vec<String> {
        self.entries
            .iter()
            .map(|entry| match &entry.state {
                State::Ran(how) => format!("{}: {} {how}", entry.name, entry.title),
                State::Missing { reason, fails: true } => format!("{}: missing: {reason}", entry.name),
                State::Missing { reason, fails: false } => format!("{}: skipped: {reason}", entry.name),
            })
            .collect()
    }

    /// One line for each server whose absence fails the run.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failing = self.entries.iter().filter(|entry| matches!(entry.state, State::Missing { fails: true, .. }));
        failing.map(|entry| format!("{} ({}) is required and was not there", entry.name, entry.title)).collect()
    }

    pub(crate) fn skipped(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.state, State::Missing { fails: false, .. })).count()
    }
}

impl Drop for TestServers {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Strictness};

    fn fails(required: &str, is_ci: bool, name: &str, is_forgiven_in_ci: bool) -> bool {
        let state = Strictness::new(required, is_ci).unwrap().missing(name, "why".to_owned(), is_forgiven_in_ci);
        matches!(state, State::Missing { fails: true, .. })
    }

    #[test]
    fn at_home_a_missing_server_is_skipped() {
        assert!(!fails("", false, "postgres", false));
    }

    #[test]
    fn a_required_server_must_be_there() {
        assert!(fails("mariadb, postgres", false, "postgres", false));
        assert!(!fails("mariadb", false, "postgres", false));
        assert!(fails("oracle", false, "oracle", true));
    }

    #[test]
    fn in_ci_only_what_does_not_depend_on_us_may_be_missing() {
        assert!(fails("", true, "postgres", false));
        assert!(!fails("", true, "oracle", true));
    }

    #[test]
    fn a_misspelt_requirement_is_an_error() {
        let error = Strictness::new("postgers", false).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("did you mean `postgres`?"), "{error}");
    }
}
