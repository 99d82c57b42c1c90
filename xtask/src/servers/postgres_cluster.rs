//! What all kinds of PostgreSQL have in common: how a cluster is made, served and found ready.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::instance::{Instance, run};
use super::tls::{self, Certificates};

/// The programs that are run, of which every installation has more.
pub(super) const PROGRAMS: &[&str] = &["initdb", "postgres"];

pub(super) const ACCOUNTS: &[&str] = &["postgres", "nobody"];

/// SIGTERM would wait until the last client has gone.
pub(super) const STOP_SIGNAL: Signal = Signal::SIGINT;

/// Makes a cluster with the programs in `bin`.
pub(super) fn prepare(instance: &Instance, bin: &Path) -> Result<()> {
    tls::create(instance)?;
    // A password, though only this machine can connect: signing in, rightly and wrongly, is among the things tested.
    let password = instance.write_private("password", &instance.password)?;
    run(instance
        .command(bin.join("initdb"))
        .args(["--username=tombolo", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(password)
        .arg("--pgdata")
        .arg(cluster(instance)))
}

/// Returns the command that serves the cluster with the programs in `bin`.
pub(super) fn serve(instance: &Instance, bin: &Path) -> Command {
    let mut command = instance.command(bin.join("postgres"));
    command.arg("-D").arg(cluster(instance)).arg("-p").arg(instance.port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        // Change streams are read by logical decoding.
        "wal_level=logical",
        // The data lives as long as the tests do: nothing has to survive a power cut.
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        // Each way of a made query has connections of its own, to two sources.
        "max_connections=300",
        // What has reached the server is told by its own log, which a superuser reads by SQL.
        "logging_collector=on",
        "log_directory=log",
        "log_filename=statements.log",
        "log_rotation_age=0",
        "log_rotation_size=0",
        "log_line_prefix=%d|%n|",
        "log_statement=all",
        // Offered, not demanded: clients may still connect without it.
        "ssl=on",
    ] {
        command.arg("-c").arg(setting);
    }
    let files = Certificates::of(instance);
    for (setting, path) in [("ssl_cert_file", files.certificate), ("ssl_key_file", files.key)] {
        command.arg("-c").arg(format!("{setting}={}", path.display()));
    }
    command
}

/// Whether the server takes connections. Not by `pg_isready`, which not every package has.
pub(super) fn is_ready(instance: &Instance) -> Result<bool> {
    let path = cluster(instance).join("postmaster.pid");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(says_ready(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads the server's state as `pg_ctl --wait` does: it is in line 8, `LOCK_FILE_LINE_PM_STATUS` in PostgreSQL's `pidfile.h`.
fn says_ready(lock_file: &str) -> bool {
    lock_file.lines().nth(7).is_some_and(|state| state.trim_end() == "ready")
}

pub(super) fn url(instance: &Instance) -> String {
    format!("postgres://tombolo:{}@127.0.0.1:{}/postgres", instance.password, instance.port)
}

fn cluster(instance: &Instance) -> PathBuf {
    instance.data().join("cluster")
}

#[cfg(test)]
mod tests {
    use super::says_ready;

    #[test]
    fn a_server_is_ready_when_its_lock_file_says_so() {
        let lock_file = "4711\n/data\n1790000000\n5432\n\n127.0.0.1\n 8  0\n";
        assert!(!says_ready(lock_file));
        assert!(!says_ready(&format!("{lock_file}starting\n")));
        assert!(says_ready(&format!("{lock_file}ready   \n")));
    }
}
