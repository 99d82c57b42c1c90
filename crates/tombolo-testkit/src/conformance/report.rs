//! What the trials of a kind of source have shown, and the page of the reference that is made of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tombolo_connector::{Capabilities, KeySupport, Parallelism, SnapshotKind};

use super::{Bench, Group, Outcome, Place, Trial};
use crate::fixtures;
use crate::harness::Harness;

/// The outcomes of all trials of one kind of source.
#[derive(Debug)]
pub struct Report {
    /// The kind of source.
    pub harness: Arc<dyn Harness>,
    /// What it calls itself, and its release.
    pub proved_on: String,
    /// What it declares.
    pub capabilities: Capabilities,
    /// Each trial and what became of it.
    pub outcomes: Vec<(Trial, Outcome)>,
    /// By table and column: the type in the source, and the type that it is carried as.
    types: BTreeMap<(String, String), (String, String)>,
}

impl Report {
    pub(super) async fn new(bench: &Bench, outcomes: Vec<(Trial, Outcome)>) -> Result<Self, String> {
        let info = bench.engine.ping(&bench.source).await.map_err(|error| error.to_string())?;
        let mut types = BTreeMap::new();
        for table in &bench.expected {
            let Ok(described) = bench.described(table.name).await else { continue };
            for column in described.columns {
                let key = (table.name.to_owned(), column.field.name().clone());
                types.insert(key, (column.remote_type, column.field.data_type().to_string()));
            }
        }
        Ok(Self {
            harness: Arc::clone(&bench.harness),
            proved_on: format!("{} {}", info.product, release(&info.version)),
            capabilities: bench.capabilities.clone(),
            outcomes,
            types,
        })
    }

    /// The trials that failed, with their reasons.
    pub fn failures(&self) -> Vec<(&str, &str)> {
        let failed = self.outcomes.iter().filter_map(|(trial, outcome)| match outcome {
            Outcome::Failed(reason) => Some((trial.name.as_str(), reason.as_str())),
            _ => None,
        });
        failed.collect()
    }

    /// The trials of a group, a line each, as a test runner lists them.
    pub fn listing(&self, group: Group) -> String {
        let mut text = String::new();
        for (trial, outcome) in self.outcomes.iter().filter(|(trial, _)| trial.group == group) {
            let outcome = match outcome {
                Outcome::Passed(None) => "ok".to_owned(),
                Outcome::Passed(Some(place)) => format!("ok, {place}"),
                Outcome::Declined(reason) => format!("declined: {reason}"),
                Outcome::Failed(reason) => format!("FAILED: {reason}"),
            };
            let _ = writeln!(text, "trial {}/{} ... {outcome}", self.harness.name(), trial.name);
        }
        text
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| is(outcome)).count()
    }

    fn section(&self) -> String {
        let mut text = format!("## {}\n\nProved on {}. ", self.harness.title(), self.proved_on);
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed(_)));
        let declined = self.count(|outcome| matches!(outcome, Outcome::Declined(_)));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let _ = writeln!(text, "{passed} trials passed, {declined} declined, {failed} failed.\n");
        let _ = writeln!(text, "Declares: {}.\n", declared(&self.capabilities));
        self.write_types(&mut text);
        self.write_work(&mut text);
        text
    }

    fn write_types(&self, text: &mut String) {
        text.push_str("### Types\n\n| value | in the source | carried as | note |\n|---|---|---|---|\n");
        let typed = fixtures::all().iter().filter(|fixture| fixtures::TYPED.contains(&fixture.name));
        for fixture in typed {
            let expected = self.harness.expected(fixture);
            for field in fixture.schema.fields().iter().skip(1) {
                let name = field.name();
                let known = self.types.get(&(fixture.name.to_owned(), name.clone()));
                let remote = known.map_or("", |(remote, _)| remote.as_str());
                let (carried, note) = if let Some((_, why)) = expected.not_held.iter().find(|(of, _)| of == name) {
                    ("-".to_owned(), *why)
                } else if let Some((_, code)) = expected.refused.iter().find(|(of, _)| of == name) {
                    (format!("refused: `{}`", code.name()), "")
                } else {
                    let note = expected.notes.iter().find(|(of, _)| of == name).map_or("", |(_, note)| note);
                    (known.map_or_else(|| "-".to_owned(), |(_, carried)| carried.clone()), note)
                };
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {note} |",
                    cell(&field.data_type().to_string()),
                    cell(remote),
                    cell(&carried)
                );
            }
        }
        text.push('\n');
    }

    fn write_work(&self, text: &mut String) {
        text.push_str("### Trials\n\n");
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut reasons: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for (trial, outcome) in &self.outcomes {
            let (label, reason) = match outcome {
                Outcome::Passed(None) => ("Found to be so", None),
                Outcome::Passed(Some(Place::There)) => ("In the source", None),
                Outcome::Passed(Some(Place::Again)) => ("In the source to read less, and again here", None),
                Outcome::Passed(Some(Place::Partly(reason))) => ("In part", Some(reason)),
                Outcome::Passed(Some(Place::Here(reason))) | Outcome::Declined(reason) => ("Declined", Some(reason)),
                Outcome::Failed(reason) => ("**Failed**", Some(reason)),
            };
            match reason {
                None => places.entry(label).or_default().push(&trial.name),
                Some(reason) => reasons.entry((label, reason.clone())).or_default().push(&trial.name),
            }
        }
        for (label, trials) in places {
            let _ = writeln!(text, "{label}: {}.\n", by_folder(&trials));
        }
        if !reasons.is_empty() {
            text.push_str("| | reason | trials |\n|---|---|---|\n");
        }
        for ((label, reason), trials) in reasons {
            let _ = writeln!(text, "| {label} | {} | {} |", cell(&reason), cell(&by_folder(&trials)));
        }
        text.push('\n');
    }
}

