//! Paths that exist on one machine only.

use super::{Report, Tree};

/// How such paths begin. Split, so that this file passes its own check.
const FOLDERS: &[&str] = &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/tm", "p/")];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            if let Some(found) = machine_path(line) {
                let advice = "use a path in the checkout, a folder made for the purpose, or a variable";
                report.fail(path, index + 1, format!("names a folder of some machine, {found}…: {advice}"));
            }
        }
    }
}

fn machine_path(line: &str) -> Option<&'static str> {
    FOLDERS.iter().copied().find(|folder| {
        line.match_indices(folder).any(|(at, _)| {
            // Part of a longer path or of a URL, or a pattern such as that of a word in angle brackets, is no such path.
            let is_start =
                line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"._-~}>)".contains(c));
            let names_something =
                line[at + folder.len()..].starts_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
            is_start && names_something
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn paths_in_the_checkout_and_urls_pass() {
        let text =
            concat!("a/wo", "rk/b https://example.com/ho", "me/x $DIR/tm", "p/y /ho", "me/<name> ./ro", "ot/z\n");
        assert!(findings(check, &[("a.md", text)]).is_empty());
    }

    #[test]
    fn absolute_paths_of_a_machine_are_found_in_any_file() {
        let text = concat!("ok\nDIR=\"/ro", "ot/x\"\n/tm", "p/t.db\n");
        let found = findings(check, &[("a.sh", text)]);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with(concat!("a.sh:2: names a folder of some machine, /ro", "ot/…")), "{}", found[0]);
        assert!(found[1].starts_with("a.sh:3: "), "{}", found[1]);
    }
}
