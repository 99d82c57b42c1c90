use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::advice::advice;
use super::build::{join as join_receipt, kind, not_pushed, table_names};
use super::explanation::{PlanStep, RemoteStep, StepActuals};
use crate::execute::{KeyReport, SharedExec, SourceScanExec};
use crate::fuse::{CollectKeysExec, Counter, EitherExec, JoinCountExec, JoinStrategy, LookupJoinExec};
use crate::plan::{FilterAtOnceExec, plain_physical};

/// Operators that move or cut rows without a meaning of their own; a reader is not shown them.
const PLUMBING: &[&str] = &[
    "RepartitionExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "SortPreservingMergeExec",
    "CooperativeExec",
    "OutputRequirementExec",
    "BufferExec",
    "UnorderedExec",
    "RowGuardExec",
    "CollectKeysExec",
];

/// Tells a physical plan as steps; with `analyzed`, with what was seen when it ran.
pub(crate) fn steps(plan: &Arc<dyn ExecutionPlan>, analyzed: bool) -> PlanStep {
    let mut next = 0;
    let mut root = Steps { analyzed, statistics: StatisticsContext::new(), shown: RefCell::default() }.step(plan);
    number(&mut root, &mut next);
    root
}

/// Numbers the steps in the order of execution, inputs first.
fn number(step: &mut PlanStep, next: &mut usize) {
    for input in &mut step.inputs {
        number(input, next);
    }
    *next += 1;
    step.id = *next;
}

struct Steps {
    analyzed: bool,
    statistics: StatisticsContext,
    /// The shared rows of which it was told what makes them.
    shown: RefCell<BTreeSet<usize>>,
}

fn cast<T: 'static>(plan: &Arc<dyn ExecutionPlan>) -> Option<&T> {
    (plan.as_ref() as &dyn Any).downcast_ref()
}

impl Steps {
    fn step(&self, plan: &Arc<dyn ExecutionPlan>) -> PlanStep {
        if let Some(scan) = cast::<SourceScanExec>(plan) {
            return self.read(plan, scan);
        }
        if let Some(counter) = cast::<JoinCountExec>(plan) {
            let mut step = self.through(plan);
            if counter.work().is_above() {
                self.add_counts(&mut step, counter.work());
            }
            return step;
        }
        if PLUMBING.contains(&plan.name()) || is_first_half(plan) || is_plain_projection(plan) {
            return self.through(plan);
        }
        let mut step = self.here(plan, plan.name().trim_end_matches("Exec"));
        self.describe(plan, &mut step);
        add_fetch(plan, &mut step);
        step
    }

    /// A plan that is not shown stands for its only input.
    fn through(&self, plan: &Arc<dyn ExecutionPlan>) -> PlanStep {
        match plan.children().as_slice() {
            [input] => {
                let mut step = self.step(input);
                add_fetch(plan, &mut step);
                step
            }
            _ => self.here(plan, plan.name()),
        }
    }

    fn here(&self, plan: &Arc<dyn ExecutionPlan>, operator: &str) -> PlanStep {
        PlanStep {
            id: 0,
            operator: operator.to_owned(),
            strategy: None,
            details: Vec::new(),
            remote: None,
            estimated_rows: self.estimate(plan),
            actual: self.actuals(plan),
            inputs: match cast::<SharedExec>(plan) {
                Some(shared) if self.shown.borrow_mut().insert(shared.id()) => vec![self.step(shared.plan())],
                _ => plan.children().into_iter().map(|input| self.step(input)).collect(),
            },
        }
    }

    fn estimate(&self, plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
        let statistics = self.statistics.compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
        statistics.num_rows.get_value().map(|rows| *rows as u64)
    }

    fn actuals(&self, plan: &Arc<dyn ExecutionPlan>) -> Option<StepActuals> {
        if !self.analyzed {
            return None;
        }
        let metrics = plan.metrics()?;
        let named =
            |name: &str| metrics.sum_by_name(name).map(|value| value.as_usize() as u64).filter(|value| *value > 0);
        Some(StepActuals {
            rows: metrics.output_rows().map(|rows| rows as u64),
            bytes: None,
            batches: named("output_batches"),
            elapsed_ms: metrics.elapsed_compute().map(|nanoseconds| nanoseconds as f64 / 1e6),
            memory_bytes: named("build_mem_used").or_else(|| named("peak_mem_used")),
            spilled_bytes: metrics.spilled_bytes().map(|bytes| bytes as u64).filter(|bytes| *bytes > 0),
        })
    }

