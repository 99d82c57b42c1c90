use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::Utc;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::check::Receipt;
use tombolo_engine::{Engine, QueryOptions, RunningQuery};
use uuid::Uuid;

use super::App;
use super::cartesian::tell_change;
use super::progress::Progress;
use crate::config::Federation;
use crate::output::{self, SharedStdout};
use crate::render::{self, Destination, Format, OutputFile, ResultWriter, Summary};
use crate::state::{History, HistoryEntry, LastResultWriter, Outcome, StateFolder};

/// How statements are run: from text to delivered rows, with an entry in the history and the result kept for `export last`.
pub(crate) struct Runner<'a> {
    pub(crate) app: &'a App,
    pub(crate) engine: &'a Engine,
    pub(crate) federation: &'a Federation,
    /// Whether the result is kept for `export last`.
    pub(crate) keep: bool,
}

/// Where a result goes.
pub(crate) enum Target {
    /// Standard output, as this format.
    Stdout(Format),
    /// A file, which appears whole or not at all.
    File(Format, PathBuf),
}

/// What is known when a statement has been answered.
pub(crate) struct Answered {
    pub(crate) receipt: Receipt,
    pub(crate) elapsed_ms: f64,
    /// The reader of stdout had enough before the end.
    pub(crate) closed: bool,
}

impl Runner<'_> {
    /// Runs one statement. Dropping the future cancels the query, and the history says so.
    pub(crate) async fn run(&self, sql: &str, options: QueryOptions, target: &Target) -> Result<Answered> {
        let mut record = Record::new(sql, self.federation.history_entries);
        let progress = Progress::new(self.app);
        let result = self.deliver(sql, options, target, &mut record, &progress).await;
        progress.clear();
        match result {
            Ok(receipt) => {
                let closed = !receipt.complete && record.closed;
                let elapsed_ms = record.end(if closed { Outcome::Closed } else { Outcome::Finished }, Some(&receipt));
                Ok(Answered { receipt, elapsed_ms, closed })
            }
            Err(error) => {
                record.end(Outcome::Failed(error.code().name().to_owned()), None);
                Err(error)
            }
        }
    }

    async fn deliver(
        &self,
        sql: &str,
        options: QueryOptions,
        target: &Target,
        record: &mut Record,
        progress: &Progress,
    ) -> Result<Receipt> {
        let mut query = self.engine.query(sql, options).await?;
        record.entry.id = query.id();
        tell_change(self.app, query.change().as_ref());
        progress.watch(query.monitor());
        let mut delivery = Delivery::open(self, target, progress)?;
        let mut kept = self.begin_keeping(&query);
        let mut next = progress.show_while(query.next_batch()).await?;
        match delivery.begin(&query.schema()) {
            Err(error) if render::reader_is_gone(&error) => {
                record.closed = true;
                return Ok(query.receipt());
            }
            begun => begun?,
        }
        while let Some(batch) = next {
            record.entry.rows += batch.num_rows() as u64;
            if let Some(writer) = &mut kept
                && let Err(error) = writer.write(&batch)
            {
                self.warn_not_kept(&error);
                kept = None;
            }
            match delivery.batch(&batch) {
                Ok(()) => {}
                Err(error) if render::reader_is_gone(&error) => {
                    record.closed = true;
                    return Ok(query.receipt());
                }
                Err(error) => return Err(error),
            }
            next = progress.show_while(query.next_batch()).await?;
        }
        match delivery.finish() {
            Err(error) if render::reader_is_gone(&error) => record.closed = true,
            finished => finished?,
        }
        let receipt = query.receipt();
        if let Some(writer) = kept
            && let Err(error) = writer.keep(&receipt)
        {
            self.warn_not_kept(&error);
        }
        Ok(receipt)
    }

    fn begin_keeping(&self, query: &RunningQuery) -> Option<LastResultWriter> {
        if !self.keep || self.federation.keep_last_result == 0 {
            return None;
        }
        let writer = StateFolder::find()
            .and_then(|folder| LastResultWriter::try_new(&folder, &query.schema(), self.federation.keep_last_result));
        writer.inspect_err(|error| self.warn_not_kept(error)).ok()
    }

    /// What is kept on the side is not worth failing the answer for.
    fn warn_not_kept(&self, error: &Error) {
        let why = error.detail().unwrap_or(error.message());
        output::complain(&format!("warning: this result is not kept for `export last`: {why}"));
    }
}

