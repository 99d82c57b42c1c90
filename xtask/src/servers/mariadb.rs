//! MariaDB, as Debian packages it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::instance::{Instance, run, succeeds};
use super::tls::{self, Certificates};
use super::{ServerKind, debian, folder_with, mysql_server, version_of};

pub(crate) struct MariaDb;

impl ServerKind for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn title(&self) -> &'static str {
        "MariaDB"
    }

    fn connector(&self) -> &'static str {
        "mysql"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_MARIADB_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        mysql_server::ACCOUNTS
    }

    fn find(&self) -> Option<PathBuf> {
        // Debian has the server in sbin, which is not on everybody's PATH, and the other programs in bin.
        folder_with(&["mariadbd"], &["/usr/sbin", "/usr/local/sbin"])
            .filter(|_| clients().is_some_and(|bin| bin.join("mariadb-install-db").is_file()) && tls::is_possible())
    }

    fn install(&self) -> Result<()> {
        debian::install(&["mariadb-server", tls::PACKAGE])
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("mariadbd"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        tls::create(instance)?;
        run(instance
            .command(client("mariadb-install-db"))
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-name-resolve",
                "--skip-test-db",
            ])
            .arg(format!("--datadir={}", instance.data().display())))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        let mut command = instance.command("mariadbd");
        command
            .arg("--no-defaults")
            // By its place in the binary log the connector knows that several connections read one snapshot.
            .arg(format!("--log-bin={}", instance.data().join("binlog").display()));
        mysql_server::configure(&mut command, instance, &instance.data())?;
        Ok(command)
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        let mut command = instance.command(client("mariadb-admin"));
        command
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=tombolo"])
            .arg(format!("--port={}", instance.port))
            .arg("status")
            // Not as an argument, where every user of the machine could read it.
            .env("MYSQL_PWD", &instance.password);
        succeeds(&mut command)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), mysql_server::url("mariadb", instance)),
            ("TOMBOLO_TEST_MARIADB_CA", Certificates::of(instance).authority.display().to_string()),
        ]
    }
}

fn clients() -> Option<PathBuf> {
    folder_with(&["mariadb-admin"], &["/usr/bin", "/usr/local/bin"])
}

/// Returns the full path of a program that is not beside the server.
fn client(program: &str) -> PathBuf {
    clients().unwrap_or_default().join(program)
}