    fn read(&self, plan: &Arc<dyn ExecutionPlan>, scan: &SourceScanExec) -> PlanStep {
        let node = scan.scan();
        let mut pushed: Vec<String> = Vec::new();
        collect_operators(&node.scan, &mut pushed);
        let snapshot = scan.counters().snapshot();
        let supplies = scan.supplies();
        let keys = supplies.iter().map(|supply| ("keys".to_owned(), self.keys(&supply.report())));
        let streams = scan.streams().map(|streams| ("read by".to_owned(), streams));
        let advice = advice(scan).into_iter().map(|advice| ("index".to_owned(), advice));
        PlanStep {
            id: 0,
            operator: "read".to_owned(),
            strategy: (!pushed.is_empty()).then(|| "pushdown".to_owned()),
            details: keys.chain(streams).chain(advice).collect(),
            remote: Some(RemoteStep {
                source: node.source.name().to_owned(),
                kind: node.source.kind().to_owned(),
                tables: table_names(scan),
                language: scan.native().language.clone(),
                native: scan.native().text.clone(),
                pushed,
                not_pushed: not_pushed(&node.not_pushed),
            }),
            estimated_rows: scan.estimated_rows().or_else(|| self.estimate(plan)),
            actual: self.analyzed.then_some(StepActuals {
                rows: Some(snapshot.rows),
                bytes: Some(snapshot.bytes),
                batches: Some(snapshot.batches),
                elapsed_ms: snapshot.elapsed_ms,
                memory_bytes: None,
                spilled_bytes: None,
            }),
            inputs: Vec::new(),
        }
    }

    /// What keys a source is to be sent, and when it has run, what became of them.
    fn keys(&self, report: &KeyReport) -> String {
        let KeyReport { from, to, .. } = report;
        let seen = match (report.keys, report.batches, &report.reason) {
            (Some(keys), Some(_), _) if self.analyzed && report.is_here => {
                Some(format!("{keys} keys, compared here as rows are read"))
            }
            (Some(keys), Some(requests), _) if self.analyzed => {
                let word = if requests == 1 { "request" } else { "requests" };
                let before = match report.answered {
                    0 => String::new(),
                    before => format!(", {before} keys from answers before"),
                };
                Some(format!("{keys} keys in {requests} {word}{before}"))
            }
            (Some(keys), None, Some(reason)) if self.analyzed && report.is_range => {
                Some(format!("{keys} keys, asked for from the least to the greatest: {reason}"))
            }
            (Some(keys), None, Some(reason)) if self.analyzed => Some(format!("{keys} keys, not shipped: {reason}")),
            _ => None,
        };
        let expected = || {
            let (how, all) = if report.is_here {
                ("to compare rows with them here", "to work on all rows")
            } else {
                ("to ship them", "to read all")
            };
            format!(
                "about {} keys; {:.1} ms {how}, {:.1} ms {all}",
                report.estimated_keys, report.ship_ms, report.read_all_ms
            )
        };
        format!("{to} in the keys of {from} ({})", seen.unwrap_or_else(expected))
    }

