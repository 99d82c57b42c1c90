//! PostgreSQL, as Debian packages it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::instance::{Instance, run, succeeds};
use super::{ServerKind, debian, folder_with, version_of};

pub(crate) struct Postgres;

const PROGRAMS: &[&str] = &["initdb", "postgres", "pg_isready"];

impl ServerKind for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn connector(&self) -> &'static str {
        "postgres"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_POSTGRES_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        &["postgres", "nobody"]
    }

    fn find(&self) -> Option<PathBuf> {
        // Debian keeps every major version apart, and none of them on PATH.
        newest_version(Path::new("/usr/lib/postgresql")).or_else(|| folder_with(PROGRAMS, &[]))
    }

    fn install(&self) -> Result<()> {
        debian::install(&["postgresql"])
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("postgres"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        // A password, though only this machine can connect: signing in, rightly and wrongly, is among the things tested.
        let password = instance.write_private("password", &instance.password)?;
        run(instance
            .command("initdb")
            .args(["--username=tombolo", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("--pwfile")
            .arg(password)
            .arg("--pgdata")
            .arg(instance.data()))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        let mut command = instance.command("postgres");
        command.arg("-D").arg(instance.data()).arg("-p").arg(instance.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // Change streams are read by logical decoding.
            "wal_level=logical",
            // The data lives as long as the tests do: nothing has to survive a power cut.
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ] {
            command.arg("-c").arg(setting);
        }
        Ok(command)
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        let mut command = instance.command("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-d", "postgres", "-U", "tombolo", "-p"]).arg(instance.port.to_string());
        succeeds(&mut command)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        let url = format!("postgres://tombolo:{}@127.0.0.1:{}/postgres", instance.password, instance.port);
        vec![(self.env_name(), url)]
    }

    /// SIGTERM would wait until the last client has gone.
    fn stop_signal(&self) -> Signal {
        Signal::SIGINT
    }
}

fn newest_version(folder: &Path) -> Option<PathBuf> {
    let versions = folder.read_dir().ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut versions: Vec<u32> = versions.collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    // A machine may have the client programs of a version whose server it has not.
    versions
        .into_iter()
        .map(|version| folder.join(version.to_string()).join("bin"))
        .find(|bin| PROGRAMS.iter().all(|program| bin.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{PROGRAMS, newest_version};

    #[test]
    fn the_newest_version_that_has_a_server_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (version, programs) in [("9", PROGRAMS), ("15", PROGRAMS), ("17", &["pg_isready"][..])] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            for program in programs {
                fs::write(bin.join(program), "").unwrap();
            }
        }
        assert_eq!(newest_version(folder.path()), Some(folder.path().join("15/bin")));
    }

    #[test]
    fn a_machine_without_it_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_version(&folder.path().join("postgresql")), None);
    }
}
