use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tombolo_connector::{Error, ErrorCode, Result};

use super::failure::{broken, failure, unexpected};
use super::packet::{ColumnDefinition, Reader, Status, is_eof, is_error};
use super::signin;
use super::socket::{Socket, Tls};
use crate::mysql::config::Config;

/// A row of text, as metadata is read.
pub(in crate::mysql) type Row = Vec<Option<String>>;

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 256 * 1024;

/// A packet of so many bytes is followed by another of the same message.
const WHOLE_PACKET: usize = 0xff_ffff;

/// The longest message that is read: values end at a gigabyte in MySQL.
const MAX_MESSAGE_BYTES: usize = (1 << 30) + (1 << 20);

/// What is set for as long as a connection lasts: text in one form, and SQL that means what the standard says. Sorting looks
/// at so many bytes of a text; see [`crate::mysql::native::MAX_SORTED_BYTES`]. A reader that is slow is not a reader that is
/// gone. MariaDB's cache of sub-queries takes texts that its collation holds to be equal for one text, though the sub-query
/// tells them apart; MySQL has none, and passes over what stands in a comment for MariaDB. Nor does MariaDB join by hashing
/// unless it is told to, and compares each row with each where no index serves. Where one does, it still is the better choice as a
/// rule: whole tables joined through an index that is larger than the server's buffers took fifteen times as long, while the few
/// rows of a condition that the server thinks to be many took a fourth. For statements of which an index is expected to find what they
/// take in less time, it is told not to.
///
/// MySQL from 8.0 on keeps statistics for a day, so that a table that has just been filled would seem to be empty; MariaDB
/// passes over comments for that one.
const SETTINGS: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00', \
                        sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', max_sort_length = 8192, \
                        sort_buffer_size = 2097152, group_concat_max_len = 16777216, net_write_timeout = 3600, \
                        autocommit = 1 /*M!, optimizer_switch = 'subquery_cache=off', join_cache_level = 4, \
                        join_buffer_size = 4194304, join_buffer_space_limit = 16777216 */ \
                        /*!80000 , information_schema_stats_expiry = 0 */; \
                        SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/// Something to ask of a server.
