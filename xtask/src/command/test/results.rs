//! Reading the numbers out of `cargo test`'s output.

use std::fmt;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Totals {
    /// Adds the numbers of one `test result:` line; any other line adds nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(result) = line.trim_end().strip_prefix("test result: ") else {
            return;
        };
        for part in result.split(';') {
            // The first part begins with the verdict, which may be coloured: "ok. 5 passed".
            let mut words = part.split_whitespace().rev();
            let (Some(what), Some(number)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn result_lines_are_summed_and_others_are_not() {
        let mut totals = Totals::default();
        for line in [
            "running 9 tests",
            "test plan::tests::a_join_is_pushed ... ok",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s",
            "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s",
            "    test result: ok. 100 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            totals.add_line(line);
        }
        assert_eq!(totals, Totals { passed: 7, failed: 4, skipped: 1 });
        assert_eq!(totals.to_string(), "7 passed, 4 failed, 1 skipped");
    }
}
