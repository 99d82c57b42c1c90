//! Plans: as text for people, as JSON for programs, as DOT and Mermaid for pictures.

mod graph;
mod text;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use tombolo_connector::{Error, ErrorCode, Result};
use tombolo_engine::check::Explanation;

use super::style::Terminal;

/// A format for plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    /// A tree of steps, for people.
    Text,
    /// The plan's fields as they are.
    Json,
    /// Graphviz.
    Dot,
    /// A Mermaid flowchart.
    Mermaid,
}

impl PlanFormat {
    /// All formats, in the order of the help.
    pub(crate) const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Dot, Self::Mermaid];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
        }
    }
}

impl fmt::Display for PlanFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PlanFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            Error::new(ErrorCode::Usage, format!("there is no plan format {name}"))
                .with_hint(format!("The formats are {}.", super::text::listing(&Self::ALL.map(Self::name))))
        })
    }
}

/// Writes a plan. Only the text is fitted to the terminal.
pub(crate) fn write_explanation(
    explanation: &Explanation,
    format: PlanFormat,
    terminal: Terminal,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        PlanFormat::Text => text::write(out, explanation, terminal),
        PlanFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, explanation)?;
            writeln!(out)
        }
        PlanFormat::Dot => graph::write_dot(out, explanation),
        PlanFormat::Mermaid => graph::write_mermaid(out, explanation),
    }
}

#[cfg(test)]
mod tests;
