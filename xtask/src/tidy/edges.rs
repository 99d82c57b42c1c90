//! Which crates may know which.

use toml::Table;

use super::{Report, Tree};

enum May {
    Only(&'static [&'static str]),
    KnowAll,
}

/// Every crate of the workspace, with the crates of the workspace that it may depend on, for tests too.
const EDGES: &[(&str, May)] = &[
    // No code: it holds the features of dependencies together.
    ("tombolo-features", May::Only(&[])),
    // The contract: whoever reads it need not know anything else.
    ("tombolo-connector", May::Only(&["tombolo-features"])),
    // A source that could call the engine would not be a source.
    ("tombolo-connectors", May::Only(&["tombolo-connector", "tombolo-features"])),
    // An engine that knew one source would soon know better than what that source declares.
    ("tombolo-engine", May::Only(&["tombolo-connector", "tombolo-features"])),
    ("tombolo-testkit", May::KnowAll),
    ("tombolo", May::KnowAll),
    // Has to be built in seconds, and before anything else.
    ("xtask", May::Only(&[])),
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let manifests: Vec<(&str, &str)> = tree.texts().filter(|(path, _)| path.ends_with("/Cargo.toml")).collect();
    let own: Vec<String> = manifests.iter().filter_map(|(_, text)| name_of(&text.parse::<Table>().ok()?)).collect();
    for (path, text) in manifests {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                report.fail(path, 1, format!("cannot be read: {}", error.message()));
                continue;
            }
        };
        let Some(name) = name_of(&table) else { continue };
        let Some((_, may)) = EDGES.iter().find(|(known, _)| *known == name) else {
            report.fail(path, 1, format!("`{name}` is not in the list of edges: add it to xtask/src/tidy/edges.rs"));
            continue;
        };
        let May::Only(allowed) = may else { continue };
        for dependency in dependencies(&table) {
            if own.contains(&dependency) && !allowed.contains(&dependency.as_str()) {
                let message = format!("`{name}` may not depend on `{dependency}`: {}", spelt(allowed));
                report.fail(path, line_of(text, &dependency), message);
            }
        }
    }
}

fn name_of(manifest: &Table) -> Option<String> {
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

/// Returns the packages that a manifest asks for: for building, for tests and for single platforms too.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let sections = tables.iter().flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    sections
        .flatten()
        // A dependency may be renamed; then its table has the package's own name.
        .map(|(key, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned())
        .collect()
}

fn line_of(text: &str, dependency: &str) -> usize {
    let is_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.contains(&format!("\"{dependency}\""))
            || line.trim_end().ends_with(&format!("dependencies.{dependency}]"))
    };
    text.lines().position(is_it).map_or(1, |index| index + 1)
}

fn spelt(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        "on no crate of this project".to_owned()
    } else {
        format!("only on {}", allowed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    const CONNECTOR: (&str, &str) =
        ("crates/tombolo-connector/Cargo.toml", "[package]\nname = \"tombolo-connector\"\n");

    #[test]
    fn allowed_edges_pass() {
        let engine = "[package]\nname = \"tombolo-engine\"\n[dependencies]\ntombolo-connector.workspace = true\narrow.workspace = true\n";
        assert!(findings(check, &[CONNECTOR, ("crates/tombolo-engine/Cargo.toml", engine)]).is_empty());
    }

    #[test]
    fn the_engine_may_not_know_the_connectors_even_in_its_tests() {
        let connectors = "[package]\nname = \"tombolo-connectors\"\n";
        let engine = "[package]\nname = \"tombolo-engine\"\n[dev-dependencies]\ntombolo-connectors.workspace = true\n";
        let files = [
            ("crates/tombolo-connectors/Cargo.toml", connectors),
            ("crates/tombolo-engine/Cargo.toml", engine),
            CONNECTOR,
        ];
        assert_eq!(
            findings(check, &files),
            ["crates/tombolo-engine/Cargo.toml:4: `tombolo-engine` may not depend on `tombolo-connectors`: \
             only on tombolo-connector, tombolo-features"]
        );
    }

    #[test]
    fn a_renamed_or_platform_dependency_does_not_hide() {
        let xtask = "[package]\nname = \"xtask\"\n[target.'cfg(unix)'.dependencies]\n\
                     c = { package = \"tombolo-connector\", path = \"x\" }\n";
        let found = findings(check, &[CONNECTOR, ("xtask/Cargo.toml", xtask)]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("xtask/Cargo.toml:4: `xtask` may not depend on `tombolo-connector`"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_new_crate_has_to_be_placed() {
        let found = findings(check, &[("crates/new/Cargo.toml", "[package]\nname = \"tombolo-new\"\n")]);
        assert!(found[0].contains("`tombolo-new` is not in the list of edges"), "{}", found[0]);
    }
}
