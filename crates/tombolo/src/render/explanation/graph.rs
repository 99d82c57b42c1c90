use std::io::{self, Write};

use tombolo_engine::check::{Explanation, PlanStep};

use crate::render::number;
use crate::render::text::{escape_lines, listing, wrap};

/// Characters in a line of a box.
const BOX_WIDTH: usize = 48;

/// Lines of a native query in a box; the text has all of it.
const BOX_NATIVE_LINES: usize = 10;

/// Writes the plan for Graphviz: rows flow upwards from the sources to the answer.
pub(super) fn write_dot(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    writeln!(out, "digraph plan {{")?;
    writeln!(out, "  rankdir=BT;")?;
    writeln!(
        out,
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\", fontsize=11];"
    )?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=10];")?;
    for step in steps(explanation) {
        // `\l` ends a line and sets it at the left.
        let label: String = label_lines(step).iter().map(|line| format!("{}\\l", escape_dot(line))).collect();
        let fill = if step.remote.is_some() { ", fillcolor=\"#e3f1ea\"" } else { "" };
        writeln!(out, "  step{} [label=\"{label}\"{fill}];", step.id)?;
    }
    for step in steps(explanation) {
        for input in &step.inputs {
            let label = rows(input).map(|rows| format!(" [label=\" {}\"]", escape_dot(&rows))).unwrap_or_default();
            writeln!(out, "  step{} -> step{}{label};", input.id, step.id)?;
        }
    }
    writeln!(out, "}}")
}

/// Writes the plan as a Mermaid flowchart: rows flow upwards from the sources to the answer.
pub(super) fn write_mermaid(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    writeln!(out, "flowchart BT")?;
    for step in steps(explanation) {
        let label: Vec<String> = label_lines(step).iter().map(|line| escape_mermaid(line)).collect();
        let class = if step.remote.is_some() { ":::source" } else { "" };
        writeln!(out, "  step{}[\"{}\"]{class}", step.id, label.join("<br/>"))?;
    }
    for step in steps(explanation) {
        for input in &step.inputs {
            match rows(input) {
                Some(rows) => writeln!(out, "  step{} -->|\"{}\"| step{}", input.id, escape_mermaid(&rows), step.id)?,
                None => writeln!(out, "  step{} --> step{}", input.id, step.id)?,
            }
        }
    }
    writeln!(out, "  classDef source fill:#e3f1ea,stroke:#3a7d5c,color:#10261c")
}

fn steps(explanation: &Explanation) -> Vec<&PlanStep> {
    let mut steps = Vec::new();
    let mut waiting = vec![&explanation.root];
    while let Some(step) = waiting.pop() {
        steps.push(step);
        waiting.extend(&step.inputs);
    }
    steps.sort_by_key(|step| step.id);
    steps
}

fn label_lines(step: &PlanStep) -> Vec<String> {
    let mut lines = Vec::new();
    let mut heading = format!("{} {}", step.id, step.operator);
    if let Some(remote) = &step.remote {
        heading.push_str(&format!(" {} ({}): {}", remote.source, remote.kind, listing(&remote.tables)));
    }
    if let Some(strategy) = &step.strategy {
        heading.push_str(&format!(" · {strategy}"));
    }
    lines.extend(wrap(&heading, BOX_WIDTH));
    for (label, text) in &step.details {
        lines.extend(wrap(&format!("{label}: {text}"), BOX_WIDTH));
    }
    if let Some(remote) = &step.remote {
        let mut native: Vec<String> =
            escape_lines(remote.native.trim()).iter().flat_map(|line| wrap(line, BOX_WIDTH)).collect();
        if native.len() > BOX_NATIVE_LINES {
            native.truncate(BOX_NATIVE_LINES);
            native.push("…".to_owned());
        }
        lines.extend(native);
        for part in &remote.not_pushed {
            lines.extend(wrap(&format!("not pushed: {} {}: {}", part.operator, part.part, part.reason), BOX_WIDTH));
        }
    }
    lines.iter().map(|line| crate::render::text::escape(line)).collect()
}

fn rows(step: &PlanStep) -> Option<String> {
    match (step.actual.as_ref().and_then(|actual| actual.rows), step.estimated_rows) {
        (Some(rows), _) => Some(number::rows(rows)),
        (None, Some(rows)) => Some(format!("~{}", number::rows(rows))),
        (None, None) => None,
    }
}

fn escape_dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Mermaid takes HTML in its labels, and ends them at a quote; its entities are written with `#`.
fn escape_mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '|' => {
                escaped.push_str(&format!("#{};", u32::from(character)))
            }
            character => escaped.push(character),
        }
    }
    escaped
}
