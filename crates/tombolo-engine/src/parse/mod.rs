//! Text → statement. Pure: reaches no source.
//!
//! Before DataFusion's parser sees a text, [`lexical::quote_source_names`] quotes what Tombolo accepts beyond it:
//! `[users-db].users`, and a known source's hyphenated name without quotes.

mod dialect;
mod lexical;
mod repair;

use std::collections::VecDeque;

use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use tombolo_connector::{Error, ErrorCode, Result};

pub(crate) use dialect::TomboloDialect;
pub(crate) use lexical::split_statements;

/// How deep expressions and sub-selects may nest.
const RECURSION_LIMIT: usize = 200;

/// Parses one read-only statement.
///
/// # Errors
/// [`ErrorCode::SyntaxError`] with the place; [`ErrorCode::Unsupported`] for anything that is not a query.
pub(crate) fn parse_query(sql: &str, source_names: &[String]) -> Result<Statement> {
    let text = lexical::quote_source_names(sql, source_names);
    let dialect = TomboloDialect;
    let mut statements: VecDeque<DfStatement> = DFParserBuilder::new(text.as_str())
        .with_dialect(&dialect)
        .with_recursion_limit(RECURSION_LIMIT)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| syntax_error(&error))?;
    let statement = statements
        .pop_front()
        .ok_or_else(|| Error::new(ErrorCode::SyntaxError, "the statement is empty").with_hint("Write a SELECT."))?;
    if !statements.is_empty() {
        return Err(Error::new(ErrorCode::SyntaxError, "there is more than one statement")
            .with_hint("Give one statement, or separate them with `;` on standard input or in a file."));
    }
    match statement {
        DfStatement::Statement(mut statement) => match *statement {
            Statement::Query(_) => {
                repair::repair(&mut statement)?;
                Ok(*statement)
            }
            other => Err(not_a_query(other.to_string().split_whitespace().next().unwrap_or_default())),
        },
        DfStatement::Explain(_) => Err(not_a_query("EXPLAIN")),
        DfStatement::CreateExternalTable(_) => Err(not_a_query("CREATE")),
        DfStatement::CopyTo(_) => Err(not_a_query("COPY")),
        DfStatement::Reset(_) => Err(not_a_query("RESET")),
    }
}

/// Parses a dotted name as a statement would have it. Gives each part's text and whether it was quoted.
///
/// # Errors
/// [`ErrorCode::SyntaxError`] where it is not a name.
pub(crate) fn parse_name(name: &str, source_names: &[String]) -> Result<Vec<(String, bool)>> {
    let text = lexical::quote_source_names(name, source_names);
    let dialect = TomboloDialect;
    let parsed = Parser::new(&dialect).try_with_sql(&text).and_then(|mut parser| {
        let name = parser.parse_object_name(false)?;
        parser.expect_token(&Token::EOF)?;
        Ok(name)
    });
    let parsed = parsed.map_err(|_| {
        Error::new(ErrorCode::SyntaxError, format!("`{name}` is not the name of a table"))
            .with_hint("A table is source.table or source.schema.table; odd names go in double quotes.")
    })?;
    let idents = parsed.0.into_iter().filter_map(|part| part.as_ident().cloned());
    Ok(idents.map(|ident| (ident.value, ident.quote_style.is_some())).collect())
}

fn not_a_query(word: &str) -> Error {
    let word = word.to_uppercase();
    let hint = match word.as_str() {
        "EXPLAIN" => "Use `tombolo explain \"SELECT …\"`, with --analyze to run it too.",
        "SHOW" | "DESCRIBE" => "Use `tombolo sources` and `tombolo describe SOURCE[.TABLE]`.",
        "COPY" => "Use `tombolo query … -o FILE`.",
        _ => "Tombolo only reads: write a SELECT, a WITH … SELECT or VALUES.",
    };
    Error::new(ErrorCode::Unsupported, format!("{word} is not a query")).with_hint(hint)
}

fn syntax_error(error: &datafusion::error::DataFusionError) -> Error {
    let text = match error.find_root() {
        datafusion::error::DataFusionError::SQL(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let message = text.trim_start_matches("sql parser error: ").trim().trim_end_matches('.').to_owned();
    if message.contains("recursion limit") {
        return Error::new(ErrorCode::SyntaxError, format!("the statement nests deeper than {RECURSION_LIMIT} levels"))
            .with_hint("Split it with WITH, or make the nesting flatter.");
    }
    let mut message = message;
    if let Some(first) = message.get(..1).map(str::to_lowercase) {
        message.replace_range(..1, &first);
    }
    Error::new(ErrorCode::SyntaxError, message)
        .with_hint("Check the statement at that place; names with odd characters go in double quotes.")
}

#[cfg(test)]
mod tests;
