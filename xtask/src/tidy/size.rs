//! Files that have become two ideas.

use super::{Report, Tree};

const EXTENSIONS: &[&str] = &["rs", "js", "ts", "css", "py", "sh"];
const LOOKED_AT_LINES: usize = 600;
const MAX_LINES: usize = 1000;

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in EXTENSIONS.iter().flat_map(|extension| tree.with_extension(extension)) {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            report.fail(path, 1, format!("{lines} lines; the most is {MAX_LINES}: split it by its ideas"));
        } else if lines > LOOKED_AT_LINES {
            report.warn(path, 1, format!("{lines} lines: are these two ideas?"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn long_files_are_looked_at_and_longer_ones_refused() {
        let lines = |count: usize| "x\n".repeat(count);
        let (fine, long, longer) = (lines(600), lines(601), lines(1001));
        assert_eq!(
            findings(check, &[("a.rs", &fine), ("b.rs", &long), ("c.rs", &longer), ("d.csv", &longer)]),
            [
                "b.rs:1: warning: 601 lines: are these two ideas?",
                "c.rs:1: 1001 lines; the most is 1000: split it by its ideas",
            ]
        );
    }
}
