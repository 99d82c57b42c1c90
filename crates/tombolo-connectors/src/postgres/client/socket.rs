use std::fmt;
use std::io;

use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tombolo_connector::{Error, ErrorCode, Result};

use crate::postgres::config::{self, Config};

/// Bytes to and from a server.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// How connections are encrypted.
#[derive(Clone)]
pub(super) struct Tls(Option<TlsConnector>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(super) fn try_new(config: &Config) -> Result<Self> {
        if config.tls == config::Tls::Off || config.is_socket() {
            return Ok(Self(None));
        }
        crate::tls::connector(config.tls_ca.as_deref()).map(|connector| Self(Some(connector)))
    }
}

/// Opens a socket to the server, encrypted as the config wishes.
pub(super) async fn connect(config: &Config, tls: &Tls) -> Result<Box<dyn Socket>> {
    let place = format!("{}:{}", config.host, config.port);
    let unreachable = |error: io::Error| {
        Error::new(ErrorCode::SourceUnavailable, format!("{place} cannot be reached"))
            .with_detail(error.to_string())
            .with_hint("See that the server runs there and that `host` and `port` are right.")
            .retryable()
    };
    if config.is_socket() {
        return unix(config).await.map_err(unreachable);
    }
    let mut socket = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(unreachable)?;
    // Requests are small and wait for their answer.
    socket.set_nodelay(true).map_err(unreachable)?;
    let Some(connector) = &tls.0 else { return Ok(Box::new(socket)) };
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(unreachable)?;
    // One byte, read alone: what followed it in the clear before the encryption begins would be an attack.
    let answer = socket.read_u8().await.map_err(unreachable)?;
    if answer != b'S' {
        return Err(Error::new(ErrorCode::SourceUnavailable, format!("{place} does not offer TLS"))
            .with_hint("Turn TLS on in the server, or set `tls = \"off\"` where the network between is trusted."));
    }
    let untrusted = |detail: String| {
        Error::new(ErrorCode::SourceUnavailable, format!("the certificate of {place} is not trusted"))
            .with_detail(detail)
            .with_hint("Set `tls_ca` to the file of the certificate that signed it, and `host` to a name that it has.")
    };
    let name = ServerName::try_from(config.host.clone()).map_err(|error| untrusted(error.to_string()))?;
    let encrypted = connector.connect(name, socket).await;
    Ok(Box::new(encrypted.map_err(|error| untrusted(error.to_string()))?))
}

#[cfg(unix)]
async fn unix(config: &Config) -> io::Result<Box<dyn Socket>> {
    let path = format!("{}/.s.PGSQL.{}", config.host, config.port);
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_: &Config) -> io::Result<Box<dyn Socket>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
}
