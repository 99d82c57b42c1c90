use std::io;

use tombolo_connector::{Error, ErrorCode, Result};

/// Turns an ERR packet into an error with a code of ours. Codes: "Server Error Message Reference" of MySQL's documentation,
/// and "MariaDB Error Code Reference" for those above 1900.
pub(in crate::mysql) fn failure(packet: &[u8]) -> Error {
    let Some((&[_, low, high], rest)) = packet.split_first_chunk::<3>() else { return broken(short()) };
    let number = u16::from_le_bytes([low, high]);
    // A state of five characters follows a mark, but not where the server says no to the connection itself.
    let (state, message) = match rest.split_first_chunk::<6>() {
        Some(([b'#', state @ ..], message)) => (String::from_utf8_lossy(state).into_owned(), message),
        _ => (String::new(), rest),
    };
    let message = String::from_utf8_lossy(message).into_owned();
    if let Some(column) = guarded_column(number, &message) {
        return Error::new(ErrorCode::InvalidValue, format!("column {column} holds a number other than 0 and 1"))
            .with_hint("Set `tinyint1_as_boolean = false` to carry TINYINT(1) as numbers.");
    }
    let (code, is_retryable) = match number {
        // The server goes down or ended this connection.
        1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 4031 => (ErrorCode::SourceUnavailable, true),
        1045 | 1251 | 1275 | 1524 | 1698 | 1862 | 3118 | 3159 | 3955 | 4151 => (ErrorCode::AuthenticationFailed, false),
        1049 => (ErrorCode::SourceUnavailable, false),
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 => (ErrorCode::PermissionDenied, false),
        // A statement is made of what the server itself has described, so that has changed since.
        1051 | 1054 | 1109 | 1146 | 1356 | 1412 | 1932 => (ErrorCode::SchemaChanged, true),
        1040 | 1129 | 1203 | 1205 | 1226 => (ErrorCode::SourceBusy, true),
        1969 | 3024 => (ErrorCode::Timeout, false),
        1264 | 1365 | 1367 | 1690 | 1366 | 1406 => (ErrorCode::ComputationFailed, false),
        1213 | 1020 => (ErrorCode::SourceFailed, true),
        1030 | 1034 | 1194 | 1195 | 1712 => (ErrorCode::CorruptData, false),
        _ => (ErrorCode::SourceFailed, false),
    };
    let detail = if state.is_empty() { format!("error {number}") } else { format!("error {number}, SQLSTATE {state}") };
    let hint = match code {
        ErrorCode::AuthenticationFailed => Some("Set `user` and `password` to an account that may sign in from here."),
        ErrorCode::PermissionDenied if number == 1044 => Some("Set `database` to one that the user may read."),
        // What is asked of tables by Tombolo itself is to read them.
        ErrorCode::PermissionDenied if is_write(&message) => {
            Some("Sources are only read: give a query that changes nothing.")
        }
        ErrorCode::PermissionDenied => Some("Grant the user SELECT on the table."),
        ErrorCode::SchemaChanged => Some("Run the query again."),
        ErrorCode::SourceBusy => Some("Try again, or lower `max_connections`."),
        ErrorCode::Timeout => Some("Raise the limit with --timeout, or the one that the server sets for the user."),
        ErrorCode::SourceUnavailable if number == 1049 => Some("Set `database` to one that there is."),
        ErrorCode::SourceUnavailable => Some("Try again when the server is up."),
        _ if number == 1153 => Some("Raise `max_allowed_packet` of the server."),
        _ if number == 1038 => Some("Raise `sort_buffer_size` of the server."),
        _ => None,
    };
    let error = Error::new(code, message).with_detail(detail);
    let error = match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    if is_retryable { error.retryable() } else { error }
}

/// Whether a command was denied that writes.
fn is_write(message: &str) -> bool {
    let command = message.split_once(" command denied").and_then(|(command, _)| command.split([' ', ',']).next());
    command.is_some_and(|command| matches!(command, "INSERT" | "UPDATE" | "DELETE" | "CREATE" | "ALTER" | "DROP"))
}

/// What a truth value is multiplied with where it is neither true nor false, so that the server fails; see
/// [`crate::mysql::native`].
pub(in crate::mysql) const GUARD: &str = "9223372036854775807 * (2 + abs(";

/// The column that the guard has stopped at.
fn guarded_column(number: u16, message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(GUARD).filter(|_| number == 1690)?;
    rest.split_once(')').map(|(column, _)| column)
}

/// The error for a connection that ended or said something that cannot be.
pub(super) fn broken(error: io::Error) -> Error {
    Error::new(ErrorCode::SourceUnavailable, "the connection to the server was lost")
        .with_detail(error.to_string())
        .with_hint("Run the query again.")
        .retryable()
}

/// The error for a message that does not belong here.
pub(in crate::mysql) fn unexpected<T>(what: &str) -> Result<T> {
    Err(broken(io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what} where it does not belong"))))
}

/// What is said of a packet that ends too early.
pub(super) fn short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server sent a packet that is too short")
}
