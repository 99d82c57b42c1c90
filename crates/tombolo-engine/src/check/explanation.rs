use serde::{Deserialize, Serialize};

use super::receipt::NotPushed;
use crate::plan::cartesian::StatementChange;

/// A plan as a person reads it; also what machines get as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The statement as it was given.
    pub statement: String,
    /// Whether the query ran, so that steps carry actual figures.
    pub analyzed: bool,
    /// The last step; its inputs are below it.
    pub root: PlanStep,
    /// From the statement to the plan.
    pub planning_ms: f64,
    /// From the statement to the last row, where it ran.
    pub elapsed_ms: Option<f64>,
    /// What a reader should know, in sentences.
    pub notices: Vec<String>,
    /// What was changed in the statement before it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<StatementChange>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its number, from 1 in the order of execution (inputs first).
    pub id: usize,
    /// What it does, in a word or two: `join`, `aggregate`, `read`.
    pub operator: String,
    /// How, where there is a choice: `pushdown`, `broadcast`, `repartition`, …
    pub strategy: Option<String>,
    /// The particulars, as label and text.
    pub details: Vec<(String, String)>,
    /// What a source is asked; `None` for steps that run here.
    pub remote: Option<RemoteStep>,
    /// Rows that are expected to come out.
    pub estimated_rows: Option<u64>,
    /// What was seen when it ran.
    pub actual: Option<StepActuals>,
    /// The steps that feed this one.
    pub inputs: Vec<PlanStep>,
}

/// The part of a plan that one source runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteStep {
    /// The source's name in the config.
    pub source: String,
    /// The source's kind.
    pub kind: String,
    /// The tables that it reads.
    pub tables: Vec<String>,
    /// The language of `native`.
    pub language: String,
    /// What the source is asked.
    pub native: String,
    /// The operators that the source does.
    pub pushed: Vec<String>,
    /// What it was not given, and why.
    pub not_pushed: Vec<NotPushed>,
}

/// What was seen when a step ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepActuals {
    /// Rows that came out.
    pub rows: Option<u64>,
    /// Bytes that came out of a source.
    pub bytes: Option<u64>,
    /// Batches that came out.
    pub batches: Option<u64>,
    /// Time spent in the step; for a source, from opening it to its end.
    pub elapsed_ms: Option<f64>,
    /// The most memory that it had reserved.
    pub memory_bytes: Option<u64>,
    /// What it wrote to temporary files.
    pub spilled_bytes: Option<u64>,
}
