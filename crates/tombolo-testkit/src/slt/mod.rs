//! Runs `.slt` files: statements with their answers, in the form of the `sqllogictest` crate.
//!
//! [`run`] runs files of this repository against an engine over sources that are set up already. [`replay`] runs files of other
//! engines: what sets their tables up is run by plain DataFusion, the tables are placed in a source, and the queries go through
//! Tombolo. [`ledger`] keeps the list of what passes.

mod cell;
pub mod ledger;
mod ours;
pub mod replay;

pub use ours::run;

/// Whether an answer's rows are those that a file has. `<slt:ignore>` in it stands for any text.
fn answer_is(_: sqllogictest::Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    const ANYTHING: &str = "<slt:ignore>";
    let actual: Vec<String> = actual.iter().map(|row| row.join(" ").trim_end().to_owned()).collect();
    let expected: Vec<&str> = expected.iter().map(|line| line.trim_end()).collect();
    if !expected.iter().any(|line| line.contains(ANYTHING)) {
        return actual == expected;
    }
    let (actual, expected) = (actual.join("\n"), expected.join("\n"));
    let mut rest = actual.as_str();
    for (index, fragment) in expected.split(ANYTHING).enumerate() {
        match rest.find(fragment) {
            Some(at) if index > 0 || at == 0 => rest = &rest[at + fragment.len()..],
            _ => return false,
        }
    }
    expected.ends_with(ANYTHING) || rest.is_empty()
}
