//! As much of a driver as it takes to load tables and to read a log: other code than the connector's.

use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that runs statements in text.
#[derive(Debug)]
pub(super) struct Driver(TcpStream);

/// Where a server is, and who signs in.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
}

impl Driver {
    pub(super) async fn connect(server: &Server) -> Result<Self, String> {
        let socket =
            TcpStream::connect((server.host.as_str(), server.port)).await.map_err(|error| error.to_string())?;
        let mut driver = Self(socket);
        let greeting = driver.read().await?.1;
        // Version, connection and the nonce in two parts; see the connector for the whole of it.
        let after_version = 1 + greeting[1..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let nonce =
            [&greeting[after_version + 4..after_version + 12], &greeting[after_version + 31..after_version + 43]];
        let once = Sha1::digest(&server.password);
        let mixed = Sha1::new().chain_update(nonce.concat()).chain_update(Sha1::digest(once)).finalize();
        let proof: Vec<u8> = once.iter().zip(mixed.iter()).map(|(a, b)| a ^ b).collect();
        // Long passwords, protocol 4.1, secure connections, several results, plug-ins.
        let capabilities: u32 = 1 | 1 << 9 | 1 << 15 | 1 << 17 | 1 << 19;
        let mut response = Vec::new();
        response.extend(capabilities.to_le_bytes());
        response.extend((1_u32 << 24).to_le_bytes());
        response.push(45);
        response.extend([0; 23]);
        response.extend(server.user.bytes().chain([0, 20]));
        response.extend(proof);
        response.extend(b"mysql_native_password\0");
        driver.write(1, &response).await?;
        match driver.read().await?.1.as_slice() {
            [0, ..] => Ok(driver),
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
