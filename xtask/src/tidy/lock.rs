//! Libraries whose types cross crate borders: two versions of one of them are two kinds of the same thing.

use std::collections::BTreeMap;

use toml::Table;

use super::{Report, Tree};

const ONE_OF: &[&str] = &["arrow", "datafusion", "object_store", "parquet", "rustls", "tokio"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let path = "Cargo.lock";
    let Some(text) = tree.text(path) else { return };
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => return report.fail(path, 1, format!("cannot be read: {}", error.message())),
    };
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in table.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        let field = |name| package.get(name).and_then(toml::Value::as_str);
        if let (Some(name), Some(version)) = (field("name"), field("version")) {
            versions.entry(name).or_default().push(version);
        }
    }
    for (name, versions) in versions {
        // The parts of Arrow and DataFusion are crates of their own.
        let is_part = name.starts_with("arrow-") || name.starts_with("datafusion-");
        if versions.len() > 1 && (is_part || ONE_OF.contains(&name)) {
            let line = text.lines().position(|line| line == format!("name = \"{name}\"")).map_or(1, |index| index + 1);
            let advice = format!("see who wants which with: cargo tree --workspace -i {name}@VERSION");
            report.fail(path, line, format!("{name} in versions {}; {advice}", versions.join(" and ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn one_version_of_what_matters_and_two_of_what_does_not_pass() {
        let text = "[[package]]\nname = \"arrow\"\nversion = \"59.3.2\"\n\
                    [[package]]\nname = \"rand\"\nversion = \"0.8.5\"\n[[package]]\nname = \"rand\"\nversion = \"0.9.5\"\n";
        assert!(findings(check, &[("Cargo.lock", text)]).is_empty());
    }

    #[test]
    fn two_versions_of_arrow_are_found() {
        let text = "[[package]]\nname = \"arrow-array\"\nversion = \"58.0.0\"\n\
                    [[package]]\nname = \"arrow-array\"\nversion = \"59.3.2\"\n";
        let found = findings(check, &[("Cargo.lock", text)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Cargo.lock:2: arrow-array in versions 58.0.0 and 59.3.2;"), "{}", found[0]);
    }
}
