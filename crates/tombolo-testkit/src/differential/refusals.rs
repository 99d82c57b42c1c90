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
];

/// Why a query fails whose integers leave their type.
pub(super) const OVERFLOW: &str = "integer overflow, at which DataFusion goes on from the other end";

/// Whether integers left their type.
pub(super) fn overflows(code: ErrorCode, message: &str) -> bool {
    code == ErrorCode::ComputationFailed && message.contains("overflow happened on")
}

/// The reason of a refusal that is meant.
pub(super) fn reason(code: ErrorCode, message: &str) -> Option<&'static str> {
    REFUSALS.iter().find(|known| known.code == code && message.contains(known.message)).map(|known| known.reason)
}
