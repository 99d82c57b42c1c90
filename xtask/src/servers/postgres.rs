//! PostgreSQL, as Debian packages it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::instance::Instance;
use super::postgres_cluster::{self, PROGRAMS};
use super::tls::{self, Certificates};
use super::{ServerKind, debian, folder_with, version_of};
use crate::output::complain;

pub(crate) struct Postgres;

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
        postgres_cluster::ACCOUNTS
    }

    fn find(&self) -> Option<PathBuf> {
        // Debian keeps every major version apart, and none of them on PATH.
        let binaries = newest_version(Path::new("/usr/lib/postgresql")).or_else(|| folder_with(PROGRAMS, &[]));
        binaries.filter(|_| tls::is_possible())
    }

    fn install(&self) -> Result<()> {
        debian::install(&["postgresql", tls::PACKAGE])?;
        // Its types are read too; a test says so where it is not there.
        if let Err(error) = debian::install(&["postgresql-postgis"]) {
            complain!("without PostGIS: {error:#}");
        }
        Ok(())
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("postgres"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        postgres_cluster::prepare(instance, &instance.binaries)
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        Ok(postgres_cluster::serve(instance, &instance.binaries))
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        postgres_cluster::is_ready(instance)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), postgres_cluster::url(instance)),
            ("TOMBOLO_TEST_POSTGRES_CA", Certificates::of(instance).authority.display().to_string()),
        ]
    }

    fn stop_signal(&self) -> Signal {
        postgres_cluster::STOP_SIGNAL
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
        for (version, programs) in [("9", PROGRAMS), ("15", PROGRAMS), ("17", &["psql"][..])] {
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
