//! What Tombolo refuses although plain DataFusion answers. Everything else that fails in one way only is a difference.

use tombolo_engine::ErrorCode;

/// A refusal that is meant.
struct Refusal {
    code: ErrorCode,
    /// A part of the message.
    message: &'static str,
    reason: &'static str,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        code: ErrorCode::Unsupported,
        message: "is used where a null could make its answer wrong",
        reason: "IN or NOT IN of a sub-select where DataFusion's rewrite would lose an unknown",
    },
    Refusal {
        code: ErrorCode::Unsupported,
        message: "EXCEPT ALL",
        reason: "EXCEPT ALL and INTERSECT ALL, which DataFusion answers as if rows came once",
    },
    Refusal {
        code: ErrorCode::Unsupported,
        message: "INTERSECT ALL",
        reason: "EXCEPT ALL and INTERSECT ALL, which DataFusion answers as if rows came once",
    },
    Refusal {
        code: ErrorCode::InvalidValue,
        message: "no float is exactly",
        reason: "integers that no float is, compared with floats of another source, which DataFusion rounds",
    },
];

/// What is said of it here, in PostgreSQL and in MySQL. There a number without a sign is none of ours, and its overflow a fault.
const OVERFLOWS: [&str; 5] = [
    "overflow happened on",
    "overflow on abs(",
    "out of range (SQLSTATE 22003)",
    "BIGINT value is out of range in",
    // Of a cast of what a decimal cannot hold, whose row another plan may not come to.
    "to store in a Decimal",
];

const OVERFLOW: &str =
    "a number that leaves its type, at which DataFusion goes on from the other end, or to whose row it does not come";

/// What DataFusion says at the first row that it would take out of an aggregate that it only adds to. Whether there is such a row
/// is known where the rows are: a way whose plan does not come to one answers.
const NO_RETRACTION: &str = "`retract_batch` is not implemented";

/// Whether a way cannot be compared for a reason of its own: numbers left their type, small batches
/// took too much memory or time, or a window came to a row that DataFusion cannot take out again.
pub(super) fn outside(code: ErrorCode, message: &str) -> Option<&'static str> {
    match code {
        _ if message.contains(NO_RETRACTION) => {
            Some("an aggregate over a window that ends before the last row, out of which DataFusion takes no rows")
        }
        ErrorCode::ComputationFailed if is_overflow(message) => Some(OVERFLOW),
        ErrorCode::OutOfMemory => Some("too little memory, in one of the ways"),
        ErrorCode::Timeout => Some("too long, in one of the ways"),
        _ => None,
    }
}

/// Whether a message is of a number that leaves its type.
pub(super) fn is_overflow(message: &str) -> bool {
    OVERFLOWS.iter().any(|part| message.contains(part))
}

/// The reason of a refusal that is meant.
pub(super) fn reason(code: ErrorCode, message: &str) -> Option<&'static str> {
    REFUSALS.iter().find(|known| known.code == code && message.contains(known.message)).map(|known| known.reason)
}