#[derive(Debug, Clone, Copy)]
pub(in crate::mysql) enum Command<'a> {
    /// Runs statements; answers come as text.
    Query(&'a str),
    /// Prepares a statement.
    Prepare(&'a str),
    /// Runs a prepared statement; rows come in binary.
    Execute(u32),
    /// Forgets a prepared statement. There is no answer.
    Close(u32),
}

/// In place of a statement's number, the one that was prepared last. MariaDB from 10.2 on: "COM_STMT_EXECUTE".
pub(in crate::mysql) const LAST_PREPARED: u32 = u32::MAX;

/// One connection: its socket, and what was read from it and not used yet.
pub(in crate::mysql) struct Connection {
    socket: Box<dyn Socket>,
    incoming: BytesMut,
    /// A message that came in several packets, as far as it has come.
    joined: BytesMut,
    id: u32,
    is_mariadb: bool,
    /// The longest that the server lets a statement of this user run, in milliseconds; none where it sets no limit.
    limit_ms: Option<u64>,
    /// The number of the next packet while signing in.
    sequence: u8,
    /// Whether the user is in, and the server waits for commands.
    is_open: bool,
    /// Commands that were sent and whose answer was not read to its end yet.
    pending: usize,
    /// Whether the last command ended outside a transaction.
    is_settled: bool,
    /// Whether the connection ended or is out of step.
    is_broken: bool,
}

/// A whole message at the begin of what was read; see [`Connection::payload`].
#[derive(Debug, Clone, Copy)]
pub(in crate::mysql) struct Frame {
    length: usize,
    is_joined: bool,
}

impl Connection {
    pub(super) fn new(socket: Box<dyn Socket>, version: &str, id: u32, sequence: u8) -> Self {
        Self {
            socket,
            incoming: BytesMut::with_capacity(READ_BYTES),
            joined: BytesMut::new(),
            id,
            is_mariadb: version.contains("MariaDB"),
            limit_ms: None,
            sequence,
            is_open: false,
            pending: 0,
            is_settled: true,
            is_broken: false,
        }
    }

    /// Connects and signs in.
    pub(super) async fn open(config: &Config, tls: &Tls) -> Result<Self> {
        signin::open(config, tls).await
    }

    /// Goes on over another socket.
    pub(super) async fn encrypted<F>(mut self, encrypt: impl FnOnce(Box<dyn Socket>) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Box<dyn Socket>>>,
    {
        let plain = mem::replace(&mut self.socket, Box::new(tokio::io::empty()));
        self.socket = encrypt(plain).await?;
        Ok(self)
    }

    pub(super) async fn set_up(&mut self) -> Result<()> {
        self.is_open = true;
        let limit = if self.is_mariadb { "1000 * @@max_statement_time" } else { "@@max_execution_time" };
        let rows = self.query(&format!("{SETTINGS}; SELECT {limit}")).await?;
        let limit = rows.last().and_then(|row| row.first()?.as_ref()?.parse::<f64>().ok());
        self.limit_ms = limit.filter(|limit| *limit > 0.0).map(|limit| limit.ceil() as u64);
        Ok(())
    }

    /// What lets statements run so many milliseconds, at least one and no longer than the server lets this user anyway; and what
    /// lets the connection's next ones run as long as the first.
    pub(in crate::mysql) fn time_limit(&self, most_ms: u64) -> (String, String) {
        let most_ms = most_ms.min(self.limit_ms.unwrap_or(u64::MAX)).clamp(1, u64::from(u32::MAX));
        // 0 is without a limit. MariaDB counts seconds, with six digits after the point.
        let set = |limit_ms: u64| {
            if self.is_mariadb {
                format!("SET max_statement_time = {}.{:03}", limit_ms / 1_000, limit_ms % 1_000)
            } else {
                format!("SET max_execution_time = {limit_ms}")
            }
        };
        (set(most_ms), set(self.limit_ms.unwrap_or(0)))
    }

    /// Whether the server is MariaDB.
    pub(in crate::mysql) fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// Whether it can be lent to another query.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_broken && self.pending == 0 && self.is_settled && self.incoming.is_empty()
    }

    /// Whether the server may still be at work for it.
    pub(super) fn is_at_work(&self) -> bool {
        !self.is_broken && self.pending > 0
    }

    /// Whether an idle connection is still open: a server that has closed it has sent the end, or a farewell before it.
    pub(super) fn is_alive(&mut self) -> bool {
        let mut bytes = [0; 1];
        let mut space = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        matches!(Pin::new(&mut self.socket).poll_read(&mut context, &mut space), Poll::Pending)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.socket.write_all(bytes).await?;
            self.socket.flush().await
        };
        written.await.map_err(|error| {
            self.is_broken = true;
            broken(error)
        })
    }

    /// Sends a packet while signing in, where packets of both sides are counted together.
    pub(super) async fn write_packet(&mut self, payload: &[u8]) -> Result<()> {
        let mut outgoing = Vec::with_capacity(payload.len() + 4);
        frame(&mut outgoing, self.sequence, &[payload]);
        self.sequence = self.sequence.wrapping_add(1);
        self.write(&outgoing).await
    }

    /// Sends commands without waiting for any answer. The server takes them one after another.
    pub(in crate::mysql) async fn send(&mut self, commands: &[Command<'_>]) -> Result<()> {
        let mut outgoing = Vec::new();
        for command in commands {
            match command {
                Command::Query(text) => frame(&mut outgoing, 0, &[&[0x03], text.as_bytes()]),
                Command::Prepare(text) => frame(&mut outgoing, 0, &[&[0x16], text.as_bytes()]),
                // No cursor, and one iteration.
                Command::Execute(id) => frame(&mut outgoing, 0, &[&[0x17], &id.to_le_bytes(), &[0, 1, 0, 0, 0]]),
                Command::Close(id) => frame(&mut outgoing, 0, &[&[0x19], &id.to_le_bytes()]),
            }
            self.pending += usize::from(!matches!(command, Command::Close(_)));
        }
        self.write(&outgoing).await
    }

    /// Notes that the answer to a command was read to its end.
    pub(in crate::mysql) fn ended(&mut self, status: Option<Status>) {
        self.pending = self.pending.saturating_sub(1);
        // After an error nobody says whether the transaction goes on.
        self.is_settled = status.is_some_and(|status| !status.is_in_transaction());
    }

    /// Runs statements and gives the rows of all of them, as text. The server stops at the first error.
    pub(in crate::mysql) async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.send(&[Command::Query(sql)]).await?;
        let mut rows = Vec::new();
        loop {
            let packet = self.packet().await?;
            let status = match packet.first() {
                Some(0xff) => {
                    self.ended(None);
                    return Err(failure(&packet));
                }
                Some(0x00) => Status::of_ok(&packet)?,
                _ => self.text_rows(&packet, &mut rows).await?,
            };
            if !status.has_more() {
                self.ended(Some(status));
                return Ok(rows);
            }
        }
    }

    /// What a statement gives, without running it. Text of more than one statement is an error of the server's.
    pub(super) async fn describe(&mut self, statement: &str) -> Result<Vec<ColumnDefinition>> {
        self.send(&[Command::Prepare(statement)]).await?;
        let packet = self.packet().await?;
        if is_error(&packet) {
            self.ended(None);
            return Err(failure(&packet));
        }
        let mut reader = Reader(&packet);
        reader.u8()?;
        let (id, columns, parameters) = (reader.u32()?, reader.u16()?, reader.u16()?);
        self.definitions(u64::from(parameters)).await?;
        let columns = self.definitions(u64::from(columns)).await?;
        self.pending = self.pending.saturating_sub(1);
        self.send(&[Command::Close(id)]).await?;
        if parameters > 0 {
            return Err(Error::new(ErrorCode::SyntaxError, "the text has parameters (?)"));
        }
        Ok(columns)
    }

    async fn text_rows(&mut self, head: &[u8], rows: &mut Vec<Row>) -> Result<Status> {
        let columns = self.columns(head).await?.len();
        loop {
            let packet = self.packet().await?;
            if is_eof(&packet) {
                return Status::of_eof(&packet);
            }
            if is_error(&packet) {
                self.ended(None);
                return Err(failure(&packet));
            }
            let mut reader = Reader(&packet);
            let value = |reader: &mut Reader<'_>| {
                let bytes = reader.optional_text()?;
                Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            };
            rows.push((0..columns).map(|_| value(&mut reader)).collect::<Result<Row>>()?);
        }
    }

    /// Reads the columns of a result, of which the first packet says how many there are.
    pub(in crate::mysql) async fn columns(&mut self, head: &[u8]) -> Result<Vec<ColumnDefinition>> {
        let Some(count) = Reader(head).length()? else { return unexpected("a request for a file") };
        self.definitions(count).await
    }

    /// Reads so many definitions of columns, and the mark behind them.
    pub(in crate::mysql) async fn definitions(&mut self, count: u64) -> Result<Vec<ColumnDefinition>> {
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(ColumnDefinition::read(&self.packet().await?)?);
        }
        if count > 0 && !is_eof(&self.packet().await?) {
            return unexpected("a column");
        }
        Ok(columns)
    }

    /// The next message, taken out.
    pub(in crate::mysql) async fn packet(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.frame()? {
                let packet = self.payload(frame).to_vec();
                self.consume(frame);
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// The next message of what was read; `None` where more must be read.
    pub(in crate::mysql) fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(&[a, b, c, sequence]) = self.incoming.first_chunk::<4>() else { return Ok(None) };
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if self.incoming.len() < length + 4 {
                self.incoming.reserve(length + 4 - self.incoming.len());
                return Ok(None);
            }
            self.sequence = sequence.wrapping_add(1);
            if length < WHOLE_PACKET && self.joined.is_empty() {
                return Ok(Some(Frame { length, is_joined: false }));
            }
            if self.joined.len() + length > MAX_MESSAGE_BYTES {
                self.is_broken = true;
                return unexpected("a message of an impossible length");
            }
            self.incoming.advance(4);
            let part = self.incoming.split_to(length);
            self.joined.unsplit(part);
            if length < WHOLE_PACKET {
                return Ok(Some(Frame { length: self.joined.len(), is_joined: true }));
            }
        }
    }

    /// The bytes of a message that was not taken yet.
    pub(in crate::mysql) fn payload(&self, frame: Frame) -> &[u8] {
        let bytes = if frame.is_joined { Some(&self.joined[..]) } else { self.incoming.get(4..4 + frame.length) };
        bytes.unwrap_or_default()
    }

    /// Takes a message.
    pub(in crate::mysql) fn consume(&mut self, frame: Frame) {
        if frame.is_joined {
            self.joined = BytesMut::new();
        } else {
            self.incoming.advance(4 + frame.length);
        }
    }

    /// Reads more from the socket.
    pub(in crate::mysql) async fn fill(&mut self) -> Result<()> {
        self.incoming.reserve(READ_BYTES);
        let read = self.socket.read_buf(&mut self.incoming).await;
        let read = read.and_then(|bytes| match bytes {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            bytes => Ok(bytes),
        });
        read.map(|_| ()).map_err(|error| {
            self.is_broken = true;
            broken(error)
        })
    }

    /// Asks the server, over a connection of its own, to stop what this one is at; and closes both.
    pub(super) async fn cancel(self, config: &Config, tls: &Tls) -> Result<()> {
        let mut other = Self::open(config, tls).await?;
        // While this connection is open, no other has its number.
        match other.query(&format!("KILL QUERY {}", self.id)).await {
            // The server has seen its end already.
            Err(error) if error.detail().is_some_and(|detail| detail.starts_with("error 1094")) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}

impl Drop for Connection {
    /// Takes its leave, or the server would write into its log that the connection was aborted.
    fn drop(&mut self) {
        if !self.is_open || self.is_broken || self.pending > 0 {
            return;
        }
        // So few bytes are taken at once. Where they are not, nobody waits for it.
        let mut outgoing = Vec::new();
        frame(&mut outgoing, 0, &[&[0x01]]);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(_)) = Pin::new(&mut *self.socket).poll_write(&mut context, &outgoing) {
            let _ = Pin::new(&mut *self.socket).poll_flush(&mut context);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Writes a message as packets: each with its length before it, and a last one that is not whole.
fn frame(outgoing: &mut Vec<u8>, mut sequence: u8, parts: &[&[u8]]) {
    let payload = parts.concat();
    let mut rest = payload.as_slice();
    loop {
        let (packet, after) = rest.split_at(rest.len().min(WHOLE_PACKET));
        let [a, b, c, _] = u32::try_from(packet.len()).unwrap_or_default().to_le_bytes();
        outgoing.extend_from_slice(&[a, b, c, sequence]);
        outgoing.extend_from_slice(packet);
        sequence = sequence.wrapping_add(1);
        if packet.len() < WHOLE_PACKET {
            return;
        }
        rest = after;
    }
}
