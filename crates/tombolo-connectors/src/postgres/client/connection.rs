use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{DataRowBody, Field, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tombolo_connector::{Error, ErrorCode, Result};

use super::failure::{broken, failure, unexpected};
use super::socket::{Socket, Tls, connect};
use crate::postgres::config::Config;

/// A row of text, as metadata is read.
pub(in crate::postgres) type Row = Vec<Option<String>>;

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 256 * 1024;

/// The longest message that is read. PostgreSQL's rows end at a gigabyte.
const MAX_MESSAGE_BYTES: usize = (1 << 30) + 1024;

/// What is said in the text that a connection is about.
const APPLICATION_NAME: &str = "tombolo";

/// One connection: its socket, and what was read from it and not used yet.
///
/// Protocol: chapter "Frontend/Backend Protocol" of PostgreSQL's documentation, version 3.0.
pub(in crate::postgres) struct Connection {
    socket: Box<dyn Socket>,
    incoming: BytesMut,
    process_id: i32,
    secret_key: i32,
    /// Queries that were sent and whose end was not read yet.
    pending: usize,
    /// Whether the last query ended outside a transaction.
    is_settled: bool,
    /// Whether the connection ended or is out of step.
    is_broken: bool,
}

/// A column of what a statement gives. Domains are told as what they are of.
#[derive(Debug)]
pub(in crate::postgres) struct OutputColumn {
    pub(in crate::postgres) name: String,
    /// The number of its type.
    pub(in crate::postgres) oid: u32,
    pub(in crate::postgres) modifier: i32,
}

/// What a server sends while it copies rows out.
pub(in crate::postgres) enum Frame {
    /// A row, as so many bytes at the begin of what is buffered; see [`Connection::buffered`].
    Data(usize),
    /// Anything else.
    Other(Box<Message>),
}

impl Connection {
    /// Connects and signs in.
    pub(super) async fn open(config: &Config, tls: &Tls) -> Result<Self> {
        let mut connection = Self {
            socket: connect(config, tls).await?,
            incoming: BytesMut::with_capacity(READ_BYTES),
            process_id: 0,
            secret_key: 0,
            pending: 0,
            is_settled: true,
            is_broken: false,
        };
        let mut outgoing = BytesMut::new();
        let parameters = [
            ("user", config.user.as_str()),
            ("database", config.database.as_str()),
            ("client_encoding", "UTF8"),
            ("application_name", APPLICATION_NAME),
        ];
        frontend::startup_message(parameters, &mut outgoing).map_err(broken)?;
        connection.write(&outgoing).await?;
        connection.authenticate(config).await?;
        loop {
            match connection.message().await? {
                Message::BackendKeyData(body) => {
                    (connection.process_id, connection.secret_key) = (body.process_id(), body.secret_key());
                }
                Message::ReadyForQuery(_) => return Ok(connection),
                Message::ErrorResponse(body) => return Err(failure(&body)),
                _ => return unexpected("a message"),
            }
        }
    }

    async fn authenticate(&mut self, config: &Config) -> Result<()> {
        let password = || {
            config.password.as_ref().map(|password| password.expose().as_bytes()).ok_or_else(|| {
                Error::new(
                    ErrorCode::AuthenticationFailed,
                    format!("the server wants a password of user `{}`", config.user),
                )
                .with_hint("Set `password`, or the environment variable that `password_env` names.")
            })
        };
        let mut outgoing = BytesMut::new();
        loop {
            outgoing.clear();
            match self.message().await? {
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(password()?, &mut outgoing).map_err(broken)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(config.user.as_bytes(), password()?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut outgoing).map_err(broken)?;
                }
                Message::AuthenticationSasl(body) => {
                    let offered: Vec<&str> = body.mechanisms().collect().map_err(broken)?;
                    if !offered.contains(&SCRAM_SHA_256) {
                        return Err(Self::cannot_sign_in(&offered.join(", ")));
                    }
                    self.scram(password()?).await?;
                    continue;
                }
                Message::ErrorResponse(body) => return Err(failure(&body)),
                Message::AuthenticationGss | Message::AuthenticationKerberosV5 => {
                    return Err(Self::cannot_sign_in("Kerberos"));
                }
                _ => return Err(Self::cannot_sign_in("another way")),
            }
            self.write(&outgoing).await?;
        }
    }

    fn cannot_sign_in(how: &str) -> Error {
        Error::new(ErrorCode::AuthenticationFailed, format!("the server wants to be signed in to by {how}"))
            .with_hint("Tombolo signs in by scram-sha-256, md5 or password: see pg_hba.conf.")
    }

    async fn scram(&mut self, password: &[u8]) -> Result<()> {
        let refused = |error: io::Error| {
            Error::new(ErrorCode::AuthenticationFailed, "the server's proof that it knows the password is wrong")
                .with_detail(error.to_string())
        };
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        let mut outgoing = BytesMut::new();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut outgoing).map_err(broken)?;
        self.write(&outgoing).await?;
        match self.message().await? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data()).map_err(refused)?,
            Message::ErrorResponse(body) => return Err(failure(&body)),
            _ => return unexpected("a message"),
        }
        outgoing.clear();
        frontend::sasl_response(scram.message(), &mut outgoing).map_err(broken)?;
        self.write(&outgoing).await?;
        match self.message().await? {
            Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(refused),
            Message::ErrorResponse(body) => Err(failure(&body)),
            _ => unexpected("a message"),
        }
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

    /// Sends statements, each with an end of its own, without waiting for any answer.
    pub(in crate::postgres) async fn send(&mut self, statements: &[&str]) -> Result<()> {
        let mut outgoing = BytesMut::new();
        for statement in statements {
            frontend::query(statement, &mut outgoing)
                .map_err(|error| Error::internal("a statement cannot be sent").with_detail(error.to_string()))?;
        }
        self.pending += statements.len();
        self.write(&outgoing).await
    }

    /// Runs statements and gives the rows of all of them, as text. After an error the rest is read to its end.
    pub(in crate::postgres) async fn query(&mut self, statements: &[&str]) -> Result<Vec<Row>> {
        self.send(statements).await?;
        let (mut rows, mut error) = (Vec::new(), None);
        loop {
            match self.message().await? {
                Message::DataRow(body) => rows.push(text_row(&body)?),
                Message::ErrorResponse(body) => error = error.or(Some(failure(&body))),
                Message::ReadyForQuery(_) if self.pending == 0 => return error.map_or(Ok(rows), Err),
                Message::ReadyForQuery(_) => {}
                Message::RowDescription(_) | Message::CommandComplete(_) | Message::EmptyQueryResponse => {}
                _ => return unexpected("a message"),
            }
        }
    }

    /// What a statement gives, without running it. Text of more than one statement is an error of the server's.
    pub(in crate::postgres) async fn describe(&mut self, statement: &str) -> Result<Vec<OutputColumn>> {
        let mut outgoing = BytesMut::new();
        let written = frontend::parse("", statement, [], &mut outgoing)
            .and_then(|()| frontend::describe(b'S', "", &mut outgoing))
            .map(|()| frontend::sync(&mut outgoing));
        written.map_err(|error| {
            Error::new(ErrorCode::SyntaxError, "the text cannot be sent to PostgreSQL").with_detail(error.to_string())
        })?;
        self.pending += 1;
        self.write(&outgoing).await?;
        let (mut columns, mut parameters, mut error) = (Vec::new(), 0, None);
        loop {
            match self.message().await? {
                Message::ParseComplete | Message::NoData => {}
                Message::ParameterDescription(body) => parameters = body.parameters().count().map_err(broken)?,
                Message::RowDescription(body) => {
                    let column = |field: Field<'_>| {
                        let (name, oid, modifier) = (field.name().to_owned(), field.type_oid(), field.type_modifier());
                        Ok(OutputColumn { name, oid, modifier })
                    };
                    columns = body.fields().map(column).collect().map_err(broken)?;
                }
                Message::ErrorResponse(body) => error = error.or(Some(failure(&body))),
                Message::ReadyForQuery(_) if parameters > 0 => {
                    return Err(Error::new(ErrorCode::SyntaxError, "the text has parameters, such as $1"));
                }
                Message::ReadyForQuery(_) => return error.map_or(Ok(columns), Err),
                _ => return unexpected("a message"),
            }
        }
    }

    /// The next message that is not said by the way.
    pub(in crate::postgres) async fn message(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.buffered_message()? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// The next frame of what is buffered; `None` where more must be read.
    pub(in crate::postgres) fn frame(&mut self) -> Result<Option<Frame>> {
        let Some(&[tag, a, b, c, d]) = self.incoming.first_chunk::<5>() else { return Ok(None) };
        if tag != b'd' {
            return Ok(self.buffered_message()?.map(|message| Frame::Other(Box::new(message))));
        }
        // The length counts itself and not the tag.
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
            self.is_broken = true;
            return unexpected("a row of an impossible length");
        }
        if self.incoming.len() < length + 1 {
            self.incoming.reserve(length + 1 - self.incoming.len());
            return Ok(None);
        }
        self.incoming.advance(5);
        Ok(Some(Frame::Data(length - 4)))
    }

    /// What was read and not used.
    pub(in crate::postgres) fn buffered(&self) -> &[u8] {
        &self.incoming
    }

    /// Passes over so many bytes of what is buffered.
    pub(in crate::postgres) fn consume(&mut self, bytes: usize) {
        self.incoming.advance(bytes);
    }

    fn buffered_message(&mut self) -> Result<Option<Message>> {
        loop {
            let parsed = Message::parse(&mut self.incoming).map_err(|error| {
                self.is_broken = true;
                broken(error)
            })?;
            match parsed {
                Some(Message::ParameterStatus(_) | Message::NoticeResponse(_) | Message::NotificationResponse(_)) => {}
                Some(Message::ReadyForQuery(body)) => {
                    self.pending = self.pending.saturating_sub(1);
                    self.is_settled = body.status() == b'I';
                    return Ok(Some(Message::ReadyForQuery(body)));
                }
                other => return Ok(other),
            }
        }
    }

    /// Reads more from the socket.
    pub(in crate::postgres) async fn fill(&mut self) -> Result<()> {
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

    /// Asks the server, over a connection of its own, to stop what this one is at; and closes this one.
    pub(super) async fn cancel(self, config: &Config, tls: &Tls) -> Result<()> {
        let mut socket = connect(config, tls).await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        let asked = async {
            socket.write_all(&request).await?;
            socket.flush().await?;
            // The server closes when it has taken the request in.
            let mut nothing = [0; 1];
            socket.read(&mut nothing).await.map(|_| ())
        };
        asked.await.map_err(broken)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// A row of text that a query gives.
///
/// # Errors
/// Where it is not in the form that it should have.
pub(in crate::postgres) fn text_row(body: &DataRowBody) -> Result<Row> {
    let invalid = |error: std::str::Utf8Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let value = |range: std::ops::Range<usize>| {
        let bytes = body.buffer().get(range).unwrap_or_default();
        std::str::from_utf8(bytes).map(str::to_owned).map_err(invalid)
    };
    body.ranges().map(|range| range.map(value).transpose()).collect().map_err(broken)
}
