use tombolo_connector::ReadSnapshot;
use tombolo_engine::check::{
    ColumnReceipt, JoinReceipt, JoinSideReceipt, KeyReceipt, NotPushed, Receipt, SubQueryOutcome, SubQueryReceipt,
};

use crate::render::number;
use crate::render::text::listing;

/// What a receipt says, in words, before it is set for a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// The answer in one line: `12 rows in 182 ms`.
    pub(crate) headline: String,
    /// What a reader must not miss: a cap that was reached, an answer that was not read to its end.
    pub(crate) warnings: Vec<String>,
    /// The rest, under headings.
    pub(crate) sections: Vec<Section>,
}

/// A heading and what stands under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: &'static str,
    /// What stands under it.
    pub(crate) entries: Vec<Entry>,
}

/// One thing of a section: its name, facts that align with those of the entries above and below, and lines under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name; may be empty.
    pub(crate) name: String,
    /// Short facts, each in its own column.
    pub(crate) facts: Vec<String>,
    /// What stands under it.
    pub(crate) lines: Vec<Line>,
}

/// A line under an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// A sentence.
    Text(String),
    /// A sentence that deserves a look.
    Warning(String),
    /// What a source was asked, in its own language.
    Native(String),
}

impl Report {
    /// Puts a receipt into words.
    pub(crate) fn new(receipt: &Receipt) -> Self {
        let sections = [
            Section {
                title: "What each source was asked",
                entries: receipt.sub_queries.iter().map(sub_query).collect(),
            },
            Section { title: "How the rows met", entries: receipt.joins.iter().map(join).collect() },
            Section { title: "Where the columns come from", entries: receipt.columns.iter().map(column).collect() },
            Section { title: "Good to know", entries: receipt.notices.iter().map(|notice| sentence(notice)).collect() },
        ];
        Self {
            headline: headline(receipt),
            warnings: warnings(receipt),
            sections: sections.into_iter().filter(|section| !section.entries.is_empty()).collect(),
        }
    }
}

/// Which rows found no match, and what else a reader should know, in sentences: the receipt in short.
pub(crate) fn gaps(receipt: &Receipt) -> Vec<String> {
    let mut gaps = warnings(receipt);
    for join in &receipt.joins {
        let (left, right) = side_names(&join.left, &join.right);
        for (side, name, other) in [(&join.left, &left, &right), (&join.right, &right, &left)] {
            let Some(unmatched) = side.unmatched().filter(|unmatched| *unmatched > 0) else { continue };
            gaps.push(format!(
                "{} of {} of {name} {} no match in {other} ({})",
                number::count(unmatched),
                number::rows(side.rows),
                if unmatched == 1 { "has" } else { "have" },
                number::percent(unmatched, side.rows)
            ));
        }
    }
    gaps.extend(receipt.notices.iter().cloned());
    gaps
}

fn headline(receipt: &Receipt) -> String {
    let mut line = format!(
        "{} in {}, of which {} to plan",
        number::rows(receipt.rows),
        number::milliseconds(receipt.elapsed_ms),
        number::milliseconds(receipt.planning_ms)
    );
    if let Some(bytes) = receipt.peak_memory_bytes.filter(|bytes| *bytes > 0) {
        line.push_str(&format!("; at most {} of memory", number::bytes(bytes)));
    }
    if receipt.spilled_bytes > 0 {
        line.push_str(&format!("; {} went through temporary files", number::bytes(receipt.spilled_bytes)));
    }
    line
}

fn warnings(receipt: &Receipt) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(limit) = receipt.limit.as_ref().filter(|limit| limit.reached) {
        warnings.push(format!("capped at {}: there are more", number::rows(limit.limit)));
    }
    // A cap that stopped the query is no failure; it has just been named.
    if !receipt.complete && warnings.is_empty() {
        warnings.push("not complete: the answer was not read to its end".to_owned());
    }
    warnings
}

