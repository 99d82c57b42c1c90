use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use tombolo_connector::{Error, ErrorCode, nearest_name, tombolo_error_in};

/// Turns what DataFusion says into Tombolo's codes, messages and hints.
///
/// An error of Tombolo's own that went through DataFusion comes out as it was.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    if let Some(own) = tombolo_error_in(&error) {
        return copied(own);
    }
    let text = error.strip_backtrace();
    match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => from_schema_error(schema_error),
        DataFusionError::Plan(message) => from_plan_message(message),
        DataFusionError::NotImplemented(message) => Error::new(ErrorCode::Unsupported, sentence(message)),
        DataFusionError::ResourcesExhausted(message) => from_exhausted(message),
        DataFusionError::SQL(parser, _) => Error::new(ErrorCode::SyntaxError, sentence(&parser.to_string())),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
        DataFusionError::IoError(io) => from_io(io, &text),
        DataFusionError::Execution(message) if message.contains("does not support") => {
            Error::new(ErrorCode::Unsupported, sentence(message))
        }
        DataFusionError::Execution(message) => Error::new(ErrorCode::ComputationFailed, sentence(message)),
        // What the operators say when not even one batch fits into what they may reserve.
        DataFusionError::Internal(message) if message.contains("data to spill") => from_exhausted(message),
        DataFusionError::Internal(message) => Error::internal(sentence(message)),
        _ => Error::new(ErrorCode::SourceFailed, sentence(&text)),
    }
    .with_cause(text_cause(&error))
}

/// An error that is inside a shared DataFusion error cannot be moved out of it.
fn copied(own: &Error) -> Error {
    let mut error = Error::new(own.code(), own.message());
    if let Some(detail) = own.detail() {
        error = error.with_detail(detail);
    }
    if let Some(hint) = own.hint() {
        error = error.with_hint(hint);
    }
    if let Some(source) = own.source_name() {
        error = error.with_source_name(source);
    }
    if own.retry() == tombolo_connector::Retry::Safe { error.retryable() } else { error }
}

fn text_cause(error: &DataFusionError) -> Box<dyn std::error::Error + Send + Sync> {
    error.strip_backtrace().into()
}

/// Brings a foreign message to one line that begins in lower case and has no full stop.
fn sentence(message: &str) -> String {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    let mut chars = line.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => line.to_owned(),
    }
}

fn from_schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let message = format!("no table in scope has a column `{}`", field.flat_name());
            let error = Error::new(ErrorCode::ColumnNotFound, message);
            let names: Vec<String> = valid_fields.iter().map(|field| field.name.clone()).collect();
            let near = names
                .iter()
                .find(|name| name.eq_ignore_ascii_case(&field.name))
                .map(String::as_str)
                .or_else(|| nearest_name(&field.name, names.iter().map(String::as_str)));
            match near {
                Some(near) if near.chars().any(char::is_uppercase) => error
                    .with_hint(format!("Did you mean \"{near}\" (in double quotes, since it has upper-case letters)?")),
                Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
                None if names.is_empty() => error,
                None => {
                    let shown: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
                    let more = if names.len() > shown.len() {
                        format!(" and {} more", names.len() - shown.len())
                    } else {
                        String::new()
                    };
                    error.with_hint(format!("Columns in scope: {}{more}.", shown.join(", ")))
                }
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(ErrorCode::AmbiguousName, format!("column `{}` is in more than one table", field.flat_name()))
                .with_hint("Write the table or its alias before it: `t.column`.")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorCode::AmbiguousName, format!("the name `{name}` stands for two columns"))
                .with_hint("Give one of them another name with AS, or give the tables aliases.")
        }
    }
}

