use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tombolo_connector::{Error, ErrorCode, Result};

use super::connection::Connection;
use super::failure::{broken, failure, unexpected};
use super::packet::{Reader, is_error};
use super::socket::{Tls, connect, encrypt};
use crate::mysql::config::Config;

/// What is asked of the server; `include/mysql_com.h` in MySQL's sources.
mod capability {
    pub(super) const LONG_PASSWORD: u32 = 1;
    pub(super) const LONG_FLAG: u32 = 1 << 2;
    pub(super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(super) const PROTOCOL_41: u32 = 1 << 9;
    pub(super) const SSL: u32 = 1 << 11;
    pub(super) const TRANSACTIONS: u32 = 1 << 13;
    pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(super) const MULTI_STATEMENTS: u32 = 1 << 16;
    pub(super) const MULTI_RESULTS: u32 = 1 << 17;
    pub(super) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(super) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(super) const CONNECT_ATTRS: u32 = 1 << 20;
}

/// utf8mb4_general_ci, which every server knows.
const CHARACTER_SET: u8 = 45;

/// The longest packet that is sent in one piece.
const MAX_PACKET: u32 = 1 << 24;

/// `ER_SECURE_TRANSPORT_REQUIRED`, of a server with `require_secure_transport`.
const SECURE_TRANSPORT_REQUIRED: u16 = 3159;

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

/// What the server says first; `Protocol::HandshakeV10`.
struct Greeting {
    version: String,
    connection_id: u32,
    capabilities: u32,
    plugin: String,
    nonce: Vec<u8>,
}

impl Greeting {
    fn read(packet: &[u8]) -> Result<Self> {
        if is_error(packet) {
            return Err(failure(packet));
        }
        let mut reader = Reader(packet);
        let protocol = reader.u8()?;
        if protocol != 10 {
            return unexpected(&format!("version {protocol} of the protocol"));
        }
        let version = String::from_utf8_lossy(reader.until_zero()).into_owned();
        let connection_id = reader.u32()?;
        let mut nonce = reader.bytes(8)?.to_vec();
        reader.u8()?;
        let low = reader.u16()?;
        // The character set and the status.
        reader.bytes(3)?;
        let high = reader.u16()?;
        let length = usize::from(reader.u8()?);
        reader.bytes(10)?;
        // The rest of the nonce, a zero behind it.
        let rest = reader.bytes(length.saturating_sub(8).max(13).min(reader.0.len()))?;
        nonce.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        let plugin = String::from_utf8_lossy(reader.until_zero()).into_owned();
        let capabilities = u32::from(low) | u32::from(high) << 16;
        Ok(Self { version, connection_id, capabilities, plugin, nonce })
    }

