use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of everything in Tombolo's library crates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

macro_rules! error_codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident => $name:literal, $sqlstate:literal, $http:literal, $exit:literal; )+) => {
        /// What went wrong, as a stable code. Every interface maps it: the command line to an exit code, SQL wires to a
        /// SQLSTATE, HTTP to a status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorCode { $( $(#[doc = $doc])+ $variant, )+ }

        impl ErrorCode {
            /// All codes, in the order of the reference.
            pub const ALL: &'static [ErrorCode] = &[ $( ErrorCode::$variant, )+ ];

            /// The stable name, such as `table_not_found`.
            pub fn name(self) -> &'static str { match self { $( Self::$variant => $name, )+ } }

            /// The SQLSTATE that SQL wires send.
            pub fn sqlstate(self) -> &'static str { match self { $( Self::$variant => $sqlstate, )+ } }

            /// The HTTP status that web interfaces send.
            pub fn http_status(self) -> u16 { match self { $( Self::$variant => $http, )+ } }

            /// The exit code of the command line: 1 query failed, 2 usage, 3 source unavailable, 4 refused by policy or
            /// guardrail, 5 partial answer, 124 timed out, 130 interrupted.
            pub fn exit_code(self) -> u8 { match self { $( Self::$variant => $exit, )+ } }

            /// The code in one sentence, for the reference.
            pub fn summary(self) -> &'static str { match self { $( Self::$variant => concat!($($doc),+).trim_ascii(), )+ } }
        }
    };
}

error_codes! {
    /// The statement is not valid SQL.
    SyntaxError => "syntax_error", "42601", 400, 1;
    /// No configured source has this name.
    SourceNotFound => "source_not_found", "3D000", 404, 1;
    /// The source has no such schema.
    SchemaNotFound => "schema_not_found", "3F000", 404, 1;
    /// The source has no such table.
    TableNotFound => "table_not_found", "42P01", 404, 1;
    /// No table in scope has this column.
    ColumnNotFound => "column_not_found", "42703", 400, 1;
    /// No function has this name.
    FunctionNotFound => "function_not_found", "42883", 400, 1;
    /// The name fits more than one thing.
    AmbiguousName => "ambiguous_name", "42702", 400, 1;
    /// A value or an expression has a type that does not fit.
    TypeMismatch => "type_mismatch", "42804", 400, 1;
    /// The statement or a type is outside what Tombolo does.
    Unsupported => "unsupported", "0A000", 501, 1;
    /// The plan cannot be made, for a reason that no other code names.
    InvalidPlan => "invalid_plan", "42000", 400, 1;
    /// The source could not be reached or opened.
    SourceUnavailable => "source_unavailable", "08001", 503, 3;
    /// The source refused the credentials.
    AuthenticationFailed => "authentication_failed", "28000", 401, 3;
    /// The source refused the user this object.
    PermissionDenied => "permission_denied", "42501", 403, 3;
    /// The source is locked by another program.
    SourceBusy => "source_busy", "55P03", 503, 3;
    /// The source failed while it ran its sub-query.
    SourceFailed => "source_failed", "HV000", 502, 1;
    /// The table's shape is not the one that was described.
    SchemaChanged => "schema_changed", "HV00C", 409, 1;
    /// The source holds data that cannot be read: a cut file, a corrupt page.
    CorruptData => "corrupt_data", "XX001", 502, 1;
    /// A stored value does not have the type that its column declares.
    InvalidValue => "invalid_value", "22000", 422, 1;
    /// A computation failed on a value: division by zero, overflow, a cast.
    ComputationFailed => "computation_failed", "22023", 422, 1;
    /// The configuration is not valid.
    ConfigInvalid => "config_invalid", "F0000", 400, 2;
    /// A command was called in a way it does not take.
    Usage => "usage", "42601", 400, 2;
    /// The memory limit was reached by an operator that cannot spill.
    OutOfMemory => "out_of_memory", "53200", 507, 1;
    /// The disk is full, or the limit for temporary files was reached.
    DiskFull => "disk_full", "53100", 507, 1;
    /// A file could not be read or written.
    FileFailed => "file_failed", "58030", 500, 1;
    /// The time limit was reached.
    Timeout => "timeout", "57014", 504, 124;
    /// The query was cancelled.
    Cancelled => "cancelled", "57014", 499, 130;
    /// A policy forbids this.
    PolicyRefused => "policy_refused", "42501", 403, 4;
    /// A guardrail forbids this.
    GuardrailRefused => "guardrail_refused", "54000", 403, 4;
    /// The query joins every row of one table with every row of another.
    CartesianProduct => "cartesian_product", "54000", 403, 4;
    /// A defect in Tombolo.
    Internal => "internal", "XX000", 500, 1;
}

/// Whether the same call may succeed later. Kept apart from the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same call will fail again.
    #[default]
    Never,
    /// The same call may succeed at once or a little later.
    Safe,
}

/// An error as every interface shows it: a code, a message, and what to do next.
///
/// The message is one lower-case line without a full stop. The detail adds facts. The hint is a sentence that names the
/// next step. None of them ever holds a secret.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: ErrorCode,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    retry: Retry,
    /// The configured source that the error is about.
    origin: Option<String>,
    cause: Option<Cause>,
}

impl Error {
    /// Makes an error of a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            retry: Retry::Never,
            origin: None,
            cause: None,
        }))
    }

    /// Makes an error for a state that the code holds to be impossible.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
            .with_hint("This is a defect in Tombolo: please report it with the query.")
    }

    /// Adds facts that help to understand the message.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a sentence that names the next step.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says that the same call may succeed later.
    pub fn retryable(mut self) -> Self {
        self.0.retry = Retry::Safe;
        self
    }

    /// Names the configured source that the error is about, unless one is named already.
    pub fn with_source_name(mut self, source: &str) -> Self {
        self.0.origin.get_or_insert_with(|| source.to_owned());
        self
    }

    /// Adds the error behind this one.
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts beside the message.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The next step.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The configured source that the error is about.
    pub fn source_name(&self) -> Option<&str> {
        self.0.origin.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// Adds Tombolo's error shape to foreign results.
pub trait ResultExt<T> {
    /// Turns the foreign error into the cause of one with this code and message.
    fn or_error(self, code: ErrorCode, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Cause>> ResultExt<T> for std::result::Result<T, E> {
    fn or_error(self, code: ErrorCode, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| {
            let cause = cause.into();
            Error::new(code, message()).with_detail(cause.to_string()).with_cause(cause)
        })
    }
}
