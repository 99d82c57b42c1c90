//! A plan as indented text without what varies from run to run: no times, no estimates.

use std::fmt::Write as _;

use tombolo_engine::Explanation;
use tombolo_engine::check::PlanStep;

/// Tells a plan: each step, and for each source what it is asked, what was pushed, what was not and why.
pub fn outline(explanation: &Explanation) -> String {
    let mut text = String::new();
    tell(&explanation.root, 0, &mut text);
    for notice in &explanation.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    text
}

fn tell(step: &PlanStep, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let strategy = step.strategy.as_ref().map(|strategy| format!(" [{strategy}]")).unwrap_or_default();
    let _ = write!(text, "{indent}{}{strategy}", step.operator);
    let Some(remote) = &step.remote else {
        // What strategies are expected to cost changes with every change to the costs.
        for (label, detail) in step.details.iter().filter(|(label, _)| label != "strategies") {
            let _ = write!(text, "; {label}: {detail}");
        }
        text.push('\n');
        for input in &step.inputs {
            tell(input, depth + 1, text);
        }
        return;
    };
    let _ = writeln!(text, " from {} ({}): {}", remote.source, remote.kind, remote.tables.join(", "));
    for line in remote.native.lines() {
        let _ = writeln!(text, "{indent}  | {line}");
    }
    if !remote.pushed.is_empty() {
        let _ = writeln!(text, "{indent}  pushed: {}", remote.pushed.join(", "));
    }
    for part in &remote.not_pushed {
        let again = if part.checked_again { "pushed, and checked again here" } else { "not pushed" };
        let _ = writeln!(text, "{indent}  {again}: {} {}: {}", part.operator, part.part, part.reason);
    }
}