    fn offers(&self, capability: u32) -> bool {
        self.capabilities & capability != 0
    }
}

/// Why the server did not let the user in.
enum Refusal {
    /// It wants what a plain connection is not for, and it has TLS.
    Plain(Error),
    Other(Error),
}

impl Refusal {
    fn error(self) -> Error {
        match self {
            Self::Plain(error) | Self::Other(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Connects and signs in.
pub(super) async fn open(config: &Config, tls: &Tls) -> Result<Connection> {
    let verified = match tls {
        Tls::Verified(connector) => Some(connector),
        Tls::Off | Tls::OnDemand(_) => None,
    };
    match (sign_in(config, verified).await, tls) {
        (Ok(connection), _) => Ok(connection),
        (Err(Refusal::Plain(_)), Tls::OnDemand(connector)) => {
            sign_in(config, Some(connector)).await.map_err(Refusal::error)
        }
        (Err(refusal), _) => Err(refusal.error()),
    }
}

async fn sign_in(config: &Config, connector: Option<&TlsConnector>) -> std::result::Result<Connection, Refusal> {
    let mut socket = connect(config).await?;
    // Read to its end and no further: what followed it in the clear before the encryption begins would be an attack.
    let mut header = [0; 4];
    socket.read_exact(&mut header).await.map_err(broken)?;
    let [a, b, c, sequence] = header;
    let mut packet = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    socket.read_exact(&mut packet).await.map_err(broken)?;
    let greeting = Greeting::read(&packet)?;
    if !greeting.offers(capability::PROTOCOL_41) || !greeting.offers(capability::PLUGIN_AUTH) {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("the server's version {} is too old", greeting.version),
        )
        .with_hint("Tombolo reads MySQL from 5.7 and MariaDB from 10.2 on.")
        .into());
    }
    let has_tls = greeting.offers(capability::SSL);
    if connector.is_some() && !has_tls {
        let place = format!("{}:{}", config.host, config.port);
        return Err(Error::new(ErrorCode::SourceUnavailable, format!("{place} does not offer TLS"))
            .with_hint("Turn TLS on in the server, or set `tls = \"off\"` where the network between is trusted.")
            .into());
    }
    let mut capabilities = capability::LONG_PASSWORD
        | capability::LONG_FLAG
        | capability::PROTOCOL_41
        | capability::TRANSACTIONS
        | capability::SECURE_CONNECTION
        | capability::MULTI_STATEMENTS
        | capability::MULTI_RESULTS
        | capability::PS_MULTI_RESULTS
        | capability::PLUGIN_AUTH
        | (greeting.capabilities & capability::CONNECT_ATTRS);
    if connector.is_some() {
        capabilities |= capability::SSL;
    }
    if config.database.is_some() {
        capabilities |= capability::CONNECT_WITH_DB;
    }
    let mut head = Vec::with_capacity(32);
    head.extend_from_slice(&capabilities.to_le_bytes());
    head.extend_from_slice(&MAX_PACKET.to_le_bytes());
    head.push(CHARACTER_SET);
    head.extend_from_slice(&[0; 23]);
    let mut connection = Connection::new(socket, &greeting.version, greeting.connection_id, sequence.wrapping_add(1));
    if let Some(connector) = connector {
        connection.write_packet(&head).await?;
        connection = connection.encrypted(|socket| encrypt(socket, connector, config)).await?;
    }
    let is_private = connector.is_some() || config.is_socket();
    let proof = prove(config, &greeting.plugin, &greeting.nonce, is_private);
    // Where the server's first choice is not one of ours, it may still choose another for this user.
    let (plugin, proof) = match proof {
        Ok(proof) => (greeting.plugin.as_str(), proof),
        Err(_) => (NATIVE, prove(config, NATIVE, &greeting.nonce, is_private)?),
    };
    let mut response = head;
    response.extend_from_slice(config.user.as_bytes());
    response.push(0);
    response.push(u8::try_from(proof.len()).map_err(|_| Error::internal("a proof is too long"))?);
    response.extend_from_slice(&proof);
    if let Some(database) = &config.database {
        response.extend_from_slice(database.as_bytes());
        response.push(0);
    }
    response.extend_from_slice(plugin.as_bytes());
    response.push(0);
    if capabilities & capability::CONNECT_ATTRS != 0 {
        response.extend_from_slice(b"\x15\x0cprogram_name\x07tombolo");
    }
    connection.write_packet(&response).await?;
    authenticate(&mut connection, config, plugin.to_owned(), is_private).await.map_err(|refusal| match refusal {
        Refusal::Plain(error) if !has_tls => Refusal::Other(error),
        refusal => refusal,
    })?;
    connection.set_up().await?;
    Ok(connection)
}

/// Answers the server until it lets the user in.
async fn authenticate(
    connection: &mut Connection,
    config: &Config,
    mut plugin: String,
    is_private: bool,
) -> std::result::Result<(), Refusal> {
    loop {
        let packet = connection.packet().await?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, [low, high, ..])) if u16::from_le_bytes([*low, *high]) == SECURE_TRANSPORT_REQUIRED => {
                return Err(Refusal::Plain(failure(&packet)));
            }
            Some((0xff, _)) => return Err(failure(&packet).into()),
            // Another way to sign in.
            Some((0xfe, rest)) => {
                let mut reader = Reader(rest);
                plugin = String::from_utf8_lossy(reader.until_zero()).into_owned();
                let nonce = reader.0.strip_suffix(&[0]).unwrap_or(reader.0);
                let proof = prove(config, &plugin, nonce, is_private)?;
                connection.write_packet(&proof).await?;
            }
            // The server knows the user from earlier.
            Some((0x01, [3])) if plugin == CACHING => {}
            Some((0x01, [4])) if plugin == CACHING => {
                let password = config.password.as_ref().map_or("", |password| password.expose());
                if !is_private {
                    let error = Error::new(
                        ErrorCode::AuthenticationFailed,
                        "the server wants the password itself, and the connection is not encrypted",
                    );
                    return Err(Refusal::Plain(error.with_hint(
                        "Set `tls = \"verify\"`, with `tls_ca` where the server's certificate is its own.",
                    )));
                }
                let mut clear = password.as_bytes().to_vec();
                clear.push(0);
                connection.write_packet(&clear).await?;
            }
            _ => return Ok(unexpected("a message")?),
        }
    }
}

/// The proof that the password is known, in one of the server's ways.
fn prove(config: &Config, plugin: &str, nonce: &[u8], is_private: bool) -> Result<Vec<u8>> {
    let password = config.password.as_ref().map_or("", |password| password.expose()).as_bytes();
    match plugin {
        NATIVE | CACHING if password.is_empty() => Ok(Vec::new()),
        NATIVE => {
            // SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))
            let once = Sha1::digest(password);
            let twice = Sha1::digest(once);
            let mixed = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
            Ok(once.iter().zip(mixed.iter()).map(|(a, b)| a ^ b).collect())
        }
        CACHING => {
            // SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)
            let once = Sha256::digest(password);
            let twice = Sha256::digest(once);
            let mixed = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
            Ok(once.iter().zip(mixed.iter()).map(|(a, b)| a ^ b).collect())
        }
        "mysql_clear_password" if is_private => {
            let mut clear = password.to_vec();
            clear.push(0);
            Ok(clear)
        }
        other => {
            Err(Error::new(ErrorCode::AuthenticationFailed, format!("the server wants to be signed in to by {other}"))
                .with_hint("Tombolo signs in by mysql_native_password and caching_sha2_password."))
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_connector::Options;

    use super::prove;
    use crate::mysql::config::Config;

    #[test]
    fn a_proof_is_what_the_protocol_says() {
        let config = Config::try_new(&Options::default().with("password", "secret")).unwrap();
        let nonce: Vec<u8> = (1..=20).collect();
        // Computed with Python's hashlib by the formulas in MySQL's documentation.
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(prove(&config, "mysql_native_password", &nonce, false).unwrap()), NATIVE_PROOF);
        assert_eq!(hex(prove(&config, "caching_sha2_password", &nonce, false).unwrap()), CACHING_PROOF);
        let error = prove(&config, "mysql_clear_password", &nonce, false).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"));
    }

    const NATIVE_PROOF: &str = "b32bb3a583e1340c0a1108d58b1be49781ad8c2f";
    const CACHING_PROOF: &str = "746ebe205d56a0707acb3e796e834e0dd7b1d61743b26bd5202c7a623230c7c9";
}
