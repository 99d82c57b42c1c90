use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use tombolo_connector::ReadSnapshot;

use super::receipt::{JoinReceipt, JoinSideReceipt, KeyReceipt, NotPushed, SubQueryOutcome, SubQueryReceipt};
use crate::execute::{KeyReport, ScanSnapshot, SourceScanExec, inputs};
use crate::fuse::{CountedJoin, SideCounts, Which};
use crate::plan::{expr_text, is_across, is_text, type_text};
use crate::pushdown::NotPushedPart;

/// The receipt of one sub-query, from its counters at this moment.
pub(crate) fn sub_query(scan: &SourceScanExec) -> SubQueryReceipt {
    let snapshot = scan.counters().snapshot();
    let node = scan.scan();
    SubQueryReceipt {
        id: node.id,
        source: node.source.name().to_owned(),
        kind: node.source.kind().to_owned(),
        tables: table_names(scan),
        language: scan.native().language.clone(),
        native: scan.native().text.clone(),
        outcome: outcome(&snapshot),
        rows: snapshot.rows,
        bytes: snapshot.bytes,
        partitions: snapshot.opened,
        streams: scan.streams(),
        snapshot: scan.snapshot(),
        first_row_ms: snapshot.first_row_ms,
        elapsed_ms: snapshot.elapsed_ms,
        read_at: snapshot.started_at,
        not_pushed: not_pushed(&node.not_pushed),
        keys: scan.supplies().iter().map(|supply| keys(supply.report())).collect(),
    }
}

fn keys(report: KeyReport) -> KeyReceipt {
    let KeyReport { from, to, keys, batches, reason, is_here, is_range, answered, .. } = report;
    let (requests, compared_here) = if is_here { (None, batches.is_some() || is_range) } else { (batches, false) };
    KeyReceipt { from, to, collected: keys, from_before: answered, requests, reason, compared_here, range: is_range }
}

/// The tables of a sub-query by their source's names, each once.
pub(crate) fn table_names(scan: &SourceScanExec) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for table in scan.scan().scan.tables() {
        let name = table.table().to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn outcome(snapshot: &ScanSnapshot) -> SubQueryOutcome {
    if snapshot.failed > 0 {
        SubQueryOutcome::Failed
    } else if snapshot.opened == 0 {
        SubQueryOutcome::NotRun
    } else if snapshot.finished == snapshot.opened && snapshot.opened >= snapshot.announced {
        SubQueryOutcome::Finished
    } else {
        SubQueryOutcome::Stopped
    }
}

pub(crate) fn not_pushed(parts: &[NotPushedPart]) -> Vec<NotPushed> {
    let receipt = |part: &NotPushedPart| NotPushed {
        operator: part.operator.to_owned(),
        part: part.part.clone(),
        reason: part
            .reason
            .clone()
            .unwrap_or_else(|| "the source uses it to read less; it is checked again here".into()),
        checked_again: part.reason.is_none(),
    };
    parts.iter().map(receipt).collect()
}

/// The receipt of one join, from its counters at this moment.
pub(crate) fn join(join: &CountedJoin) -> JoinReceipt {
    let counts = join.tally.counts();
    let pairs = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    let side = |tables: &[String], counts: SideCounts, matched: Option<u64>| JoinSideReceipt {
        tables: tables.to_vec(),
        rows: counts.rows,
        matched,
        reduced: counts.reduced,
    };
    let complete = counts.left.complete && counts.right.complete;
    // A semi or an anti join puts out rows of one side only; of the other it cannot be told which rows matched.
    let (left, right) = match join.join_type {
        // Rows were read and then not needed.
        _ if !complete => (None, None),
        _ if pairs => (Some(counts.left.matched), Some(counts.right.matched)),
        JoinType::LeftAnti | JoinType::RightAnti if join.null_aware => (None, None),
        JoinType::LeftSemi => (Some(counts.output_rows), None),
        JoinType::LeftAnti => (counts.left.rows.checked_sub(counts.output_rows), None),
        JoinType::RightSemi => (None, Some(counts.output_rows)),
        JoinType::RightAnti => (None, counts.right.rows.checked_sub(counts.output_rows)),
        _ => (None, None),
    };
    // Rows that are looked up for each part may come more than once.
    let looked_up = join.looked_up.get();
    let left = left.filter(|_| looked_up != Some(&Which::Left));
    let right = right.filter(|_| looked_up != Some(&Which::Right));
    // Where the keys of another join have left out partners, there were more.
    let is_foreign = counts.left.reduced && counts.right.reduced;
    JoinReceipt {
        id: join.id,
        kind: kind(join.join_type).to_owned(),
        condition: join.condition.clone(),
        left: side(&join.left_tables, counts.left, left),
        right: side(&join.right_tables, counts.right, right),
        output_rows: counts.output_rows,
        fan_out: left
            .filter(|matched| pairs && *matched > 0 && !is_foreign)
            .map(|matched| counts.pairs as f64 / matched as f64),
        complete,
    }
}

/// A join type in words.
pub(crate) fn kind(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Inner => "inner",
        JoinType::Left => "left",
        JoinType::Right => "right",
        JoinType::Full => "full",
        JoinType::LeftSemi => "left semi",
        JoinType::RightSemi => "right semi",
        JoinType::LeftAnti => "left anti",
        JoinType::RightAnti => "right anti",
        JoinType::LeftMark => "left mark",
        JoinType::RightMark => "right mark",
    }
}

