//! What every kind of source has to prove.
//!
//! A trial states one fact of a source and finds out whether it is so, over the real source. What a connector declares in its
//! [`Capabilities`](tombolo_connector::Capabilities) it must do: the operator is then gone from our own plan, and the
//! source's own log shows it. What it does not declare it must not do. Always the rows are those that come without any
//! push-down, and those of plain DataFusion over the same tables in memory.

/// Trials of a group: the name of each, what it proves, and the function that finds out.
macro_rules! trials {
    ($group:expr; $($name:literal, $proves:literal, $run:ident;)+) => {
        vec![$(Trial::plain($group, $name, $proves, |bench| async move { $run(bench).await.into() }.boxed())),+]
    };
}

mod bench;
mod catalog;
mod errors;
mod exact;
mod faults;
mod limits;
mod pushdown;
mod report;
mod types;
mod types_page;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use bench::Bench;
pub use pushdown::Place;
pub use report::{Report, connectors_page};
pub use types_page::types_page;

use crate::harness::Harness;

/// The longest that one trial may take.
const MAX_TRIAL: Duration = Duration::from_secs(120);

/// What a trial is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Tables, columns, keys and counts.
    Catalog,
    /// Values, there and back.
    Types,
    /// Work that the source does.
    Pushdown,
    /// What goes wrong, and what is said of it.
    Errors,
    /// Failures in the midst of the work.
    Faults,
    /// Size, number and end of sub-queries.
    Limits,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 6] = [Self::Catalog, Self::Types, Self::Pushdown, Self::Errors, Self::Faults, Self::Limits];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "catalog",
            Self::Types => "types",
            Self::Pushdown => "pushdown",
            Self::Errors => "errors",
            Self::Faults => "faults",
            Self::Limits => "limits",
        })
    }
}

/// One fact of a source, and how to find out whether it is so.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What it is about.
    pub group: Group,
    /// Its name, which stays the same: `pushdown/sort/nulls first`.
    pub name: String,
    /// The fact.
    pub proves: String,
    run: Run,
}

#[derive(Debug, Clone)]
enum Run {
    Plain(for<'a> fn(&'a Bench) -> BoxFuture<'a, Outcome>),
    Table(&'static str, for<'a> fn(&'a Bench, &'static str) -> BoxFuture<'a, Outcome>),
    Statements(pushdown::Statements),
}

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is so. For work that was offered to the source: where it was done.
    Passed(Option<Place>),
    /// It is not so, for this reason.
    Failed(String),
    /// The source says that it does not do this, and indeed it does not.
    Declined(String),
}

impl Outcome {
    pub(crate) const PASSED: Self = Self::Passed(None);
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::PASSED)
    }
}

impl Trial {
    fn new(group: Group, name: &str, proves: &str, run: Run) -> Self {
        Self { group, name: format!("{group}/{name}"), proves: proves.to_owned(), run }
    }

    fn plain(group: Group, name: &str, proves: &str, run: for<'a> fn(&'a Bench) -> BoxFuture<'a, Outcome>) -> Self {
        Self::new(group, name, proves, Run::Plain(run))
    }

    /// Finds out.
    pub async fn run(&self, bench: &Bench) -> Outcome {
        let trial = async {
            match &self.run {
                Run::Plain(run) => run(bench).await,
                Run::Table(table, run) => run(bench, table).await,
                Run::Statements(statements) => statements.run(bench).await,
            }
        };
        let exception = bench.harness.exceptions().iter().find(|(name, _)| *name == self.name);
        let outcome = tokio::time::timeout(MAX_TRIAL, trial)
            .await
            .unwrap_or_else(|_| Outcome::Failed(format!("it took longer than {MAX_TRIAL:?}")));
        match (outcome, exception) {
            (Outcome::Failed(_), Some((_, reason))) => Outcome::Declined((*reason).to_owned()),
            (_, Some(_)) => Outcome::Failed("it is so now: the exception can go".to_owned()),
            (Outcome::Failed(reason), None) => Outcome::Failed(bench.without_name(&reason)),
            (Outcome::Declined(reason), None) => Outcome::Declined(bench.without_name(&reason)),
            (outcome, None) => outcome,
        }
    }
}

/// All trials of a kind of source. They are the same for all; what a source declares decides what counts as passed.
pub fn trials(harness: &dyn Harness) -> Vec<Trial> {
    [
        catalog::trials(),
        types::trials(harness),
        pushdown::trials(harness),
        errors::trials(),
        faults::trials(),
        limits::trials(),
    ]
    .concat()
}

/// Runs all trials of a kind of source, one after another.
///
/// # Errors
/// Why the source is not there.
pub async fn run(harness: Arc<dyn Harness>) -> Result<Report, String> {
    let bench = Bench::try_new(Arc::clone(&harness)).await?;
    let mut outcomes = Vec::new();
    for trial in trials(harness.as_ref()) {
        let outcome = trial.run(&bench).await;
        outcomes.push((trial, outcome));
    }
    Report::new(&bench, outcomes).await
}
