use std::io::{self, Write};

use tombolo_engine::check::{Explanation, NotPushed, PlanStep, RemoteStep, StepActuals};

use crate::render::number;
use crate::render::style::{Style, Terminal};
use crate::render::text::{escape, escape_lines, listing, wrap};

/// Writes the plan as a tree: the last step on top, each step above those that feed it, numbered in the order in which
/// they run. Under a step that a source does stand the native query, what the source does itself, and what it was not
/// given and why.
pub(super) fn write(out: &mut dyn Write, explanation: &Explanation, terminal: Terminal) -> io::Result<()> {
    let summary = match explanation.elapsed_ms {
        Some(elapsed) if explanation.analyzed => format!(
            "ran in {}, of which {} to plan",
            number::milliseconds(elapsed),
            number::milliseconds(explanation.planning_ms)
        ),
        _ => format!("made in {}; nothing was read", number::milliseconds(explanation.planning_ms)),
    };
    writeln!(out, "{} {summary}", terminal.paint(Style::Heading, "Plan:"))?;
    writeln!(out)?;
    Tree { out: &mut *out, terminal }.step(&explanation.root, &Place::ROOT)?;
    if !explanation.notices.is_empty() {
        writeln!(out)?;
        writeln!(out, "{}", terminal.paint(Style::Heading, "Good to know"))?;
        for notice in &explanation.notices {
            for (index, line) in wrap(&escape(notice), terminal.prose_width().saturating_sub(4)).iter().enumerate() {
                writeln!(out, "  {} {line}", if index == 0 { "·" } else { " " })?;
            }
        }
    }
    Ok(())
}

/// Where a step stands in the tree: what is drawn before its own line and before the lines below it.
struct Place {
    own: String,
    below: String,
}

impl Place {
    const ROOT: Self = Self { own: String::new(), below: String::new() };

    fn input(&self, is_last: bool) -> Self {
        let (own, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        Self { own: format!("{}{own}", self.below), below: format!("{}{below}", self.below) }
    }
}

struct Tree<'a> {
    out: &'a mut dyn Write,
    terminal: Terminal,
}

impl Tree<'_> {
    fn step(&mut self, step: &PlanStep, place: &Place) -> io::Result<()> {
        let heading = self.heading(step);
        let own = self.terminal.paint(Style::Dim, &place.own);
        writeln!(self.out, "{own}{heading}")?;
        // Lines under a step are joined to its inputs by a bar, if it has any.
        let bar = if step.inputs.is_empty() { "     " } else { "│    " };
        let below = format!("{}{bar}", place.below);
        for (label, text) in &step.details {
            self.part(&below, label, text, None)?;
        }
        if let Some(remote) = &step.remote {
            self.remote(&below, remote)?;
        }
        if let Some(actual) = &step.actual {
            self.actual(&below, actual)?;
        }
        for (index, input) in step.inputs.iter().enumerate() {
            self.step(input, &place.input(index + 1 == step.inputs.len()))?;
        }
        Ok(())
    }

    fn heading(&self, step: &PlanStep) -> String {
        let paint = |style, text: &str| self.terminal.paint(style, text);
        let mut heading =
            format!("{} {}", paint(Style::Dim, &step.id.to_string()), paint(Style::Heading, &escape(&step.operator)));
        if let Some(remote) = &step.remote {
            heading.push_str(&format!(
                " {} ({}) {}",
                paint(Style::Name, &escape(&remote.source)),
                escape(&remote.kind),
                escape(&listing(&remote.tables))
            ));
        }
        if let Some(strategy) = &step.strategy {
            heading.push_str(&format!(" · {}", escape(strategy)));
        }
        let actual = step.actual.as_ref().and_then(|actual| actual.rows);
        let rows = match (actual, step.estimated_rows) {
            (Some(actual), Some(estimated)) if actual != estimated => {
                format!("{} (expected ~{})", number::rows(actual), number::count(estimated))
            }
            (Some(actual), _) => number::rows(actual),
            (None, Some(estimated)) => format!("~{}", number::rows(estimated)),
            (None, None) => return heading,
        };
        heading.push_str(&format!("  {}", paint(Style::Dim, &format!("→ {rows}"))));
        heading
    }

    fn remote(&mut self, below: &str, remote: &RemoteStep) -> io::Result<()> {
        let label = if remote.language.is_empty() { "asks" } else { &remote.language };
        self.part(below, label, &remote.native, Some(Style::Good))?;
        if !remote.pushed.is_empty() {
            self.part(below, "pushed", &remote.pushed.join(", "), None)?;
        }
        for part in &remote.not_pushed {
            self.part(
                below,
                if part.checked_again { "rechecked" } else { "not pushed" },
                &reason(part),
                Some(Style::Warning),
            )?;
        }
        Ok(())
    }

    fn actual(&mut self, below: &str, actual: &StepActuals) -> io::Result<()> {
        let seen: Vec<String> = [
            actual.elapsed_ms.map(number::milliseconds),
            actual.bytes.map(number::bytes),
            actual.batches.map(|batches| number::counted(batches, "batch", "batches")),
            actual.memory_bytes.filter(|bytes| *bytes > 0).map(|bytes| format!("{} of memory", number::bytes(bytes))),
            actual.spilled_bytes.filter(|bytes| *bytes > 0).map(|bytes| format!("{} spilled", number::bytes(bytes))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if seen.is_empty() { Ok(()) } else { self.part(below, "took", &seen.join(", "), None) }
    }

    /// A label and a text that wraps beside it.
    fn part(&mut self, below: &str, label: &str, text: &str, style: Option<Style>) -> io::Result<()> {
        const LABELS: usize = 12;
        let label = escape(label);
        let used = below.chars().count() + LABELS.max(label.chars().count() + 1);
        let room = self.terminal.prose_width().saturating_sub(used).max(24);
        let lines: Vec<String> = escape_lines(text.trim()).iter().flat_map(|line| wrap(line, room)).collect();
        let below = self.terminal.paint(Style::Dim, below);
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label.as_str() } else { "" };
            let label = format!("{label:<width$}", width = LABELS.max(label.chars().count() + 1));
            let line = style.map_or_else(|| line.clone(), |style| self.terminal.paint(style, line));
            writeln!(self.out, "{below}{}{line}", self.terminal.paint(Style::Dim, &label))?;
        }
        Ok(())
    }
}

fn reason(part: &NotPushed) -> String {
    if part.part.is_empty() {
        format!("{}: {}", part.operator, part.reason)
    } else {
        format!("{} {}: {}", part.operator, part.part, part.reason)
    }
}
