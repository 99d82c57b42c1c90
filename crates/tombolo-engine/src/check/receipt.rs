use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tombolo_connector::ReadSnapshot;

/// What stands behind an answer: where each column came from, what each source was asked, and how the rows met.
///
/// Times are milliseconds, sizes are bytes as they lie in Arrow's buffers. A number that is not known is absent; it is never
/// guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The query's id.
    pub query_id: String,
    /// The statement as it was given.
    pub statement: String,
    /// When the query began.
    pub started_at: DateTime<Utc>,
    /// From the statement to a plan that can run.
    pub planning_ms: f64,
    /// From the statement to the last row.
    pub elapsed_ms: f64,
    /// Rows delivered.
    pub rows: u64,
    /// False when the answer was not read to its end: an error, a cancel, a reader that stopped.
    pub complete: bool,
    /// The cap that was put on the answer from outside the statement, if any.
    pub limit: Option<LimitReceipt>,
    /// What each source was asked, in the order of the plan.
    pub sub_queries: Vec<SubQueryReceipt>,
    /// Where each output column came from, in the order of the columns.
    pub columns: Vec<ColumnReceipt>,
    /// The joins that ran here rather than in a source.
    pub joins: Vec<JoinReceipt>,
    /// The most memory that the query's operators had reserved at once.
    pub peak_memory_bytes: Option<u64>,
    /// What went to temporary files.
    pub spilled_bytes: u64,
    /// What a reader should know, in sentences: conversions of keys, reads without a snapshot.
    pub notices: Vec<String>,
}

/// A cap on the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitReceipt {
    /// The most rows that were delivered.
    pub limit: u64,
    /// Whether rows were left out because of it.
    pub reached: bool,
}

/// One native sub-query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubQueryReceipt {
    /// Its number in the plan, from 1.
    pub id: usize,
    /// The source's name in the config.
    pub source: String,
    /// The source's kind.
    pub kind: String,
    /// The tables that it reads, by the source's names.
    pub tables: Vec<String>,
    /// The language of `native`.
    pub language: String,
    /// What the source was asked.
    pub native: String,
    /// How it ended.
    pub outcome: SubQueryOutcome,
    /// Rows that came.
    pub rows: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Streams that were opened: parts of a table side by side, or requests with keys.
    pub partitions: usize,
    /// How a large table was read side by side, or why by one stream alone; absent where there is nothing to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<String>,
    /// Which snapshot it was read in, where the query reads more than one thing of the source; absent where the source tells of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<ReadSnapshot>,
    /// Keys that joins had for it when the query ran.
    #[serde(default)]
    pub keys: Vec<KeyReceipt>,
    /// From opening the first stream to the first row.
    pub first_row_ms: Option<f64>,
    /// From opening the first stream to the end of the last.
    pub elapsed_ms: Option<f64>,
    /// When reading began.
    pub read_at: Option<DateTime<Utc>>,
    /// What the source was not given, and why.
    pub not_pushed: Vec<NotPushed>,
}

/// Keys of one side of a join that were to be sent to a source with the sub-query of the other side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyReceipt {
    /// Where the keys come from, as `table.column`.
    pub from: String,
    /// What they are compared with in the source.
    pub to: String,
    /// Distinct keys that were collected; `None` where the query did not come so far.
    pub collected: Option<u64>,
    /// Keys whose rows were there already, since a part of the same join had asked for them before; not among those collected.
    #[serde(default)]
    pub from_before: u64,
    /// Requests with keys that were sent; `None` where they were not to be sent.
    pub requests: Option<usize>,
    /// Why they were not sent.
    pub reason: Option<String>,
    /// Whether rows were compared with them here as they were read, since the source takes no keys.
    #[serde(default)]
    pub compared_here: bool,
    /// Whether rows from the least key to the greatest were asked for, where the keys were not sent.
    #[serde(default)]
    pub range: bool,
}

/// How a sub-query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubQueryOutcome {
    /// Read to its end.
    Finished,
    /// Stopped before its end, since no more rows were needed, or the query ended.
    Stopped,
    /// Never opened, since the rest of the plan had no use for it.
    NotRun,
    /// Ended with an error.
    Failed,
}

/// One part of the plan that a source was not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotPushed {
    /// The operator: `filter`, `join`, `aggregate`, …
    pub operator: String,
    /// The part as SQL-like text.
    pub part: String,
    /// Why.
    pub reason: String,
    /// True when the source uses it to read less and the engine checks it again.
    pub checked_again: bool,
}

/// Where one output column came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnReceipt {
    /// The column's name in the answer.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// The columns that it was made from, as `source.schema.table.column`.
    pub origins: Vec<String>,
    /// Whether it is computed, rather than one column as it is.
    pub computed: bool,
}

/// One join that ran here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinReceipt {
    /// Its number in the plan, from 1.
    pub id: usize,
    /// `inner`, `left`, `right`, `full`, `left semi`, …
    pub kind: String,
    /// The condition as text.
    pub condition: String,
    /// The left side.
    pub left: JoinSideReceipt,
    /// The right side.
    pub right: JoinSideReceipt,
    /// Rows that came out.
    pub output_rows: u64,
    /// Pairs for each matched left row; `None` where the join does not pair rows, none matched, or partners may have been left
    /// out, since reading ended early or the keys of another join were shipped.
    pub fan_out: Option<f64>,
    /// False when an input was not read to its end, so that the counts are of what was read.
    pub complete: bool,
}

/// One side of a join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSideReceipt {
    /// The tables below, as `source.table`.
    pub tables: Vec<String>,
    /// Rows that entered the join.
    pub rows: u64,
    /// Rows that found a partner; `None` where the join cannot tell, or reading ended before that was known.
    pub matched: Option<u64>,
    /// Whether the source was asked for rows with certain keys only, so that nothing is known of its other rows.
    #[serde(default)]
    pub reduced: bool,
}

impl JoinSideReceipt {
    /// Rows that found no partner; `None` where it is not known how many rows there are.
    pub fn unmatched(&self) -> Option<u64> {
        self.matched.filter(|_| !self.reduced).map(|matched| self.rows.saturating_sub(matched))
    }

    /// The share of rows that found a partner, 0 to 1.
    pub fn match_rate(&self) -> Option<f64> {
        self.matched.filter(|_| self.rows > 0 && !self.reduced).map(|matched| matched as f64 / self.rows as f64)
    }
}
