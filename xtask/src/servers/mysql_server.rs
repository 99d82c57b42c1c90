//! What MariaDB and MySQL have in common: who may sign in, and the settings of the server.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::instance::Instance;
use super::tls::Certificates;

pub(super) const ACCOUNTS: &[&str] = &["mysql", "nobody"];

/// How long to wait for the first word of a server that listens. It listens before it answers.
const GREETING_PATIENCE: Duration = Duration::from_secs(1);

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
/// The log gets an index: tests look for their statements in it again and again.
///
/// A password, though only this machine can connect: signing in, rightly and wrongly, is among the things tested.
fn accounts(password: &str) -> String {
    format!(
        "CREATE DATABASE tombolo CHARACTER SET utf8mb4;\n\
         CREATE USER tombolo@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO tombolo@'%' WITH GRANT OPTION;\n\
         DROP USER IF EXISTS root@'127.0.0.1', root@'::1', ''@localhost;\n\
         ALTER USER root@localhost IDENTIFIED BY '{password}';\n\
         ALTER TABLE mysql.general_log ENGINE = MyISAM;\n\
         ALTER TABLE mysql.general_log ADD INDEX (event_time);\n"
    )
}

/// Returns what a client signs in to.
pub(super) fn url(scheme: &str, instance: &Instance) -> String {
    format!("{scheme}://tombolo:{}@127.0.0.1:{}/tombolo", instance.password, instance.port)
}

/// Where MySQL has its tables, in a folder that it makes itself.
pub(super) fn tables(instance: &Instance) -> PathBuf {
    instance.data().join("tables")
}

/// Whether the server takes connections yet, found out without a client program.
pub(super) fn greets(instance: &Instance) -> Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, instance.port));
    let Ok(mut server) = TcpStream::connect_timeout(&address, GREETING_PATIENCE) else { return Ok(false) };
    server.set_read_timeout(Some(GREETING_PATIENCE))?;
    let mut packet = [0; 5];
    Ok(server.read_exact(&mut packet).is_ok() && is_greeting(packet))
}

/// Whether a packet begins as the one with which a server that takes connections speaks first: after three bytes of length and
/// one of sequence comes the version of the protocol, 10. An error begins with 255 there. MySQL's manual on its internals,
/// "Connection Phase Packets", `Protocol::HandshakeV10`.
fn is_greeting([_, _, _, sequence, protocol]: [u8; 5]) -> bool {
    sequence == 0 && protocol == 10
}

#[cfg(test)]
mod tests {
    use super::is_greeting;

    #[test]
    fn a_greeting_is_told_from_an_error() {
        assert!(is_greeting([0x4a, 0, 0, 0, 10]));
        assert!(!is_greeting([0x10, 0, 0, 0, 255]));
    }
}
