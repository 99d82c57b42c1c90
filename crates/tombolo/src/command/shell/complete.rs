use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reedline::{Completer, CompletionResult, Span, Suggestion};
use tombolo_engine::Engine;

use crate::command::describe::sql_name;
use crate::config::Config;

/// A key press is not kept waiting longer by a source that does not answer.
const PATIENCE: Duration = Duration::from_millis(700);

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "INNER JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "IS NULL",
    "IS NOT NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "DISTINCT",
    "UNION ALL",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "WITH",
    "VALUES",
    "ASC",
    "DESC",
    "NULLS FIRST",
    "NULLS LAST",
    "OVER",
    "PARTITION BY",
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "COALESCE",
    "EXTRACT",
    "TRUE",
    "FALSE",
    "NULL",
    "DATE",
    "TIMESTAMP",
    "INTERVAL",
];

/// The names that have been seen, filled as they are asked for: no source is reached before a name of it is typed.
#[derive(Debug)]
pub(super) struct Names {
    sources: Vec<String>,
    /// The tables of a source, by its name in lower case, as they are written after its dot.
    tables: HashMap<String, Vec<String>>,
    /// The columns of a table, by `source.table` in lower case.
    columns: HashMap<String, Vec<String>>,
}

impl Names {
    pub(super) fn new(config: &Config) -> Self {
        let sources = config.sources.iter().map(|source| source.name.clone()).collect();
        Self { sources, tables: HashMap::new(), columns: HashMap::new() }
    }
}

/// Completes sources, the tables of a source after its dot, the columns of tables that the statement names, and keywords.
pub(super) struct NameCompleter {
    engine: Engine,
    names: Arc<Mutex<Names>>,
}

impl NameCompleter {
    pub(super) fn new(engine: Engine, names: Arc<Mutex<Names>>) -> Self {
        Self { engine, names }
    }

    fn ask<T: Default>(&self, question: impl Future<Output = tombolo_connector::Result<T>>) -> T {
        let patient = tokio::time::timeout(PATIENCE, question);
        tokio::runtime::Handle::current().block_on(patient).ok().and_then(Result::ok).unwrap_or_default()
    }

    fn tables(&self, names: &mut Names, source: &str) -> Vec<String> {
        let key = source.to_lowercase();
        if !names.tables.contains_key(&key) {
            let tables = self.ask(async {
                let schemas = self.engine.list_schemas(source).await?;
                let tables = self.engine.list_tables(source).await?;
                let written = tables.iter().map(|table| match schemas.first() == Some(&table.schema) {
                    true => sql_name(&[&table.table]),
                    false => sql_name(&[&table.schema, &table.table]),
                });
                Ok(written.collect::<Vec<_>>())
            });
            if tables.is_empty() {
                return tables;
            }
            names.tables.insert(key.clone(), tables);
        }
        names.tables.get(&key).cloned().unwrap_or_default()
    }

    fn columns(&self, names: &mut Names, table: &str) -> Vec<String> {
        let key = table.to_lowercase();
        if !names.columns.contains_key(&key) {
            let columns = self.ask(async {
                let (_, description) = self.engine.describe_table(table).await?;
                Ok(description.columns.iter().map(|column| sql_name(&[column.field.name()])).collect::<Vec<_>>())
            });
            if columns.is_empty() {
                return columns;
            }
            names.columns.insert(key.clone(), columns);
        }
        names.columns.get(&key).cloned().unwrap_or_default()
    }

    fn candidates(&self, line: &str, word: &str) -> Vec<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = tables_in(line, &names.sources);
        if let Some((before, _)) = word.rsplit_once('.') {
            let known = names.sources.iter().find(|source| source.eq_ignore_ascii_case(before)).cloned();
            let found = match known {
                Some(source) => self.tables(&mut names, &source),
                // An alias, or a table by its last name: its columns.
                None => match tables.iter().find(|table| table.answers_to(before)) {
                    Some(table) => self.columns(&mut names, &table.name),
                    None => Vec::new(),
                },
            };
            return found.into_iter().map(|name| format!("{before}.{name}")).collect();
        }
        let mut candidates = names.sources.clone();
        for table in &tables {
            candidates.extend(table.alias.clone());
            candidates.extend(self.columns(&mut names, &table.name));
        }
        let upper = word.chars().next().is_none_or(char::is_uppercase);
        candidates.extend(KEYWORDS.iter().map(|word| if upper { (*word).to_owned() } else { word.to_lowercase() }));
        candidates
    }
}

