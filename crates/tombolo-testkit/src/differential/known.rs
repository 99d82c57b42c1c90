//! Defects of DataFusion that stop a query in every way, by the words of their error. A query that fails so in plain DataFusion
//! too is counted and not looked at further; each is told with its query in `docs/dev/datafusion.md`.

/// A part of the message, and what it is.
const DEFECTS: &[(&str, &str)] = &[(
    "field nullability at index",
    "DataFusion plans a physical column as nullable that its logical plan holds not to be",
)];

/// What a failure is known to be.
pub(super) fn defect(message: &str) -> Option<&'static str> {
    DEFECTS.iter().find(|(part, _)| message.contains(part)).map(|(_, defect)| *defect)
}