fn sub_query(query: &SubQueryReceipt) -> Entry {
    let mut facts = vec![listing(&query.tables)];
    if query.outcome == SubQueryOutcome::NotRun {
        facts.push("not run".to_owned());
    } else {
        facts.push(number::rows(query.rows));
        facts.push(number::bytes(query.bytes));
        facts.push(query.elapsed_ms.map(number::milliseconds).unwrap_or_default());
        facts.push(query.read_at.map(|time| format!("at {} UTC", time.format("%H:%M:%S%.3f"))).unwrap_or_default());
    }
    let mut lines = vec![Line::Native(query.native.clone())];
    match query.outcome {
        SubQueryOutcome::Finished => {}
        SubQueryOutcome::Stopped => lines.push(Line::Text("stopped early: no more rows were needed".to_owned())),
        SubQueryOutcome::NotRun => lines.push(Line::Text("the rest of the plan had no use for it".to_owned())),
        SubQueryOutcome::Failed => lines.push(Line::Warning("failed".to_owned())),
    }
    lines.extend(query.keys.iter().map(|keys| Line::Text(shipped_keys(keys))));
    lines.extend(query.streams.iter().map(|streams| Line::Text(format!("read by {streams}"))));
    if let Some(ReadSnapshot::Shared(name)) = &query.snapshot {
        lines.push(Line::Text(format!("read in the snapshot {name}")));
    }
    // A join that ran here has a place of its own in the receipt.
    let stayed = query.not_pushed.iter().filter(|part| part.operator != "join");
    lines.extend(stayed.map(|part| Line::Text(not_pushed(part))));
    Entry { name: format!("{} ({})", query.source, query.kind), facts, lines }
}

/// What became of the keys that a join had for a sub-query.
fn shipped_keys(keys: &KeyReceipt) -> String {
    let KeyReceipt { from, to, collected, from_before, requests, reason, compared_here, range } = keys;
    let count = |count: u64| if count == 1 { "1 key".to_owned() } else { format!("{} keys", number::count(count)) };
    let mut told = match (collected, requests, reason) {
        (_, _, Some(reason)) if *compared_here && *range => {
            format!(
                "rows were compared with the least and the greatest key of {from} for {to} as they were read: {reason}"
            )
        }
        (Some(collected), _, _) if *compared_here => {
            format!("rows were compared with {} of {from} for {to} as they were read", count(*collected))
        }
        (Some(collected), Some(0), _) => format!("asked nothing, with {} of {from} for {to}", count(*collected)),
        (Some(collected), Some(1), _) => format!("asked with {} of {from} for {to}", count(*collected)),
        (Some(collected), Some(requests), _) => {
            format!("asked {} times with {} of {from} for {to}", number::count(*requests as u64), count(*collected))
        }
        (_, None, Some(reason)) if *range => {
            format!("asked from the least to the greatest key of {from} for {to}, not with the keys: {reason}")
        }
        (_, None, Some(reason)) => format!("asked without the keys of {from}: {reason}"),
        _ => format!("the keys of {from} for {to} were not collected"),
    };
    if *from_before > 0 {
        told.push_str(&format!("; {} from answers before", count(*from_before)));
    }
    told
}

/// What a source was not given and why: `filter lower(name) = 'x' stayed here: …`.
pub(crate) fn not_pushed(part: &NotPushed) -> String {
    let what = if part.part.is_empty() { part.operator.clone() } else { format!("{} {}", part.operator, part.part) };
    if part.checked_again {
        // The reason itself says what the source makes of it.
        format!("{what}: {}", part.reason)
    } else {
        format!("{what} stayed here: {}", part.reason)
    }
}

