use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorResponseBody;
use tombolo_connector::{Error, ErrorCode, Result};

/// An error as the server says it.
#[derive(Debug, Default)]
struct Said {
    code: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

/// Turns what the server says into an error with a code of ours. Codes: Appendix A of PostgreSQL's documentation.
pub(in crate::postgres) fn failure(body: &ErrorResponseBody) -> Error {
    let said = match said(body) {
        Ok(said) => said,
        Err(error) => return broken(error),
    };
    let class = said.code.get(..2).unwrap_or_default();
    let (code, is_retryable) = match (class, said.code.as_str()) {
        (_, "57P01" | "57P02" | "57P03" | "57P05") | ("08", _) => (ErrorCode::SourceUnavailable, true),
        ("28", _) => (ErrorCode::AuthenticationFailed, false),
        (_, "3D000") => (ErrorCode::SourceUnavailable, false),
        (_, "42501") => (ErrorCode::PermissionDenied, false),
        // A statement is made of what the server itself has described, so that has changed since.
        (_, "42P01" | "42703" | "42883" | "42704" | "42804") => (ErrorCode::SchemaChanged, true),
        (_, "53300" | "55P03" | "55006") => (ErrorCode::SourceBusy, true),
        (_, "57014") if said.message.contains("statement timeout") => (ErrorCode::Timeout, false),
        // A limit of the server's own for a whole transaction, since version 17.
        (_, "25P04") => (ErrorCode::Timeout, false),
        (_, "25P03") => (ErrorCode::SourceUnavailable, true),
        ("22", _) => (ErrorCode::ComputationFailed, false),
        ("40", _) => (ErrorCode::SourceFailed, true),
        (_, "XX001" | "XX002") => (ErrorCode::CorruptData, false),
        _ => (ErrorCode::SourceFailed, false),
    };
    let mut error = Error::new(code, said.message);
    let detail = [said.detail, Some(format!("SQLSTATE {}", said.code))].into_iter().flatten().collect::<Vec<_>>();
    error = error.with_detail(detail.join("; "));
    let hint = match code {
        ErrorCode::AuthenticationFailed => {
            Some("Set `user` and `password`, and see what pg_hba.conf allows.".to_owned())
        }
        ErrorCode::PermissionDenied => Some("Grant the user SELECT on the table, and USAGE on its schema.".to_owned()),
        ErrorCode::SchemaChanged => Some("Run the query again.".to_owned()),
        ErrorCode::SourceBusy => Some("Try again, or lower `max_connections`.".to_owned()),
        ErrorCode::Timeout => {
            Some("Raise the limit with --timeout, or the one that the server sets for the user.".to_owned())
        }
        ErrorCode::SourceUnavailable if said.code == "3D000" => Some("Set `database` to one that there is.".to_owned()),
        ErrorCode::SourceUnavailable => Some("Try again when the server is up.".to_owned()),
        _ => said.hint,
    };
    if let Some(hint) = hint {
        error = error.with_hint(hint);
    }
    if is_retryable { error.retryable() } else { error }
}

fn said(body: &ErrorResponseBody) -> io::Result<Said> {
    let mut said = Said::default();
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => said.code = value,
            b'M' => said.message = value,
            b'D' => said.detail = Some(value),
            b'H' => said.hint = Some(value),
            _ => {}
        }
    }
    Ok(said)
}

/// The error for a connection that ended or said something that cannot be.
pub(super) fn broken(error: io::Error) -> Error {
    Error::new(ErrorCode::SourceUnavailable, "the connection to the server was lost")
        .with_detail(error.to_string())
        .with_hint("Run the query again.")
        .retryable()
}

/// The error for a message that does not belong here.
pub(super) fn unexpected<T>(what: &str) -> Result<T> {
    Err(broken(io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what} where it does not belong"))))
}