/// A result on its way out.
struct Delivery {
    writer: Box<dyn ResultWriter>,
    stdout: Option<SharedStdout>,
    file: Option<OutputFile>,
}

impl Delivery {
    /// Opens the way out. Nothing is written yet, so that a query that fails before its first row leaves nothing behind.
    fn open(runner: &Runner<'_>, target: &Target, progress: &Progress) -> Result<Self> {
        Ok(match target {
            Target::Stdout(format) => {
                let stdout = SharedStdout::new(progress.clearer());
                let destination = Destination::Stdout(runner.app.stdout);
                let writer = render::writer(*format, Box::new(stdout.clone()), destination)?;
                Self { writer, stdout: Some(stdout), file: None }
            }
            Target::File(format, path) => match special_file(path)? {
                Some(device) => {
                    let writer = render::writer(*format, Box::new(device), Destination::File)?;
                    Self { writer, stdout: None, file: None }
                }
                None => {
                    let file = OutputFile::create(&real_path(path))?;
                    let writer = render::writer(*format, file.writer(), Destination::File)?;
                    Self { writer, stdout: None, file: Some(file) }
                }
            },
        })
    }

    /// Writes what comes before the rows.
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        self.writer.begin(schema)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.batch(batch)?;
        // Rows are passed on as they come, so that a reader sees the first ones while the last are still on their way.
        self.stdout.as_ref().map_or(Ok(()), SharedStdout::pass_on)
    }

    fn finish(mut self) -> Result<()> {
        self.writer.finish(&Summary::default())?;
        self.stdout.as_ref().map_or(Ok(()), SharedStdout::pass_on)?;
        self.file.map_or(Ok(()), OutputFile::commit)
    }
}

/// A device or a pipe, such as `/dev/null`: it is written to, not replaced.
pub(crate) fn special_file(path: &Path) -> Result<Option<std::fs::File>> {
    let special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if !special {
        return Ok(None);
    }
    let file = std::fs::OpenOptions::new().write(true).open(path);
    file.or_error(ErrorCode::FileFailed, || format!("{} cannot be written to", path.display())).map(Some)
}

/// What a link leads to, so that the file is replaced there and the link stays.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The entry that a statement makes in the history. Dropped before its end, it says that the statement was cancelled.
struct Record {
    entry: HistoryEntry,
    started: Instant,
    keep: usize,
    closed: bool,
    written: bool,
}

impl Record {
    fn new(sql: &str, keep: usize) -> Self {
        let entry = HistoryEntry {
            id: Uuid::now_v7().to_string(),
            at: Utc::now(),
            statement: sql.trim().to_owned(),
            outcome: Outcome::Cancelled,
            rows: 0,
            elapsed_ms: 0.0,
        };
        Self { entry, started: Instant::now(), keep, closed: false, written: false }
    }

    fn end(mut self, outcome: Outcome, receipt: Option<&Receipt>) -> f64 {
        self.entry.outcome = outcome;
        self.write(receipt);
        self.entry.elapsed_ms
    }

    fn write(&mut self, receipt: Option<&Receipt>) {
        self.written = true;
        self.entry.elapsed_ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let appended =
            StateFolder::find().and_then(|folder| History::new(&folder).append(&self.entry, receipt, self.keep));
        if let Err(error) = appended {
            let why = error.detail().unwrap_or(error.message());
            output::complain(&format!("warning: this query is not in the history: {why}"));
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.written {
            self.write(None);
        }
    }
}
