//! MySQL 9, which the stable Debian of today does not have, from the unstable one. The package holds the server alone, without
//! client programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::instance::{Instance, run};
use super::sid::{self, Package};
use super::tls::{self, Certificates};
use super::{ServerKind, debian, mysql_server};

pub(crate) struct MySql9;

/// With long-term support, so that Debian stays with it for a while. Its plug-ins are left out: tests use none of them.
static PACKAGE: Package =
    Package { name: "mysql-server-core", series: "9.7", program: "sbin/mysqld", data: "share/mysql" };

impl ServerKind for MySql9 {
    fn name(&self) -> &'static str {
        "mysql9"
    }

    fn title(&self) -> &'static str {
        "MySQL"
    }

    fn connector(&self) -> &'static str {
        "mysql"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_MYSQL9_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        mysql_server::ACCOUNTS
    }

    fn find(&self) -> Option<PathBuf> {
        PACKAGE.find().filter(|_| tls::is_possible())
    }

    fn install(&self) -> Result<()> {
        if !tls::is_possible() {
            debian::install(&[tls::PACKAGE])?;
        }
        PACKAGE.install()
    }

    fn may_be_missing(&self) -> bool {
        true
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        PACKAGE.version(binaries)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        tls::create(instance)?;
        instance.copy_programs(&["mysqld", "mysql", sid::LIBRARIES])?;
        let tables = mysql_server::tables(instance);
        // Root's password is set at the start, as that of all accounts is.
        run(mysqld(instance).arg("--initialize-insecure").arg(format!("--datadir={}", tables.display())))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        let mut command = mysqld(instance);
        mysql_server::configure(&mut command, instance, &mysql_server::tables(instance))?;
        // Neither its other protocol, with a port of its own, nor a log for copies of the server.
        command.args(["--mysqlx=OFF", "--disable-log-bin"]);
        Ok(command)
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        mysql_server::greets(instance)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), mysql_server::url("mysql", instance)),
            ("TOMBOLO_TEST_MYSQL9_CA", Certificates::of(instance).authority.display().to_string()),
        ]
    }
}

fn mysqld(instance: &Instance) -> Command {
    let programs = instance.programs();
    let (linker, arguments) = PACKAGE.command(&programs);
    let mut command = instance.command(linker);
    // First, as it must be, or the machine's own settings would count.
    command.args(arguments).arg("--no-defaults").arg(format!("--basedir={}", programs.display()));
    let data = programs.join("mysql");
    command.arg(format!("--lc-messages-dir={}", data.display()));
    command.arg(format!("--character-sets-dir={}", data.join("charsets").display()));
    // It was built to insist on a folder of the machine for files of its users. Nobody here reads or writes any.
    command.arg("--secure-file-priv=NULL");
    command
}