    fn describe(&self, plan: &Arc<dyn ExecutionPlan>, step: &mut PlanStep) {
        let mut detail = |label: &str, text: String| step.details.push((label.to_owned(), text));
        let lookup = cast::<LookupJoinExec>(plan);
        if let Some(join) = lookup.map_or_else(|| cast::<HashJoinExec>(plan), |lookup| cast(lookup.join())) {
            step.operator = "join".to_owned();
            step.strategy = Some(
                match join.partition_mode() {
                    _ if lookup.is_some() => "lookup",
                    _ if ships_keys(plan) => "key shipping",
                    PartitionMode::CollectLeft => "broadcast",
                    PartitionMode::Partitioned | PartitionMode::Auto => "repartition",
                }
                .to_owned(),
            );
            let on: Vec<String> =
                join.on().iter().map(|(left, right)| format!("{} = {}", text(left), text(right))).collect();
            detail("type", kind(*join.join_type()).to_owned());
            detail("on", on.join(" AND "));
            if let Some(filter) = join.filter() {
                detail("if", text(filter.expression()));
            }
        } else if let Some(join) = cast::<SortMergeJoinExec>(plan) {
            step.operator = "join".to_owned();
            let strategy = if ships_keys(plan) { "key shipping, sort-merge" } else { "sort-merge" };
            step.strategy = Some(strategy.to_owned());
            let on: Vec<String> =
                join.on().iter().map(|(left, right)| format!("{} = {}", text(left), text(right))).collect();
            detail("type", kind(join.join_type()).to_owned());
            detail("on", on.join(" AND "));
        } else if let Some(join) = cast::<NestedLoopJoinExec>(plan) {
            step.operator = "join".to_owned();
            step.strategy = Some("nested loop".to_owned());
            detail("type", kind(*join.join_type()).to_owned());
            if let Some(filter) = join.filter() {
                detail("if", text(filter.expression()));
            }
        } else if cast::<CrossJoinExec>(plan).is_some() {
            step.operator = "join".to_owned();
            step.strategy = Some("every pair of rows".to_owned());
        } else if let Some(aggregate) = cast::<AggregateExec>(plan) {
            step.operator = "aggregate".to_owned();
            let group: Vec<&str> = aggregate.group_expr().expr().iter().map(|(_, name)| name.as_str()).collect();
            let aggregates: Vec<&str> = aggregate
                .aggr_expr()
                .iter()
                .map(|aggregate| aggregate.human_display().unwrap_or(aggregate.name()))
                .collect();
            if !group.is_empty() {
                detail("by", group.join(", "));
            }
            if !aggregates.is_empty() {
                detail("compute", plain(&aggregates.join(", ")));
            }
        } else if let Some(filter) = cast(plan).or_else(|| cast(plan).map(FilterAtOnceExec::filter)) {
            step.operator = "filter".to_owned();
            detail("if", text(filter.predicate()));
        } else if let Some(sort) = cast::<SortExec>(plan) {
            step.operator = "sort".to_owned();
            let keys: Vec<String> =
                sort.expr().iter().map(|key| format!("{}{}", text(&key.expr), direction(key.options))).collect();
            detail("by", keys.join(", "));
            if let Some(fetch) = sort.fetch() {
                detail("first", format!("{fetch} rows"));
            }
        } else if let Some(limit) = cast::<GlobalLimitExec>(plan) {
            step.operator = "limit".to_owned();
            if limit.skip() > 0 {
                detail("skip", format!("{} rows", limit.skip()));
            }
            if let Some(fetch) = limit.fetch() {
                detail("first", format!("{fetch} rows"));
            }
        } else if let Some(limit) = cast::<LocalLimitExec>(plan) {
            step.operator = "limit".to_owned();
            detail("first", format!("{} rows of each stream", limit.fetch()));
        } else if let Some(projection) = cast::<ProjectionExec>(plan) {
            step.operator = "compute".to_owned();
            let computed = projection.expr().iter().filter(|item| !is_column(&item.expr));
            let columns: Vec<String> = computed.map(|item| format!("{} = {}", item.alias, text(&item.expr))).collect();
            detail("columns", columns.join(", "));
        } else if cast::<EitherExec>(plan).is_some() {
            step.operator = "either".to_owned();
            detail("chosen", "when it is known how many keys there are".to_owned());
        } else if let Some(shared) = cast::<SharedExec>(plan) {
            step.operator = "shared".to_owned();
            let rows =
                if step.inputs.is_empty() { "as above, not made again" } else { "made once, for all that read them" };
            detail("rows", format!("#{}, {rows}", shared.id()));
        } else if cast::<UnionExec>(plan).is_some() {
            step.operator = "union".to_owned();
        } else {
            step.operator = words(plan.name().trim_end_matches("Exec"));
        }
    }

