//! Everything that a person or a program reads: results in every format, receipts, plans, errors.
//!
//! Nothing here prints. Each function writes to the writer that it is given, so that the command decides what is data
//! (stdout) and what is talk (stderr). Values come from sources that nobody vouches for: no control character of theirs
//! reaches a terminal, and no markup of theirs reaches a page.

mod buffer;
mod cell;
mod change;
mod columnar;
mod csv;
mod error;
mod explanation;
pub(crate) mod export;
mod grid;
mod json;
mod markdown;
mod names;
pub(crate) mod number;
mod output_file;
mod receipt;
mod style;
mod table;
mod terminal_safe;
pub(crate) mod text;
mod writer;

pub(crate) use buffer::Buffer;
pub(crate) use change::write_change;
pub(crate) use error::write_error;
pub(crate) use explanation::{PlanFormat, write_explanation};
pub(crate) use grid::{Align, Grid};
pub(crate) use output_file::OutputFile;
pub(crate) use receipt::{write_gaps, write_receipt, write_receipt_json};
pub(crate) use style::{Style, Terminal};
pub(crate) use writer::{Destination, Format, ResultWriter, Summary, reader_is_gone, writer};

#[cfg(test)]
mod fixtures;

#[cfg(test)]
mod tests;
