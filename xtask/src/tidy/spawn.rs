//! Tasks that nobody waits for.

use super::rust::{self, Tests};
use super::{Report, Tree};

const BARE: &[&[&str]] = &[&["tokio", "spawn"], &["tokio", "task", "spawn"]];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.with_extension("rs").filter(|(path, _)| path.starts_with("crates/")) {
        let tokens = rust::tokens(text, Tests::Included);
        for (_, token) in BARE.iter().flat_map(|parts| rust::paths_with(&tokens, parts)) {
            let advice = "spawn on a JoinSet that is dropped with its query";
            report.fail(path, token.line, format!("a bare tokio::spawn outlives its query: {advice}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn a_join_set_passes() {
        let text =
            "// tokio::spawn(\nasync fn a(set: &mut JoinSet<()>) { set.spawn(b()); tokio::task::spawn_blocking(c); }";
        assert!(findings(check, &[("crates/a/src/lib.rs", text)]).is_empty());
    }

    #[test]
    fn a_bare_spawn_is_found_in_tests_too() {
        let text = "fn a() { tokio::spawn(b()); }\n#[cfg(test)]\nmod tests {\n use tokio::task::spawn; }";
        let found = findings(check, &[("crates/a/src/lib.rs", text)]);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("crates/a/src/lib.rs:1: a bare tokio::spawn"), "{}", found[0]);
        assert!(found[1].starts_with("crates/a/src/lib.rs:4: "), "{}", found[1]);
    }
}