fn from_plan_message(message: &str) -> Error {
    let text = sentence(message);
    if message.contains("does not satisfy order requirements") || message.contains("does not satisfy distribution") {
        return Error::internal(text);
    }
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default();
        let error = Error::new(ErrorCode::FunctionNotFound, format!("no function is called `{name}`"));
        let near = message.split("Did you mean '").nth(1).and_then(|rest| rest.split('\'').next());
        return match near.and_then(|near| nearest_name(name, [near])) {
            Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
            None => error.with_hint("Check its name; DataFusion's functions and those of SQL are known here."),
        };
    }
    if message.starts_with("table function '") {
        return Error::new(ErrorCode::FunctionNotFound, text);
    }
    if message.contains("coerc") || message.contains("Cannot infer common") || message.contains("type") {
        return Error::new(ErrorCode::TypeMismatch, text)
            .with_hint("Bring one side to the other's type with CAST(… AS …).");
    }
    Error::new(ErrorCode::InvalidPlan, text)
}

fn from_exhausted(message: &str) -> Error {
    let text = sentence(message);
    if message.contains("disk") || message.contains("temporary") || message.contains("max_temp_directory_size") {
        return Error::new(ErrorCode::DiskFull, "the limit for temporary files was reached")
            .with_detail(text)
            .with_hint("Raise it with `tombolo config set federation.max_temp_bytes 200GB`, or read less.");
    }
    let operator = operator_of(message);
    let message = match &operator {
        Some(operator) => format!("{operator} needs more memory than is left of `max_memory`"),
        None => "the query needs more memory than is left of `max_memory`".to_owned(),
    };
    Error::new(ErrorCode::OutOfMemory, message).with_detail(text).with_hint(
        "Raise it with `tombolo config set federation.max_memory 4GB`, filter earlier, or aggregate before you join; \
         docs/reference/memory.md lists which operators spill to disk and which cannot.",
    )
}

/// The operator that a memory pool's message names as the one that asked.
fn operator_of(message: &str) -> Option<String> {
    // The largest consumers are listed after it; they are not the one that asked.
    let message = message.split("with top memory consumers").next().unwrap_or(message);
    for (consumer, operator) in [
        ("HashJoinInput", "a hash join"),
        ("NestedLoopJoin", "a nested-loop join"),
        ("Left side produced", "a nested-loop join"),
        ("CrossJoin", "a cross join"),
        ("TopK", "a sort with a limit"),
        ("ExternalSorter", "a sort"),
        ("GroupedHashAggregate", "an aggregate"),
        ("SMJ", "a sort-merge join"),
        ("WindowAgg", "a window function"),
        ("RepartitionExec", "an exchange between threads"),
    ] {
        if message.contains(consumer) {
            return Some(operator.to_owned());
        }
    }
    None
}

fn from_io(error: &std::io::Error, text: &str) -> Error {
    if text.contains("max_temp_directory_size") {
        return from_exhausted(text);
    }
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::new(ErrorCode::DiskFull, "the disk for temporary files is full")
                .with_detail(sentence(text))
                .with_hint("Free space, or name another folder with `tombolo config set federation.temp_dir PATH`.")
        }
        _ => Error::new(ErrorCode::FileFailed, sentence(text)),
    }
}

fn from_arrow(error: &arrow::error::ArrowError) -> Error {
    use arrow::error::ArrowError;
    match error {
        ArrowError::DivideByZero => Error::new(ErrorCode::ComputationFailed, "division by zero")
            .with_hint("Guard the divisor with NULLIF(…, 0)."),
        ArrowError::ArithmeticOverflow(message) => Error::new(ErrorCode::ComputationFailed, sentence(message))
            .with_hint(
                "The result does not fit into its type: cast to a wider one, such as CAST(… AS DECIMAL(38, 0)).",
            ),
        ArrowError::ComputeError(message) => Error::new(ErrorCode::ComputationFailed, sentence(message)),
        ArrowError::CastError(message) => Error::new(ErrorCode::InvalidValue, sentence(message))
            .with_hint("TRY_CAST gives NULL where a value does not fit."),
        ArrowError::IoError(message, io) => from_io(io, message),
        ArrowError::ExternalError(external) => match external.downcast_ref::<DataFusionError>() {
            Some(inner) => Error::new(ErrorCode::SourceFailed, sentence(&inner.strip_backtrace())),
            None => Error::new(ErrorCode::SourceFailed, sentence(&external.to_string())),
        },
        other => Error::new(ErrorCode::ComputationFailed, sentence(&other.to_string())),
    }
}