/// Bytes that the operators of a plan wrote to temporary files.
pub(crate) fn spilled_bytes(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
    own + inputs(plan).into_iter().map(spilled_bytes).sum::<u64>()
}

/// What a reader should know of a sub-query that was run.
pub(crate) fn notice(query: &SubQueryReceipt) -> Option<String> {
    let requests = query.keys.iter().filter_map(|keys| keys.requests).find(|requests| *requests > 1);
    match &query.snapshot {
        Some(ReadSnapshot::Shared(_)) => return None,
        Some(ReadSnapshot::Own(reason)) => {
            let (source, tables) = (&query.source, query.tables.join(" and "));
            let own = match requests {
                Some(requests) => format!("each of {requests} requests for {tables} in one of its own"),
                None => format!("{tables} in one of its own"),
            };
            return Some(format!("source `{source}` was not read in one snapshot, {own}: {reason}"));
        }
        None => {}
    }
    let requests = requests?;
    Some(format!(
        "source `{}` was asked for {} in {requests} requests, each of which read it as it was at that moment",
        query.source,
        query.tables.join(" and ")
    ))
}

/// What a reader should know of a plan: join keys of one source that have different types and are converted to be compared.
pub(crate) fn notices(plan: &LogicalPlan) -> Vec<String> {
    let mut notices = Vec::new();
    let _ = plan.apply_with_subqueries(|plan| {
        collect_notices(plan, &mut notices);
        Ok(TreeNodeRecursion::Continue)
    });
    notices
}

fn collect_notices(plan: &LogicalPlan, notices: &mut Vec<String>) {
    if let LogicalPlan::Join(join) = plan {
        for (left, right) in &join.on {
            for (key, other, input) in [(left, right, &join.left), (right, left, &join.right)] {
                // Of two sources it was told before what they are compared as.
                if !is_across((left, &join.left), (right, &join.right))
                    && let Expr::Cast(cast) = key
                    && let Expr::Column(column) = cast.expr.as_ref()
                    && let Ok((_, field)) = input.schema().qualified_field_from_column(column)
                {
                    let (from, to) = (field.data_type(), cast.field.data_type());
                    let (from_text, to_text) = (type_text(from), type_text(to));
                    if from_text == to_text {
                        continue;
                    }
                    let (key, other) = (expr_text(&cast.expr), expr_text(other));
                    let mut notice =
                        format!("{key} ({from_text}) is converted to {to_text} to be compared with {other}");
                    if is_text(to) {
                        notice.push_str("; text with leading zeros or blanks does not match");
                    } else if is_text(from) {
                        notice.push_str("; text that is not of that type is an error, and `007` equals 7");
                    }
                    if !notices.contains(&notice) {
                        notices.push(notice);
                    }
                }
            }
        }
    }
}
