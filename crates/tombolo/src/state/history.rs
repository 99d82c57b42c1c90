use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tombolo_connector::{Error, ErrorCode, Result, ResultExt, nearest_name};
use tombolo_engine::check::Receipt;

use super::StateFolder;

const FILE: &str = "history.jsonl";
const RECEIPTS: &str = "receipts";

/// One query that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HistoryEntry {
    /// The query's id.
    pub(crate) id: String,
    /// When it began.
    pub(crate) at: DateTime<Utc>,
    /// The statement as it was given.
    pub(crate) statement: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Rows delivered.
    pub(crate) rows: u64,
    /// From the statement to its end.
    pub(crate) elapsed_ms: f64,
}

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "code")]
pub(crate) enum Outcome {
    /// Read to its end.
    Finished,
    /// The reader had enough before the end.
    Closed,
    /// Interrupted.
    Cancelled,
    /// Failed, with the error's code.
    Failed(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Failed(code) => code,
        })
    }
}

/// The queries that were run, oldest first: a file that is only appended to, a line a query, and a receipt for each.
///
/// The file is trimmed to the newest entries whenever it has grown to twice as many.
#[derive(Debug)]
pub(crate) struct History<'a> {
    folder: &'a StateFolder,
}

impl<'a> History<'a> {
    pub(crate) fn new(folder: &'a StateFolder) -> Self {
        Self { folder }
    }

    /// Adds a query; keeps `keep` at least and twice as many at most.
    pub(crate) fn append(&self, entry: &HistoryEntry, receipt: Option<&Receipt>, keep: usize) -> Result<()> {
        if keep == 0 {
            return Ok(());
        }
        let failed = || "the history cannot be written".to_owned();
        if let Some(receipt) = receipt {
            let path = self.folder.create_below(RECEIPTS)?.join(receipt_name(&entry.id));
            let text = serde_json::to_vec(receipt).or_error(ErrorCode::Internal, failed)?;
            std::fs::write(&path, text).or_error(ErrorCode::FileFailed, failed)?;
        }
        let mut line = serde_json::to_string(entry).or_error(ErrorCode::Internal, failed)?;
        line.push('\n');
        let mut file = self.open(self.folder.create()?).or_error(ErrorCode::FileFailed, failed)?;
        // The lock keeps a line of another process from being lost while the file is trimmed.
        file.lock().or_error(ErrorCode::FileFailed, failed)?;
        file.write_all(line.as_bytes()).or_error(ErrorCode::FileFailed, failed)?;
        self.trim(&mut file, keep).or_error(ErrorCode::FileFailed, failed)
    }

    /// The newest `limit` queries, newest first.
    pub(crate) fn list(&self, limit: usize) -> Result<Vec<HistoryEntry>> {
        let mut entries = read_entries(&self.folder.path().join(FILE))
            .or_error(ErrorCode::FileFailed, || "the history cannot be read".to_owned())?;
        entries.reverse();
        entries.truncate(limit);
        Ok(entries)
    }

    /// The query whose id begins or ends with `id`, with its receipt where one was kept. Ids begin with their time, so it
    /// is their end that is told apart by a few characters.
    pub(crate) fn find(&self, id: &str) -> Result<(HistoryEntry, Option<Receipt>)> {
        let entries = self.list(usize::MAX)?;
        let mut matching = entries.iter().filter(|entry| entry.id.starts_with(id) || entry.id.ends_with(id));
        let found = match (matching.next(), matching.next()) {
            (Some(entry), None) => entry,
            (Some(_), Some(_)) => {
                return Err(Error::new(ErrorCode::Usage, format!("more than one query has an id like `{id}`"))
                    .with_hint("Give more of it; `tombolo history --format json` shows whole ids."));
            }
            (None, _) => {
                let error = Error::new(ErrorCode::Usage, format!("the history has no query `{id}`"));
                return Err(match nearest_name(id, entries.iter().map(|entry| entry.id.as_str())) {
                    Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
                    None => error.with_hint("`tombolo history` lists them."),
                });
            }
        };
        let path = self.folder.path().join(RECEIPTS).join(receipt_name(&found.id));
        let receipt = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Ok((found.clone(), receipt))
    }

    fn open(&self, folder: &Path) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(folder.join(FILE))
    }

    fn trim(&self, file: &mut File, keep: usize) -> std::io::Result<()> {
        // A line is seldom shorter than this, so that most calls need not read the file at all.
        const LEAST_LINE: u64 = 100;
        if file.metadata()?.len() < (keep as u64).saturating_mul(2 * LEAST_LINE) {
            return Ok(());
        }
        let path = self.folder.path().join(FILE);
        let entries = read_entries(&path)?;
        if entries.len() <= keep.saturating_mul(2) {
            return Ok(());
        }
        let (old, new) = entries.split_at(entries.len() - keep);
        let mut text = String::new();
        for entry in new {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        // Cut and written in place rather than renamed over, since others hold their lock on this very file.
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        for entry in old {
            let _ = std::fs::remove_file(self.folder.path().join(RECEIPTS).join(receipt_name(&entry.id)));
        }
        Ok(())
    }
}

/// A line that cannot be read is passed over: a crash may have cut the last one.
fn read_entries(path: &PathBuf) -> std::io::Result<Vec<HistoryEntry>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(entry) = serde_json::from_slice(&line?) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// An id is ours, but it has been in a file since: nothing of it may lead out of the folder.
fn receipt_name(id: &str) -> String {
    let safe: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{safe}.json")
}