impl Completer for NameCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = line.get(..pos).unwrap_or(line);
        let start = word_start(before);
        let word = &before[start..];
        let wanted = word.to_lowercase();
        let mut found: Vec<String> = match before.trim_start().starts_with("\\format") {
            true => ["table", "json", "jsonl", "csv", "markdown"].map(str::to_owned).to_vec(),
            false => self.candidates(line, word),
        };
        found.retain(|candidate| candidate.to_lowercase().starts_with(&wanted));
        found.sort();
        found.dedup();
        let suggestion = |value: String| {
            let append_whitespace = !self.is_source(&value);
            Suggestion { value, span: Span { start, end: pos }, append_whitespace, ..Suggestion::default() }
        };
        CompletionResult::fresh(found.into_iter().map(suggestion).collect::<Vec<_>>())
    }
}

impl NameCompleter {
    /// After a source's name comes a dot, not a blank.
    fn is_source(&self, name: &str) -> bool {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).sources.iter().any(|source| source == name)
    }
}

/// A table that a statement names, with its alias.
#[derive(Debug, PartialEq, Eq)]
struct NamedTable {
    name: String,
    alias: Option<String>,
}

impl NamedTable {
    fn answers_to(&self, name: &str) -> bool {
        let last = self.name.rsplit('.').next().unwrap_or_default();
        self.name.eq_ignore_ascii_case(name)
            || last.eq_ignore_ascii_case(name)
            || self.alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// The tables of known sources in a statement that is still being typed, so that no parser could read it.
fn tables_in(line: &str, sources: &[String]) -> Vec<NamedTable> {
    const NO_ALIAS: &[&str] =
        &["on", "using", "where", "join", "left", "right", "full", "inner", "cross", "group", "order", "limit"];
    let words: Vec<&str> = line.split(|c: char| !is_name_char(c)).filter(|word| !word.is_empty()).collect();
    let mut tables = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let Some((source, rest)) = word.split_once('.') else { continue };
        if rest.is_empty() || !sources.iter().any(|known| known.eq_ignore_ascii_case(source)) {
            continue;
        }
        let after = match words.get(index + 1) {
            Some(next) if next.eq_ignore_ascii_case("as") => words.get(index + 2),
            next => next,
        };
        let alias =
            after.filter(|alias| !alias.contains('.') && !NO_ALIAS.iter().any(|word| alias.eq_ignore_ascii_case(word)));
        tables.push(NamedTable { name: (*word).to_owned(), alias: alias.map(|alias| (*alias).to_owned()) });
    }
    tables
}

fn word_start(text: &str) -> usize {
    text.char_indices().rev().find(|(_, c)| !is_name_char(*c)).map_or(0, |(at, c)| at + c.len_utf8())
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_aliases_are_found_in_an_unfinished_statement() {
        let sources = ["shop".to_owned(), "users-db".to_owned()];
        let tables = tables_in("SELECT c. FROM shop.customers c JOIN users-db.users AS u ON c.id = u.", &sources);
        let named = |name: &str, alias: Option<&str>| NamedTable { name: name.into(), alias: alias.map(str::to_owned) };
        assert_eq!(tables, [named("shop.customers", Some("c")), named("users-db.users", Some("u"))]);
        assert_eq!(tables_in("FROM shop.customers WHERE", &sources), [named("shop.customers", None)]);
        assert!(tables[0].answers_to("C") && tables[0].answers_to("customers") && !tables[0].answers_to("u"));
    }

    #[test]
    fn the_word_before_the_cursor_is_completed() {
        assert_eq!(word_start("SELECT shop.cu"), 7);
        assert_eq!(word_start("SELECT (a"), 8);
        assert_eq!(word_start(""), 0);
    }
}
