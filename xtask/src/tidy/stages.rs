//! The order of the engine's stages.

use super::rust::{self, Kind, Tests, Token};
use super::{Report, Tree};

const SOURCE: &str = "crates/tombolo-engine/src";

/// The life of a query, in order. Each stage is a folder.
const STAGES: &[&str] = &["parse", "catalog", "policy", "plan", "pushdown", "execute", "fuse", "check", "deliver"];

/// What lies at the crate's root and below all stages, so that each of them may import it. All else at the root is the
/// façade, which is made of the stages.
const SHARED: &[&str] =
    &["cost", "error", "one_input", "settings", "type_mapping", "Settings", "Error", "ErrorCode", "Result"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.with_extension("rs") {
        let Some(inner) = path.strip_prefix(SOURCE).and_then(|path| path.strip_prefix('/')) else {
            continue;
        };
        let Some((stage, below)) = inner.split_once('/') else {
            continue;
        };
        let Some(position) = STAGES.iter().position(|known| *known == stage) else {
            if stage != "tests" {
                report.fail(path, 1, format!("`{stage}` is not a stage of the engine: {}", STAGES.join(", ")));
            }
            continue;
        };
        if rust::is_test_file(path) {
            continue;
        }
        for (name, line) in imports_from_root(&rust::tokens(text, Tests::LeftOut), depth(below)) {
            match STAGES.iter().position(|known| *known == name) {
                Some(other) if other > position => {
                    report.fail(
                        path,
                        line,
                        format!("the stage `{stage}` may not import `{name}`, which comes after it"),
                    );
                }
                Some(_) => {}
                None if SHARED.contains(&name.as_str()) => {}
                None => report.fail(
                    path,
                    line,
                    format!(
                        "`{name}` is neither a stage nor on the list of what stages share (xtask/src/tidy/stages.rs)"
                    ),
                ),
            }
        }
    }
}

/// Returns how many modules below the crate's root a file of a stage is, from its path in the stage's folder.
fn depth(below: &str) -> usize {
    let folders = below.matches('/').count();
    if below.ends_with("mod.rs") { folders + 1 } else { folders + 2 }
}

/// Returns the first name after the root in each path that starts there, by `crate::` or by enough `super::`.
fn imports_from_root(tokens: &[Token], depth: usize) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for (after, _) in rust::paths_with(tokens, &["crate"]) {
        // `pub(crate)` has no colons after it.
        if let Some(at) = rust::after_colons(tokens, after) {
            names.extend(rust::first_names(tokens, at));
        }
    }
    let mut at = 0;
    while at < tokens.len() {
        let mut supers = 0;
        while is_super(tokens, at) {
            let Some(next) = rust::after_colons(tokens, at + 1) else {
                break;
            };
            supers += 1;
            at = next;
        }
        if supers == 0 {
            at += 1;
        } else if supers == depth {
            names.extend(rust::first_names(tokens, at));
        }
    }
    names
}

fn is_super(tokens: &[Token], at: usize) -> bool {
    matches!(tokens.get(at).map(|token| &token.kind), Some(Kind::Ident(name)) if name == "super")
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    fn check_one(path: &str, text: &str) -> Vec<String> {
        findings(check, &[(path, text)])
    }

    #[test]
    fn earlier_stages_and_shared_modules_may_be_imported() {
        let text = "use crate::catalog::Table;\nuse crate::{parse, plan::Rule, Result};\npub(crate) use super::plan::x;\n\
                    use super::shape::Shape;\n// crate::deliver\n#[cfg(test)]\nmod tests { use crate::execute::run; }\n";
        assert!(check_one("crates/tombolo-engine/src/pushdown/walk.rs", text).is_empty());
    }

    #[test]
    fn later_stages_may_not() {
        let text = "use crate::{parse,\n  execute::run};\nfn a() { crate::deliver::b() }\nuse super::super::fuse::c;\n";
        assert_eq!(
            check_one("crates/tombolo-engine/src/plan/cost.rs", text),
            [
                "crates/tombolo-engine/src/plan/cost.rs:2: the stage `plan` may not import `execute`, which comes after it",
                "crates/tombolo-engine/src/plan/cost.rs:3: the stage `plan` may not import `deliver`, which comes after it",
                "crates/tombolo-engine/src/plan/cost.rs:4: the stage `plan` may not import `fuse`, which comes after it",
            ]
        );
    }

    #[test]
    fn a_mod_file_is_one_super_away_from_the_root() {
        assert_eq!(check_one("crates/tombolo-engine/src/plan/mod.rs", "use super::fuse::c;").len(), 1);
        // There it is a neighbour in the same stage.
        assert!(check_one("crates/tombolo-engine/src/plan/cost.rs", "use super::fuse::c;").is_empty());
    }

    #[test]
    fn the_facade_may_import_everything_and_nobody_the_facade() {
        assert!(check_one("crates/tombolo-engine/src/lib.rs", "use crate::deliver::x;").is_empty());
        assert!(check_one("crates/tombolo-engine/src/engine.rs", "use crate::deliver::x;").is_empty());
        let found = check_one("crates/tombolo-engine/src/plan/cost.rs", "use crate::engine::Engine;");
        assert!(found[0].contains("`engine` is neither a stage nor"), "{}", found[0]);
    }

    #[test]
    fn a_folder_that_is_no_stage_is_named() {
        let found = check_one("crates/tombolo-engine/src/magic/mod.rs", "");
        assert!(found[0].contains("`magic` is not a stage"), "{}", found[0]);
    }
}
