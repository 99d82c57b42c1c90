//! What MariaDB and MySQL have in common: who may sign in, and the settings of the server.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::instance::Instance;
use super::tls::Certificates;

pub(super) const ACCOUNTS: &[&str] = &["mysql", "nobody"];

/// Adds the settings to the command of a server whose tables are in `tables`.
pub(super) fn configure(command: &mut Command, instance: &Instance, tables: &Path) -> Result<()> {
    let init = instance.write_private("init.sql", &accounts(&instance.password))?;
    // It insists on a Unix socket as well.
    let socket = instance.data().join("s");
    // sockaddr_un has room for 107 bytes and a zero: unix(7).
    if socket.as_os_str().len() > 107 {
        bail!("{} is too long for a socket; set TOMBOLO_SERVERS_DIR to a shorter folder", socket.display());
    }
    let tls = Certificates::of(instance);
    command
        .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--character-set-server=utf8mb4"])
        // The data lives as long as the tests do: nothing has to survive a power cut.
        .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M"])
        .arg(format!("--port={}", instance.port))
        .arg(format!("--datadir={}", tables.display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--pid-file={}", instance.data().join("pid").display()))
        .arg(format!("--init-file={}", init.display()))
        // Offered, not demanded: clients may still connect without it.
        .arg(format!("--ssl-ca={}", tls.authority.display()))
        .arg(format!("--ssl-cert={}", tls.certificate.display()))
        .arg(format!("--ssl-key={}", tls.key.display()));
    Ok(())
}

/// Statements that leave one account, which may do everything, and nobody who signs in without a password.
///
/// A password, though only this machine can connect: signing in, rightly and wrongly, is among the things tested.
fn accounts(password: &str) -> String {
    format!(
        "CREATE DATABASE tombolo CHARACTER SET utf8mb4;\n\
         CREATE USER tombolo@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO tombolo@'%' WITH GRANT OPTION;\n\
         DROP USER IF EXISTS root@'127.0.0.1', root@'::1', ''@localhost;\n\
         ALTER USER root@localhost IDENTIFIED BY '{password}';\n"
    )
}

/// Returns what a client signs in to.
pub(super) fn url(scheme: &str, instance: &Instance) -> String {
    format!("{scheme}://tombolo:{}@127.0.0.1:{}/tombolo", instance.password, instance.port)
}
