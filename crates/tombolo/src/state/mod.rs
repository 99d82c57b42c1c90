//! The state folder: history, the last result, the engine's cached catalogs. Everything in it may be deleted at any time;
//! only what it remembers is lost.

mod folder;
mod history;
mod last_result;

#[cfg(test)]
mod tests;

pub(crate) use folder::StateFolder;
pub(crate) use history::{History, HistoryEntry, Outcome};
pub(crate) use last_result::{LastResult, LastResultWriter};
