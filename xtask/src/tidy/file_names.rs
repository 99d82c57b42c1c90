//! Names that say nothing.

use super::{Report, Tree};

const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for path in tree.files().keys() {
        let says_nothing = |part: &str| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default());
        if let Some(name) = path.split('/').find(|part| says_nothing(part)) {
            report.fail(path, 1, format!("`{name}` does not say what is in it: name it after its one idea"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn names_of_things_pass() {
        assert!(findings(check, &[("src/commonality.rs", ""), ("src/retry.rs", ""), (".gitignore", "")]).is_empty());
    }

    #[test]
    fn empty_names_are_found_as_files_and_as_folders() {
        assert_eq!(
            findings(check, &[("src/utils.rs", ""), ("tests/common/mod.rs", "")]),
            [
                "src/utils.rs:1: `utils.rs` does not say what is in it: name it after its one idea",
                "tests/common/mod.rs:1: `common` does not say what is in it: name it after its one idea",
            ]
        );
    }
}
