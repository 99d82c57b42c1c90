//! The same file names in every connector's folder, each with the same duty everywhere. A file that has grown parts keeps
//! them in a folder of its own name: `native.rs` and `native/functions.rs`.

use std::collections::BTreeSet;

use super::{Report, Tree};

const FOLDER: &str = "crates/tombolo-connectors/src";

/// Shared by connectors, and none themselves.
const SHARED: &[&str] = &["sharded", "sql"];

pub(crate) const REQUIRED: &[&str] =
    &["mod.rs", "config.rs", "capability.rs", "client.rs", "catalog.rs", "types.rs", "native.rs", "scan.rs", "docs.md"];

const OPTIONAL: &[&str] = &["search.rs", "watch.rs", "write.rs", "tests.rs"];

/// Written by insta.
const SNAPSHOTS: &str = "snapshots";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let inside: Vec<(&str, &str)> = tree.below(FOLDER).filter_map(|path| path.split_once('/')).collect();
    let connectors: BTreeSet<&str> =
        inside.iter().map(|(connector, _)| *connector).filter(|name| !SHARED.contains(name)).collect();
    for connector in connectors {
        let folder = format!("{FOLDER}/{connector}");
        let paths: Vec<&str> = inside.iter().filter(|(name, _)| *name == connector).map(|(_, path)| *path).collect();
        for required in REQUIRED {
            if !paths.contains(required) {
                report.fail(&format!("{folder}/mod.rs"), 1, format!("the connector `{connector}` has no {required}"));
            }
        }
        let mut strange = BTreeSet::new();
        for path in &paths {
            match path.split_once('/') {
                // A folder counts once, whatever is in it.
                Some((inner, _)) if inner != SNAPSHOTS && !is_of_a_file(inner, &paths) => strange.insert(inner),
                None if !is_shared(path) => strange.insert(path),
                _ => false,
            };
        }
        for name in strange {
            let names = [REQUIRED, OPTIONAL].concat().join(" ");
            let message = format!(
                "not a name that connectors share; they have {names}, and the parts of a file in a folder of its name"
            );
            report.fail(&format!("{folder}/{name}"), 1, message);
        }
    }
}

fn is_shared(file: &str) -> bool {
    REQUIRED.contains(&file) || OPTIONAL.contains(&file)
}

/// Whether a folder holds the parts of a shared file that stands beside it.
fn is_of_a_file(folder: &str, files: &[&str]) -> bool {
    let file = format!("{folder}.rs");
    file != "mod.rs" && is_shared(&file) && files.contains(&file.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::{REQUIRED, check};

    fn connector(name: &str, more: &[&str]) -> Vec<String> {
        REQUIRED.iter().chain(more).map(|file| format!("crates/tombolo-connectors/src/{name}/{file}")).collect()
    }

    fn run(paths: &[String]) -> Vec<String> {
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        findings(check, &files)
    }

    #[test]
    fn the_full_set_with_what_may_be_added_passes() {
        let mut paths = connector("sqlite", &["tests.rs", "search.rs", "snapshots/a.snap", "tests/sub/a.sql"]);
        paths.push("crates/tombolo-connectors/src/lib.rs".to_owned());
        paths.push("crates/tombolo-connectors/src/sql/dialect.rs".to_owned());
        assert_eq!(run(&paths), Vec::<String>::new());
    }

    #[test]
    fn the_parts_of_a_file_are_in_a_folder_of_its_name() {
        let parts = ["native/functions.rs", "scan/format/mod.rs", "scan/format/csv.rs"];
        assert_eq!(run(&connector("sqlite", &parts)), Vec::<String>::new());
        for strange in ["search/index.rs", "mod/a.rs", "docs/a.md"] {
            let found = run(&connector("sqlite", &[strange]));
            assert_eq!(found.len(), 1, "{strange}: {found:?}");
        }
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let mut paths = connector("redis", &["pool.rs", "wire/codec.rs", "wire/frame.rs"]);
        paths.retain(|path| !path.ends_with("types.rs"));
        let found = run(&paths);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "crates/tombolo-connectors/src/redis/mod.rs:1: the connector `redis` has no types.rs");
        assert!(found[1].starts_with("crates/tombolo-connectors/src/redis/pool.rs:1: not a name that"), "{}", found[1]);
        assert!(found[2].starts_with("crates/tombolo-connectors/src/redis/wire:1: "), "{}", found[2]);
    }
}
