//! Marks for what is left to do.

use super::{Report, Tree};

/// Split, so that this file passes its own check.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.texts() {
        let is_document = path.ends_with(".md");
        for (index, line) in text.lines().enumerate() {
            let line = if is_document { without_code(line) } else { line.to_owned() };
            if let Some(mark) = mark_in(&line)
                && !has_issue(&line)
            {
                report.fail(
                    path,
                    index + 1,
                    format!("{mark} without an issue: write {mark}(#12) with the issue's number"),
                );
            }
        }
    }
}

fn mark_in(line: &str) -> Option<&'static str> {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find_map(|word| MARKS.iter().find(|mark| **mark == word).copied())
}

fn has_issue(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| line[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

/// Drops what stands between backticks: documents write about such marks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::{MARKS, check};

    #[test]
    fn a_mark_with_an_issue_passes() {
        let code = format!("// {}(#12): later\nfn {}_list() {{}}\ntodo!()\n", MARKS[0], MARKS[0]);
        let document = format!("Write `{}` with a number.\n", MARKS[1]);
        assert!(findings(check, &[("a.rs", &code), ("b.md", &document)]).is_empty());
    }

    #[test]
    fn a_mark_without_an_issue_is_found() {
        for mark in MARKS {
            let found = findings(check, &[("a.rs", &format!("\n# {mark}: later\n"))]);
            assert_eq!(found, [format!("a.rs:2: {mark} without an issue: write {mark}(#12) with the issue's number")]);
        }
    }
}