    fn add_counts(&self, step: &mut PlanStep, counter: &Counter) {
        if step.operator != "join" {
            return;
        }
        if counter.join().strategies.get().is_some_and(|all| all.len() > 1) {
            let told = |strategy: &JoinStrategy| format!("{} {:.1} ms", strategy.name, strategy.read_ms);
            let strategies: Vec<String> = counter.join().strategies.get().into_iter().flatten().map(told).collect();
            step.details.push(("strategies".to_owned(), strategies.join("; ")));
        }
        if !self.analyzed {
            return;
        }
        let receipt = join_receipt(counter.join());
        let is_foreign = receipt.left.reduced && receipt.right.reduced;
        for (label, side) in [("left", &receipt.left), ("right", &receipt.right)] {
            if is_foreign {
                let text = format!("{} rows, of which keys of another join left some out", side.rows);
                step.details.push((label.to_owned(), format!("{text} ({})", side.tables.join(", "))));
            } else if side.reduced {
                let text = format!("{} rows have a key that was shipped ({})", side.rows, side.tables.join(", "));
                step.details.push((label.to_owned(), text));
            } else if let Some(matched) = side.matched {
                let text = format!("{matched} of {} rows found a partner ({})", side.rows, side.tables.join(", "));
                step.details.push((label.to_owned(), text));
            }
        }
    }
}

/// Whether one side of a join gives its keys to the other.
fn ships_keys(join: &Arc<dyn ExecutionPlan>) -> bool {
    fn collects(plan: &Arc<dyn ExecutionPlan>) -> bool {
        let is_plumbing = PLUMBING.contains(&plan.name()) || plan.is::<SortExec>();
        plan.is::<CollectKeysExec>() || (is_plumbing && plan.children().into_iter().any(collects))
    }
    join.children().into_iter().any(collects)
}

/// A limit that an operator keeps beside its own work, which no step of its own shows.
fn add_fetch(plan: &Arc<dyn ExecutionPlan>, step: &mut PlanStep) {
    if let Some(fetch) = plan.fetch()
        && step.remote.is_none()
        && step.details.iter().all(|(label, _)| label != "first")
    {
        step.details.push(("first".to_owned(), format!("{fetch} rows")));
    }
}

/// The operators that a source does, from the outside in, each once in a row.
fn collect_operators(scan: &tombolo_connector::Scan, operators: &mut Vec<String>) {
    let operator = scan.operator();
    if !matches!(operator, "scan" | "alias") && operators.last().is_none_or(|last| last != operator) {
        operators.push(operator.to_owned());
    }
    for input in scan.inputs() {
        collect_operators(input, operators);
    }
}

/// The first half of an aggregate in two steps; the second half is shown for both.
fn is_first_half(plan: &Arc<dyn ExecutionPlan>) -> bool {
    cast::<AggregateExec>(plan).is_some_and(|aggregate| *aggregate.mode() == AggregateMode::Partial)
}

/// A projection that only picks or renames columns.
fn is_plain_projection(plan: &Arc<dyn ExecutionPlan>) -> bool {
    cast::<ProjectionExec>(plan).is_some_and(|projection| projection.expr().iter().all(|item| is_column(&item.expr)))
}

fn is_column(expr: &Arc<dyn PhysicalExpr>) -> bool {
    (expr.as_ref() as &dyn Any).is::<Column>()
}

/// A name that DataFusion made of an aggregate, as it would be written.
fn plain(name: &str) -> String {
    name.replace("count(Int64(1))", "count(*)").replace("count(1)", "count(*)")
}

/// An expression with names alone, without the positions that DataFusion prints.
fn text(expr: &Arc<dyn PhysicalExpr>) -> String {
    let expr = &plain_physical(expr);
    let text =
        datafusion::physical_expr::utils::collect_columns(expr).into_iter().fold(expr.to_string(), |text, column| {
            text.replace(&format!("{}@{}", column.name(), column.index()), column.name())
        });
    plain(&text)
}

fn direction(options: arrow::compute::SortOptions) -> &'static str {
    match (options.descending, options.nulls_first) {
        (false, false) => "",
        (false, true) => " nulls first",
        (true, true) => " desc",
        (true, false) => " desc nulls last",
    }
}

/// `WindowAgg` → `window agg`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}