/// A version without its last number, which comes with corrections: the page does not change with each of them.
fn release(version: &str) -> &str {
    let numbers = version.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or(version);
    numbers.rsplit_once('.').map_or(version, |(release, _)| release)
}

/// Names of trials, those of one kind beside each other: `pushdown/join (left, right)`.
fn by_folder(trials: &[&str]) -> String {
    let mut folders: Vec<(&str, Vec<String>)> = Vec::new();
    for name in trials {
        let (folder, rest) = name.rsplit_once('/').unwrap_or(("", name));
        let rest = rest.replace('`', "'");
        match folders.iter_mut().find(|(known, _)| *known == folder) {
            Some((_, list)) => list.push(rest),
            None => folders.push((folder, vec![rest])),
        }
    }
    let folders: Vec<String> =
        folders.into_iter().map(|(folder, list)| format!("{folder} ({})", list.join(", "))).collect();
    folders.join("; ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn declared(capabilities: &Capabilities) -> String {
    let Capabilities {
        projection,
        filter,
        pruning,
        expression,
        join,
        aggregate,
        window,
        sort,
        index_order,
        limit,
        union,
        keys,
        parallelism,
        snapshot,
        cancel,
        statistics,
        native_queries,
        max_concurrency,
    } = capabilities;
    let mut list: Vec<String> = [
        (projection, "projection"),
        (filter, "filters"),
        (pruning, "pruning"),
        (expression, "computed columns"),
        (join, "joins"),
        (aggregate, "aggregates"),
        (window, "window functions"),
        (sort, "sorts"),
        (index_order, "first rows of an order by an index"),
        (limit, "limits"),
        (union, "unions"),
        (cancel, "cancelling"),
        (statistics, "row counts"),
        (native_queries, "queries in its own language"),
    ]
    .into_iter()
    .filter(|(has, _)| **has)
    .map(|(_, name)| name.to_owned())
    .collect();
    if let KeySupport::Exact { max_keys } = keys {
        list.push(format!("up to {max_keys} keys at run time"));
    }
    if *parallelism == Parallelism::Partitioned {
        list.push("several streams over one table".to_owned());
    }
    match snapshot {
        SnapshotKind::None => {}
        SnapshotKind::PerSubQuery => list.push("one snapshot for each sub-query".to_owned()),
        SnapshotKind::PerQuery => list.push("one snapshot for each query".to_owned()),
    }
    if let Some(most) = max_concurrency {
        list.push(format!("at most {most} sub-queries at once"));
    }
    list.join(", ")
}

/// The page of the reference: what each kind of source can do, and how that is known.
pub fn connectors_page(reports: &[&Report]) -> String {
    let mut text = "# Connectors\n\n\
        What each kind of source can do, and how that is known. This page is written by the conformance suite \
        (`TOMBOLO_UPDATE_DOCS=1 cargo test -p tombolo-testkit --test suite conformance`); a test fails where it is not what \
        the suite finds.\n\n\
        A trial passes where a fact was found to be so. It is declined where the source says that it does not do this, and it \
        was found not to. Whatever is said here, the rows are the same as without any push-down, and as those of one engine \
        that holds all the tables.\n\n\
        | source | proved on | passed | declined | failed |\n|---|---|---|---|---|\n"
        .to_owned();
    for report in reports {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            report.harness.title(),
            report.proved_on,
            report.count(|outcome| matches!(outcome, Outcome::Passed(_))),
            report.count(|outcome| matches!(outcome, Outcome::Declined(_))),
            report.count(|outcome| matches!(outcome, Outcome::Failed(_))),
        );
    }
    text.push('\n');
    for report in reports {
        text.push_str(&report.section());
    }
    text.trim_end().to_owned() + "\n"
}
