//! Where an operator of a plan is done.

use std::fmt;

use tombolo_connector::Capabilities;
use tombolo_engine::check::{NotPushed, PlanStep, RemoteStep};

use super::super::Bench;

/// An operator that a source may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    /// Keeps the rows for which something is true.
    Filter,
    /// Computes columns.
    Compute,
    /// Joins tables of the source.
    Join,
    /// Groups and aggregates.
    Aggregate,
    /// Computes window functions.
    Window,
    /// Sorts.
    Sort,
    /// Limits the rows.
    Limit,
    /// Appends rows to rows.
    Union,
}

/// Where an operator was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the source, and nowhere else.
    There,
    /// In the source to read less, and again here.
    Again,
    /// Some of it in the source, some here for this reason.
    Partly(String),
    /// Here, for this reason.
    Here(String),
}

impl Operator {
    pub(in crate::conformance) fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Compute => "compute",
            Self::Join => "join",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
            Self::Sort => "sort",
            Self::Limit => "limit",
            Self::Union => "union",
        }
    }

    /// Its name among what a plan says was pushed.
    pub(in crate::conformance) fn pushed(self) -> &'static str {
        match self {
            Self::Compute => "projection",
            other => other.name(),
        }
    }

    pub(in crate::conformance) fn is_declared(self, capabilities: &Capabilities) -> bool {
        match self {
            Self::Filter => capabilities.filter,
            Self::Compute => capabilities.expression,
            Self::Join => capabilities.join,
            Self::Aggregate => capabilities.aggregate,
            Self::Window => capabilities.window,
            Self::Sort => capabilities.sort,
            Self::Limit => capabilities.limit,
            Self::Union => capabilities.union,
        }
    }

    /// Whether a step of our own plan does this.
    fn is_step(self, step: &PlanStep) -> bool {
        match self {
            Self::Limit => step.operator == "limit" || step.details.iter().any(|(label, _)| label == "first"),
            // `window agg` and `bounded window agg`.
            Self::Window => step.operator.contains("window"),
            other => step.operator == other.name(),
        }
    }
}

impl Place {
    /// Where the operators of several statements were done together; `None` of none.
    pub(super) fn of_all(places: Vec<Self>) -> Option<Self> {
        let first = places.first()?.clone();
        if places.iter().all(|place| *place == first) {
            return Some(first);
        }
        let mut reasons: Vec<String> = Vec::new();
        for place in &places {
            if let Self::Here(reason) | Self::Partly(reason) = place
                && !reasons.contains(reason)
            {
                reasons.push(reason.clone());
            }
        }
        let any_there = places.iter().any(|place| !matches!(place, Self::Here(_)));
        let reasons = reasons.join("; ");
        Some(if any_there { Self::Partly(reasons) } else { Self::Here(reasons) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::There => f.write_str("in the source"),
            Self::Again => f.write_str("in the source, and checked again here"),
            Self::Partly(reason) => write!(f, "in part: {reason}"),
            Self::Here(reason) => write!(f, "here: {reason}"),
        }
    }
}

/// Finds out from the explained plan where an operator is done, and whether anything at all but columns is pushed.
pub(in crate::conformance) async fn place_of(
    bench: &Bench,
    sql: &str,
    operator: Operator,
) -> Result<(Place, bool), String> {
    let (explanation, _) = bench
        .engine
        .explain(sql, false, Default::default())
        .await
        .map_err(|error| format!("{}: {error}: {:?}", error.code().name(), error.detail()))?;
    let (mut here, mut remote) = (Vec::new(), Vec::new());
    collect(&explanation.root, &mut here, &mut remote);
    let is_here = here.iter().any(|step| operator.is_step(step));
    // A limit right above a sort is part of it.
    let is_done = |pushed: &String| pushed == operator.pushed() || (operator == Operator::Limit && pushed == "sort");
    let is_there = remote.iter().any(|step| step.pushed.iter().any(is_done));
    let parts: Vec<&NotPushed> = remote.iter().flat_map(|step| &step.not_pushed).collect();
    let of_operator = |part: &&&NotPushed| {
        part.operator == operator.pushed() || (operator == Operator::Limit && part.operator == "sort")
    };
    let anything = remote.iter().any(|step| !step.pushed.is_empty());
    let place = match (is_here, is_there) {
        (false, true) => Place::There,
        (false, false) if operator.is_declared(&bench.capabilities) => {
            return Err(format!("the plan has no {} at all", operator.name()));
        }
        // A count may be known beforehand, and a cast change nothing.
        (false, false) => Place::Here(format!("nothing is left to do for the {}", operator.name())),
        (true, _) if parts.iter().filter(of_operator).any(|part| part.checked_again) => Place::Again,
        (true, there) => {
            let mut reasons: Vec<&str> = Vec::new();
            // A reason for what lies below explains what lies above it too.
            let own = parts.iter().filter(of_operator).map(|part| part.reason.as_str());
            let all = parts.iter().map(|part| part.reason.as_str());
            for reason in if own.clone().next().is_some() { own.collect::<Vec<_>>() } else { all.collect() } {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            if reasons.is_empty() {
                return Err(format!("the {} runs here, and the plan does not say why", operator.name()));
            }
            // A whole operator may stay beside one of its kind that went.
            let reasons = reasons.join("; ");
            if there && operator != Operator::Compute { Place::Partly(reasons) } else { Place::Here(reasons) }
        }
    };
    Ok((place, anything))
}

fn collect<'a>(step: &'a PlanStep, here: &mut Vec<&'a PlanStep>, remote: &mut Vec<&'a RemoteStep>) {
    match &step.remote {
        Some(found) => remote.push(found),
        None => here.push(step),
    }
    for input in &step.inputs {
        collect(input, here, remote);
    }
}
