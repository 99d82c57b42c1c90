//! As much of a driver as it takes to load tables and to read a log: other code than the connector's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// A connection that runs statements in text.
pub(super) struct Driver(Box<dyn Socket>);

/// Where a server is, and who signs in.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    /// Who signed its certificate, where it takes passwords in the newer way alone.
    pub(super) authority: Option<PathBuf>,
}

impl Driver {
    pub(super) async fn connect(server: &Server) -> Result<Self, String> {
        let socket =
            TcpStream::connect((server.host.as_str(), server.port)).await.map_err(|error| error.to_string())?;
        let mut driver = Self(Box::new(socket));
        let greeting = driver.read().await?.1;
        // Long passwords, protocol 4.1, secure connections, several results, plug-ins.
        let capabilities: u32 = 1 | 1 << 9 | 1 << 15 | 1 << 17 | 1 << 19;
        match &server.authority {
            None => driver.sign_in_natively(server, &greeting, capabilities).await?,
            Some(authority) => driver.sign_in_encrypted(server, authority, capabilities | 1 << 11).await?,
        }
        Ok(driver)
    }

    async fn sign_in_natively(&mut self, server: &Server, greeting: &[u8], capabilities: u32) -> Result<(), String> {
        // Version, connection and the nonce in two parts; see the connector for the whole of it.
        let after_version = 1 + greeting[1..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let nonce =
            [&greeting[after_version + 4..after_version + 12], &greeting[after_version + 31..after_version + 43]];
        let once = Sha1::digest(&server.password);
        let mixed = Sha1::new().chain_update(nonce.concat()).chain_update(Sha1::digest(once)).finalize();
        let proof: Vec<u8> = once.iter().zip(mixed.iter()).map(|(a, b)| a ^ b).collect();
        self.write(1, &response(server, capabilities, &proof, "mysql_native_password")).await?;
        self.admitted().await
    }

    async fn sign_in_encrypted(&mut self, server: &Server, authority: &Path, capabilities: u32) -> Result<(), String> {
        self.write(1, &head(capabilities)).await?;
        let plain = std::mem::replace(&mut self.0, Box::new(tokio::io::empty()));
        self.0 = encrypted(plain, &server.host, authority).await?;
        // No proof at all, so that the server wants the password itself.
        self.write(2, &response(server, capabilities, &[0; 32], "caching_sha2_password")).await?;
        match self.read().await? {
            (sequence, packet) if packet == [1, 4] => {
                self.write(sequence + 1, &[server.password.as_bytes(), b"\0"].concat()).await?;
            }
            (_, other) => return Err(format!("signing in: {}", String::from_utf8_lossy(&other))),
        }
        self.admitted().await
    }

    async fn admitted(&mut self) -> Result<(), String> {
        match self.read().await?.1.as_slice() {
            [0, ..] => Ok(()),
            other => Err(format!("signing in: {}", String::from_utf8_lossy(other))),
        }
    }

    /// Runs a statement and gives its rows.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let shown = || sql.chars().take(200).collect::<String>();
        self.write(0, &[b"\x03", sql.as_bytes()].concat()).await?;
        let head = self.read().await?.1;
        match head[0] {
            0x00 => return Ok(Vec::new()),
            0xff => return Err(format!("{} in {}", String::from_utf8_lossy(&head[3..]), shown())),
            _ => {}
        }
        let columns = usize::from(head[0]);
        while self.read().await?.1[0] != 0xfe {}
        let mut rows = Vec::new();
        loop {
            let packet = self.read().await?.1;
            match packet[0] {
                0xfe if packet.len() < 9 => return Ok(rows),
                0xff => return Err(format!("{} in {}", String::from_utf8_lossy(&packet[3..]), shown())),
                _ => {}
            }
            let mut rest = packet.as_slice();
            let mut row = Vec::with_capacity(columns);
            for _ in 0..columns {
                let (length, after) = match rest {
                    [251, after @ ..] => (None, after),
                    [252, a, b, after @ ..] => (Some(usize::from(u16::from_le_bytes([*a, *b]))), after),
                    [253, a, b, c, after @ ..] => (Some(u32::from_le_bytes([*a, *b, *c, 0]) as usize), after),
                    [length, after @ ..] => (Some(usize::from(*length)), after),
                    [] => return Err("a row that is too short".to_owned()),
                };
                row.push(length.map(|length| String::from_utf8_lossy(&after[..length]).into_owned()));
                rest = &after[length.unwrap_or(0)..];
            }
            rows.push(row);
        }
    }

    async fn read(&mut self) -> Result<(u8, Vec<u8>), String> {
        let mut payload = Vec::new();
        loop {
            let mut header = [0; 4];
            self.0.read_exact(&mut header).await.map_err(|error| error.to_string())?;
            let [a, b, c, sequence] = header;
            let mut part = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
            self.0.read_exact(&mut part).await.map_err(|error| error.to_string())?;
            payload.extend_from_slice(&part);
            if part.len() < 0xff_ffff {
                return Ok((sequence, payload));
            }
        }
    }

    async fn write(&mut self, sequence: u8, payload: &[u8]) -> Result<(), String> {
        assert!(payload.len() < 0xff_ffff, "this driver sends no packets of 16 MB");
        let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
        let packet = [&[a, b, c, sequence], payload].concat();
        self.0.write_all(&packet).await.map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

/// What a response begins with, and all of what asks for encryption.
fn head(capabilities: u32) -> Vec<u8> {
    let (longest, character_set) = (1_u32 << 24, 45);
    [&capabilities.to_le_bytes()[..], &longest.to_le_bytes(), &[character_set], &[0; 23]].concat()
}

fn response(server: &Server, capabilities: u32, proof: &[u8], plugin: &str) -> Vec<u8> {
    let length = [u8::try_from(proof.len()).unwrap()];
    [&head(capabilities), server.user.as_bytes(), b"\0", &length, proof, plugin.as_bytes(), b"\0"].concat()
}

async fn encrypted(socket: Box<dyn Socket>, host: &str, authority: &Path) -> Result<Box<dyn Socket>, String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(|error| error.to_string())?;
    roots.add(certificate).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let encrypted = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    Ok(Box::new(encrypted.map_err(|error| error.to_string())?))
}
