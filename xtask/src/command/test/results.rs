//! Reading the numbers, and what failing tests said, out of `cargo test`'s output.

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

/// A test that failed, with what it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FailedTest {
    pub(crate) name: String,
    pub(crate) output: Vec<String>,
}

impl FailedTest {
    /// The most lines that are shown of one test, so that the closing lines stay a page or two.
    const SHOWN: usize = 40;
}

impl fmt::Display for FailedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        // What it said last is why it failed.
        let left_out = self.output.len().saturating_sub(Self::SHOWN);
        if left_out > 0 {
            write!(f, "\n  ({left_out} lines before these)")?;
        }
        for line in &self.output[left_out..] {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// Collects what failing tests printed: each test program shows it at its end, and others run after that.
#[derive(Debug, Default)]
pub(crate) struct FailedTests {
    found: Vec<FailedTest>,
    is_in_output: bool,
}

impl FailedTests {
    pub(crate) fn add_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.found.push(FailedTest { name: name.to_owned(), output: vec![] });
            self.is_in_output = true;
        } else if line == "failures:" {
            // Above the outputs, and again between them and the list of names.
            self.is_in_output = false;
        } else if self.is_in_output
            && let Some(test) = self.found.last_mut()
            && !(line.is_empty() && test.output.last().is_none_or(String::is_empty))
        {
            test.output.push(line.to_owned());
        }
    }

    pub(crate) fn into_found(mut self) -> Vec<FailedTest> {
        for test in &mut self.found {
            test.output.pop_if(|last| last.is_empty());
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::{FailedTest, FailedTests, Totals};

    #[test]
    fn what_failing_tests_said_is_kept_and_the_rest_is_not() {
        let mut failed = FailedTests::default();
        let output = "\
running 3 tests
test a::passes ... ok
test a::fails ... FAILED
test b::fails ... FAILED

failures:

---- a::fails stdout ----
seed 7


thread 'a::fails' panicked at src/a.rs:5:9:
not equal

---- b::fails stdout ----
last words

failures:
    a::fails
    b::fails

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s

running 0 tests";
        for line in output.lines() {
            failed.add_line(line);
        }
        let found = failed.into_found();
        let said = |name: &str, lines: &[&str]| FailedTest {
            name: name.to_owned(),
            output: lines.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(
            found,
            [
                said("a::fails", &["seed 7", "", "thread 'a::fails' panicked at src/a.rs:5:9:", "not equal"]),
                said("b::fails", &["last words"]),
            ]
        );
        assert_eq!(found[1].to_string(), "b::fails\n  last words");

        let long = FailedTest { name: "long".to_owned(), output: (0..43).map(|line| line.to_string()).collect() };
        let shown = long.to_string();
        assert!(shown.starts_with("long\n  (3 lines before these)\n  3\n") && shown.ends_with("\n  42"), "{shown}");
    }

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
