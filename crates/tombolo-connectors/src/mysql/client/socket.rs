use std::fmt;
use std::io;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tombolo_connector::{Error, ErrorCode, Result};

use crate::mysql::config::{self, Config};

/// Bytes to and from a server.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// How connections are encrypted.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// Not at first, but where the server wants to be told what is secret; without a look at its certificate.
    OnDemand(TlsConnector),
    /// From the beginning, verified.
    Verified(TlsConnector),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(super) fn try_new(config: &Config) -> Result<Self> {
        match config.tls {
            _ if config.is_socket() => Ok(Self::Off),
            config::Tls::Off => Ok(Self::Off),
            config::Tls::Local => crate::tls::unverified_connector().map(Self::OnDemand),
            config::Tls::Verify => crate::tls::connector(config.tls_ca.as_deref()).map(Self::Verified),
        }
    }
}

/// Opens a plain socket to the server.
pub(super) async fn connect(config: &Config) -> Result<Box<dyn Socket>> {
    let place = if config.is_socket() { config.host.clone() } else { format!("{}:{}", config.host, config.port) };
    let opened = async {
        if config.is_socket() {
            return unix(config).await;
        }
        let socket = TcpStream::connect((config.host.as_str(), config.port)).await?;
        // Requests are small and wait for their answer.
        socket.set_nodelay(true)?;
        Ok(Box::new(socket) as Box<dyn Socket>)
    };
    opened.await.map_err(|error: io::Error| {
        Error::new(ErrorCode::SourceUnavailable, format!("{place} cannot be reached"))
            .with_detail(error.to_string())
            .with_hint("See that the server runs there and that `host` and `port` are right.")
            .retryable()
    })
}

/// Encrypts a socket.
pub(super) async fn encrypt(
    socket: Box<dyn Socket>,
    connector: &TlsConnector,
    config: &Config,
) -> Result<Box<dyn Socket>> {
    let untrusted = |detail: String| {
        let message = format!("the certificate of {}:{} is not trusted", config.host, config.port);
        Error::new(ErrorCode::SourceUnavailable, message)
            .with_detail(detail)
            .with_hint("Set `tls_ca` to the file of the certificate that signed it, and `host` to a name that it has.")
    };
    let name = ServerName::try_from(config.host.clone()).map_err(|error| untrusted(error.to_string()))?;
    let encrypted = connector.connect(name, socket).await;
    Ok(Box::new(encrypted.map_err(|error| untrusted(error.to_string()))?))
}

#[cfg(unix)]
async fn unix(config: &Config) -> io::Result<Box<dyn Socket>> {
    Ok(Box::new(tokio::net::UnixStream::connect(&config.host).await?))
}

#[cfg(not(unix))]
async fn unix(_: &Config) -> io::Result<Box<dyn Socket>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
}
