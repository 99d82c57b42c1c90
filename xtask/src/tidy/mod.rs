//! The rules of the project that neither the compiler nor clippy knows, each a function from the files to findings.
//!
//! A rule is added by a file here with its function, a test with a good and a bad sample, and a line in [`CHECKS`].

mod connector_files;
mod edges;
mod file_names;
mod links;
mod lock;
mod marks;
mod paths;
mod rust;
mod size;
mod source_names;
mod spawn;
mod stages;
mod tree;

use std::fmt;

#[cfg(test)]
pub(crate) use self::connector_files::REQUIRED as CONNECTOR_FILES;
pub(crate) use self::tree::Tree;

/// One rule.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    run: fn(&Tree, &mut Report),
}

/// All rules.
pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "edges",
        purpose: "crates depend only on the crates that the design lets them know",
        run: edges::check,
    },
    Check { name: "stages", purpose: "a stage of the engine imports only stages before it", run: stages::check },
    Check { name: "source-names", purpose: "the engine names no kind of source", run: source_names::check },
    Check {
        name: "connectors",
        purpose: "every connector folder holds the same file names, and a file's parts in a folder of its name",
        run: connector_files::check,
    },
    Check {
        name: "file-names",
        purpose: "no file is called after being useful (utils, helpers, common, misc)",
        run: file_names::check,
    },
    Check {
        name: "size",
        purpose: "a source file is one idea: looked at above 600 lines, refused above 1000",
        run: size::check,
    },
    Check { name: "paths", purpose: "no file names a folder of somebody's machine", run: paths::check },
    Check {
        name: "marks",
        purpose: "what is left to do is an issue, and its mark in the code has the issue's number",
        run: marks::check,
    },
    Check { name: "spawn", purpose: "no task outlives its query: tasks are spawned on a JoinSet", run: spawn::check },
    Check { name: "links", purpose: "every relative link in the documents leads somewhere", run: links::check },
    Check {
        name: "lock",
        purpose: "there is one version of Arrow, DataFusion, Parquet, object_store, rustls and Tokio",
        run: lock::check,
    },
];

/// Whether a finding fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Failure,
    Warning,
}

/// A place where a rule is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) severity: Severity,
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}:{}: {warning}[{}] {}", self.path, self.line, self.check, self.message)
    }
}

/// Collects the findings of one rule.
pub(crate) struct Report {
    check: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    fn fail(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.add(Severity::Failure, path, line, message.into());
    }

    fn warn(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.add(Severity::Warning, path, line, message.into());
    }

    fn add(&mut self, severity: Severity, path: &str, line: usize, message: String) {
        self.findings.push(Finding { check: self.check, severity, path: path.to_owned(), line, message });
    }
}

/// Applies every rule. Failures come last, where they are seen.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS
        .iter()
        .flat_map(|check| {
            let mut report = Report { check: check.name, findings: Vec::new() };
            (check.run)(tree, &mut report);
            report.findings
        })
        .collect();
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.severity == Severity::Failure, finding.path.clone(), finding.line);
        key(a).cmp(&key(b))
    });
    findings
}

/// Applies one rule to samples and returns what it says, a line for each finding.
#[cfg(test)]
fn findings(run: fn(&Tree, &mut Report), files: &[(&str, &str)]) -> Vec<String> {
    let mut report = Report { check: "x", findings: Vec::new() };
    run(&Tree::of(files), &mut report);
    report.findings.iter().map(|finding| finding.to_string().replace(" [x]", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, Severity, Tree, check};

    #[test]
    fn failures_come_after_warnings_where_they_are_seen() {
        let long = "\n".repeat(700);
        let findings = check(&Tree::of(&[("src/a.rs", &long), ("src/utils.rs", "")]));
        let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Failure]);
        assert!(findings[1].to_string().starts_with("src/utils.rs:1: [file-names] "), "{}", findings[1]);
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
