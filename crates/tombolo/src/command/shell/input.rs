//! What was typed: a command, statements, or the beginning of one.

use std::str::FromStr;

use reedline::{ValidationResult, Validator};
use tombolo_connector::{Error, ErrorCode, Result, nearest_name};

use crate::render::Format;

const COMMANDS: &[&str] = &["s", "dt", "d", "e", "receipt", "format", "timing", "?", "q"];

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Input {
    Nothing,
    Leave,
    Help,
    Sources,
    Tables,
    Describe(String),
    Explain(String),
    Receipt,
    Timing,
    Format(Format),
    Statements(String),
}

/// Reads what was typed.
pub(super) fn read_input(text: &str) -> Result<Input> {
    let text = text.trim();
    let Some(command) = text.strip_prefix('\\') else {
        return Ok(match text.trim_end_matches(';').trim().to_ascii_lowercase().as_str() {
            "" => Input::Nothing,
            "quit" | "exit" => Input::Leave,
            "help" => Input::Help,
            _ => Input::Statements(text.to_owned()),
        });
    };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim().trim_end_matches(';').trim();
    Ok(match (word.trim_end_matches(';'), rest) {
        ("q", _) => Input::Leave,
        ("?" | "h", _) => Input::Help,
        ("s", _) => Input::Sources,
        ("dt", "") | ("d", "") => Input::Tables,
        ("dt" | "d", name) => Input::Describe(name.to_owned()),
        ("e", "") => return Err(lacks("\\e", "a statement")),
        ("e", statement) => Input::Explain(statement.to_owned()),
        ("receipt", _) => Input::Receipt,
        ("timing", _) => Input::Timing,
        ("format", name) => match Format::from_str(name)? {
            Format::Parquet | Format::Arrow => return Err(lacks("\\format", "a format that is text")),
            format => Input::Format(format),
        },
        (unknown, _) => {
            let error = Error::new(ErrorCode::Usage, format!("there is no command \\{unknown}"));
            return Err(match nearest_name(unknown, COMMANDS.iter().copied()) {
                Some(near) => error.with_hint(format!("Did you mean \\{near}? \\? lists them.")),
                None => error.with_hint("\\? lists them."),
            });
        }
    })
}

fn lacks(command: &str, what: &str) -> Error {
    Error::new(ErrorCode::Usage, format!("{command} takes {what}")).with_hint("\\? shows how.")
}

/// Lets a statement go over several lines until its `;`.
pub(super) struct StatementValidator;

impl Validator for StatementValidator {
    fn validate(&self, text: &str) -> ValidationResult {
        if is_complete(text) { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

/// True when Enter should run the text: a command, nothing at all, or statements whose last one has its `;`.
fn is_complete(text: &str) -> bool {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with('\\') || matches!(trimmed, "quit" | "exit" | "help") {
        return true;
    }
    ends_with_semicolon(trimmed)
}

/// Whether the last thing outside quotes and comments is a `;`.
fn ends_with_semicolon(text: &str) -> bool {
    let mut ended = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\'' | '"' | '`' => rest[1..].find(c).map(|at| at + 2),
            '-' if rest.starts_with("--") => Some(rest.find('\n').map_or(rest.len(), |at| at + 1)),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map(|at| at + 4),
            _ => Some(c.len_utf8()),
        };
        // A quote or a comment that is still open swallows everything after it.
        let Some(skipped) = skipped else { return false };
        let comment = rest.starts_with("--") || rest.starts_with("/*");
        if !c.is_whitespace() && !comment {
            ended = c == ';';
        }
        rest = &rest[skipped..];
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        for complete in ["", "SELECT 1;", "SELECT 1; -- done", "SELECT ';';", "\\d shop", "quit", "SELECT 1; /* x */ "]
        {
            assert!(is_complete(complete), "{complete}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1 -- ;", "SELECT /* ;", "SELECT \"a;", "SELECT 1; SELECT 2"] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn commands_are_told_from_statements() {
        assert_eq!(read_input(" \\d shop.customers; ").unwrap(), Input::Describe("shop.customers".into()));
        assert_eq!(read_input("\\dt").unwrap(), Input::Tables);
        assert_eq!(read_input(";").unwrap(), Input::Nothing);
        assert_eq!(read_input("EXIT;").unwrap(), Input::Leave);
        assert_eq!(read_input("SELECT 1;").unwrap(), Input::Statements("SELECT 1;".into()));
        assert_eq!(read_input("\\recipt").unwrap_err().hint(), Some("Did you mean \\receipt? \\? lists them."));
        assert!(read_input("\\format parquet").is_err());
    }
}
