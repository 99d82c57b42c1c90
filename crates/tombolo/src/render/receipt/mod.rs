//! The receipt as people read it. [`Report`] holds what is said; the terminal, HTML, PDF and XLSX only set it.

mod report;
mod text;

use std::io::{self, Write};

use tombolo_engine::check::Receipt;

pub(super) use report::{Line, Report};
pub(crate) use text::{write_gaps, write_receipt};

/// Writes the receipt as JSON, its fields as they are, in readable lines.
pub(crate) fn write_receipt_json(receipt: &Receipt, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, receipt)?;
    writeln!(out)
}

#[cfg(test)]
mod tests;