fn join(join: &JoinReceipt) -> Entry {
    let (left, right) = side_names(&join.left, &join.right);
    let is_foreign = join.left.reduced && join.right.reduced;
    let mut lines = vec![side(&join.left, &left, &right, is_foreign), side(&join.right, &right, &left, is_foreign)];
    if let Some(fan_out) = join.fan_out {
        lines.push(Line::Text(if (fan_out - 1.0).abs() < 0.005 {
            format!("each row of {left} with a match met one row of {right}")
        } else {
            format!("each row of {left} with a match met {} rows of {right} on average", number::factor(fan_out))
        }));
    }
    if !join.complete {
        lines.push(Line::Warning("an input was not read to its end: the counts are of what was read".to_owned()));
    }
    Entry {
        name: format!("{} join on {}", join.kind, join.condition),
        facts: vec![number::rows(join.output_rows)],
        lines,
    }
}

/// How the rows of one side met the other.
fn side(side: &JoinSideReceipt, name: &str, other: &str, is_foreign: bool) -> Line {
    let rows = number::rows(side.rows);
    match (side.matched, side.unmatched()) {
        _ if side.reduced && side.rows == 0 => {
            Line::Text(format!("{name} → {other}: no row of {name} has one of its keys"))
        }
        // Keys of this join go to one of its sides; where both have less, those of another join have left rows out.
        _ if side.reduced && is_foreign => Line::Text(format!(
            "{name} → {other}: {rows}; how many found a match is not known, since keys of another join left rows out"
        )),
        _ if side.reduced && side.rows == 1 => {
            Line::Text(format!("{name} → {other}: {rows} has one of its keys; only that was read"))
        }
        _ if side.reduced => Line::Text(format!("{name} → {other}: {rows} have one of its keys; only these were read")),
        _ if side.rows == 0 => Line::Warning(format!("{name} → {other}: no rows came from {name}")),
        (Some(_), Some(0)) if side.rows == 1 => Line::Text(format!("{name} → {other}: the one row found a match")),
        (Some(0), _) if side.rows == 1 => Line::Warning(format!("{name} → {other}: the one row found no match")),
        (Some(_), Some(0)) => Line::Text(format!("{name} → {other}: all {rows} found a match")),
        (Some(0), _) => Line::Warning(format!("{name} → {other}: none of {rows} found a match")),
        (Some(matched), Some(unmatched)) => Line::Text(format!(
            "{name} → {other}: {} of {rows} found a match; {} did not ({})",
            number::count(matched),
            number::count(unmatched),
            number::percent(unmatched, side.rows)
        )),
        _ => Line::Text(format!("{name} → {other}: {rows} (this kind of join cannot count its matches)")),
    }
}

/// The shortest names that tell the sides of a join apart: tables alone, or with their sources.
fn side_names(left: &JoinSideReceipt, right: &JoinSideReceipt) -> (String, String) {
    let short = |side: &JoinSideReceipt| -> Vec<String> {
        side.tables.iter().map(|table| table.rsplit('.').next().unwrap_or(table).to_owned()).collect()
    };
    let (short_left, short_right) = (short(left), short(right));
    let clash = short_left.iter().any(|name| short_right.contains(name));
    let name = |short: Vec<String>, full: &[String], side: &str| match (full, clash) {
        ([], _) => format!("the {side} side"),
        (full, true) => joined(full),
        _ => joined(&short),
    };
    (name(short_left, &left.tables, "left"), name(short_right, &right.tables, "right"))
}

/// The tables of a side. A side that is itself a join of many is named by its first table.
fn joined(tables: &[String]) -> String {
    match tables {
        [first, rest @ ..] if rest.len() > 1 => format!("{first} + {} more", rest.len()),
        few => few.join(" + "),
    }
}

fn column(column: &ColumnReceipt) -> Entry {
    let origins = column.origins.join(", ");
    let fact = match (column.computed, origins.is_empty()) {
        (_, true) => "computed".to_owned(),
        (true, false) => format!("computed from {origins}"),
        (false, false) => origins,
    };
    Entry { name: column.name.clone(), facts: vec![fact], lines: Vec::new() }
}

fn sentence(text: &str) -> Entry {
    Entry { lines: vec![Line::Text(text.to_owned())], ..Entry::default() }
}
