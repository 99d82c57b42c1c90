//! A certificate authority for one server and a certificate that it has signed, by the program `openssl`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::folder_with;
use super::instance::{Instance, run};

/// The package of `openssl`. Debian's PostgreSQL brings it along; other servers may not.
pub(super) const PACKAGE: &str = "openssl";

/// Written out, so that the machine's own settings for certificates do not count.
///
/// A client may refuse a certificate that is its own authority, and takes an address only from the alternative names: RFC 9525.
const SETTINGS: &str = "\
[req]
prompt = no
distinguished_name = subject
[subject]
CN = Tombolo test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

/// Longer than any server here runs.
const VALID_DAYS: &str = "365";

/// Where the files of a server's instance are. Clients are told the authority's only.
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificates {
    pub(super) fn of(instance: &Instance) -> Self {
        let folder = folder(instance);
        Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        }
    }
}

/// Whether certificates can be made on this machine.
pub(super) fn is_possible() -> bool {
    openssl().is_some()
}

/// Makes the files, which belong to the server's account.
pub(super) fn create(instance: &Instance) -> Result<()> {
    let folder = folder(instance);
    instance.create_data_folder(&folder)?;
    let settings = instance.write_private("tls.cnf", SETTINGS)?;
    let openssl = openssl().context("there is no openssl; install the package openssl")?;
    let command = |arguments: &[&str]| {
        let mut command = instance.command(&openssl);
        command.args(arguments).current_dir(&folder);
        command
    };
    // `ecparam` rather than `req -newkey`: the curve is then named in the same way by all versions of openssl.
    for key in ["ca.key", "server.key"] {
        run(&mut command(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]))?;
    }
    run(command(&["req", "-new", "-x509", "-key", "ca.key", "-out", "ca.pem", "-days", VALID_DAYS])
        .args(["-subj", "/CN=Tombolo test authority", "-extensions", "authority", "-config"])
        .arg(&settings))?;
    run(command(&["req", "-new", "-key", "server.key", "-out", "server.csr", "-subj", "/CN=localhost", "-config"])
        .arg(&settings))?;
    run(command(&["x509", "-req", "-in", "server.csr", "-out", "server.pem", "-days", VALID_DAYS])
        .args(["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extensions", "server", "-extfile"])
        .arg(&settings))
}

fn openssl() -> Option<PathBuf> {
    Some(folder_with(&["openssl"], &["/usr/bin"])?.join("openssl"))
}

fn folder(instance: &Instance) -> PathBuf {
    instance.folder.join("tls")
}
