//! MariaDB, as Debian packages it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::instance::{Instance, run, succeeds};
use super::{ServerKind, debian, folder_with, version_of};

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
        &["mysql", "nobody"]
    }

    fn find(&self) -> Option<PathBuf> {
        // Debian has the server in sbin, which is not on everybody's PATH, and the other programs in bin.
        folder_with(&["mariadbd"], &["/usr/sbin", "/usr/local/sbin"])
            .filter(|_| clients().is_some_and(|bin| bin.join("mariadb-install-db").is_file()))
    }

    fn install(&self) -> Result<()> {
        debian::install(&["mariadb-server"])
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("mariadbd"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
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
        // A password, though only this machine can connect: signing in, rightly and wrongly, is among the things tested.
        let password = &instance.password;
        let init = instance.write_private(
            "init.sql",
            &format!(
                "CREATE DATABASE tombolo CHARACTER SET utf8mb4;\n\
                 CREATE USER tombolo@'%' IDENTIFIED BY '{password}';\n\
                 GRANT ALL ON *.* TO tombolo@'%' WITH GRANT OPTION;\n\
                 DROP USER IF EXISTS root@'127.0.0.1', root@'::1', ''@localhost;\n\
                 ALTER USER root@localhost IDENTIFIED BY '{password}';\n"
            ),
        )?;
        // It insists on a Unix socket as well.
        let socket = instance.data().join("s");
        // sockaddr_un has room for 107 bytes and a zero: unix(7).
        if socket.as_os_str().len() > 107 {
            bail!("{} is too long for a socket; set TOMBOLO_SERVERS_DIR to a shorter folder", socket.display());
        }
        let mut command = instance.command("mariadbd");
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
            ])
            // The data lives as long as the tests do: nothing has to survive a power cut.
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M"])
            .arg(format!("--port={}", instance.port))
            .arg(format!("--datadir={}", instance.data().display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", instance.data().join("pid").display()))
            .arg(format!("--init-file={}", init.display()));
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
        let url = format!("mariadb://tombolo:{}@127.0.0.1:{}/tombolo", instance.password, instance.port);
        vec![(self.env_name(), url)]
    }
}

fn clients() -> Option<PathBuf> {
    folder_with(&["mariadb-admin"], &["/usr/bin", "/usr/local/bin"])
}

/// Returns the full path of a program that is not beside the server.
fn client(program: &str) -> String {
    clients().unwrap_or_default().join(program).to_string_lossy().into_owned()
}
