//! The engine knows what sources can do, and not what they are called.

use super::rust::{self, Kind, Tests};
use super::{Report, Tree};

/// Names of kinds of sources that cannot be mistaken for anything else.
const KINDS: &[&str] = &[
    "sqlite",
    "postgres",
    "mysql",
    "mariadb",
    "sqlserver",
    "mssql",
    "clickhouse",
    "mongo",
    "elasticsearch",
    "opensearch",
    "valkey",
    "iceberg",
    "kafka",
];

/// Names that are also part of other words: only a whole word counts.
const WORDS: &[&str] = &["redis", "oracle"];

/// Names in the libraries for the SQL that Tombolo itself speaks; they are about no source.
const OTHER_MEANINGS: &[&str] = &["PostgreSqlDialect"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let engine = tree.with_extension("rs").filter(|(path, _)| path.starts_with("crates/tombolo-engine/src/"));
    for (path, text) in engine.filter(|(path, _)| !rust::is_test_file(path)) {
        for token in rust::tokens(text, Tests::LeftOut) {
            if let Kind::Ident(word) | Kind::Literal(word) = &token.kind
                && let Some(kind) = kind_in(word)
            {
                let advice = "ask for a capability instead, or add one";
                report.fail(
                    path,
                    token.line,
                    format!("the engine names a kind of source, {kind}, in {word}: {advice}"),
                );
            }
        }
    }
}

fn kind_in(word: &str) -> Option<&'static str> {
    if OTHER_MEANINGS.contains(&word) {
        return None;
    }
    let lower = word.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    KINDS
        .iter()
        .find(|kind| lower.contains(**kind))
        .copied()
        .or_else(|| words.find_map(|word| WORDS.iter().find(|kind| **kind == word).copied()))
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    const PATH: &str = "crates/tombolo-engine/src/pushdown/walk.rs";

    #[test]
    fn comments_tests_and_like_words_pass() {
        let text = "//! As SQLite does.\nfn redistribute() { parse(PostgreSqlDialect {}) }\n// redis\n\
                    #[cfg(test)]\nmod tests { const KIND: &str = \"sqlite\"; }\n";
        assert!(
            findings(check, &[(PATH, text), ("crates/tombolo-connectors/src/sqlite/mod.rs", "fn sqlite() {}")])
                .is_empty()
        );
    }

    #[test]
    fn a_kind_in_code_or_in_a_string_is_found() {
        let text = "fn a(kind: &str) -> bool {\n  kind == \"mysql\"\n    || is_redis(kind) }\nstruct MongoPipeline;\n\
                    const TEXT: &str = \"for Oracle only\";";
        let lines: Vec<String> = findings(check, &[(PATH, text)]);
        let starts: Vec<&str> = lines.iter().filter_map(|line| line.split(": the").next()).collect();
        assert_eq!(starts, [2, 3, 4, 5].map(|line| format!("{PATH}:{line}")));
    }
}
