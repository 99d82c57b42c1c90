use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use futures::future::BoxFuture;
use tombolo_connector::{Error, ErrorCode, QueryState, Result};

use crate::check::{self, ColumnReceipt, LimitReceipt, PlanStep, Receipt, SubQueryOutcome};
use crate::error::from_datafusion;
use crate::execute::{CaughtPanics, PeakPool, SourceScanExec, inputs};
use crate::fuse::{CountedJoin, EitherExec};
use crate::plan::cartesian::StatementChange;

/// The longest that a second plan waits for the memory of the first.
const MAX_HANDOVER: Duration = Duration::from_secs(5);

/// A query that can run: its physical plan, and everything that its receipt is made from.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: String,
    pub(crate) statement: String,
    pub(crate) started: Started,
    pub(crate) planning_ms: f64,
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// The columns of the answer, under the names that are shown.
    pub(crate) schema: SchemaRef,
    pub(crate) task: Arc<TaskContext>,
    pub(crate) scans: Vec<Arc<SourceScanExec>>,
    /// What connectors keep for it, which is not kept for whoever shows its receipt.
    pub(crate) state: QueryState,
    pub(crate) joins: Vec<Arc<CountedJoin>>,
    pub(crate) columns: Vec<ColumnReceipt>,
    pub(crate) notices: Vec<String>,
    /// What was changed in the statement before it was planned.
    pub(crate) change: Option<StatementChange>,
    pub(crate) pool: Arc<PeakPool>,
    pub(crate) limit: Option<u64>,
    pub(crate) deadline: Option<Instant>,
}

/// When a query began, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) at: DateTime<Utc>,
    pub(crate) instant: Instant,
}

/// Plans a query once more in a way that needs less memory.
pub(crate) type Replan = Box<dyn FnOnce() -> BoxFuture<'static, Result<Prepared>> + Send>;

/// Tells the readers of a plan that is about to run how often they will be read, as far as the plan says.
fn expect_readings(plan: &Arc<dyn ExecutionPlan>, times: usize) {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        scan.expect_readings(times);
    }
    // What is below is read once more for each level.
    let times = if plan.is::<RecursiveQueryExec>() { 2 } else { times };
    // Only one of the two is read.
    let inputs = inputs(plan).into_iter().take(if plan.is::<EitherExec>() { 1 } else { usize::MAX });
    inputs.for_each(|input| expect_readings(input, times));
}

/// What readers of the receipt and of the progress share with the reader of the rows.
#[derive(Debug)]
struct Shared {
    prepared: RwLock<Arc<Prepared>>,
    over: RwLock<Option<Over>>,
    rows: AtomicU64,
    limit_reached: AtomicBool,
    complete: AtomicBool,
    elapsed_us: AtomicU64,
}

/// What is told of a plan that has run. The plan itself is let go with its last row: a hash join keeps its table, and the memory
/// that it reserved, for as long as the plan lives, and whoever shows a receipt may keep it for long.
#[derive(Debug)]
struct Over {
    steps: PlanStep,
    spilled_bytes: u64,
}

/// A query that is being read. Dropping it cancels the query and the work behind it in the sources.
pub struct RunningQuery {
    shared: Arc<Shared>,
    stream: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    replan: Option<Replan>,
}

/// Reads progress and receipt of a running query beside the one who reads its rows.
#[derive(Debug, Clone)]
pub struct QueryMonitor(Arc<Shared>);

/// How far a query is.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryProgress {
    /// Its sub-queries in the order of the plan.
    pub sub_queries: Vec<SubQueryProgress>,
}

/// How far one sub-query is.
#[derive(Debug, Clone, PartialEq)]
pub struct SubQueryProgress {
    /// Its number in the plan.
    pub id: usize,
    /// The source's name.
    pub source: String,
    /// The tables that it reads.
    pub tables: Vec<String>,
    /// Rows that came.
    pub rows: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Rows that are expected, where something is known.
    pub estimated_rows: Option<u64>,
    /// Whether it is over.
    pub done: bool,
}

impl RunningQuery {
    /// Starts a query. `replan` serves once, when memory ran out before the first row was delivered.
    pub(crate) fn start(prepared: Prepared, replan: Option<Replan>) -> Result<Self> {
        let stream = prepared.execute()?;
        let schema = Arc::clone(&prepared.schema);
        let shared = Arc::new(Shared {
            prepared: RwLock::new(Arc::new(prepared)),
            over: RwLock::new(None),
            rows: AtomicU64::new(0),
            limit_reached: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            elapsed_us: AtomicU64::new(0),
        });
        Ok(Self { shared, stream: Some(stream), schema, replan })
    }

    /// The query's id.
    pub fn id(&self) -> String {
        self.shared.prepared().id.clone()
    }

    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What was changed in the statement, where it was.
    pub fn change(&self) -> Option<StatementChange> {
        self.shared.prepared().change.clone()
    }

    /// The next rows; `None` after the last. Empty batches are passed over.
    ///
    /// # Errors
    /// What the sources and operators say, in Tombolo's codes; [`ErrorCode::Timeout`] when the query's time is over. After
    /// an error the query is over.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(None) };
            let prepared = self.shared.prepared();
            let next = {
                let next = async {
                    tokio::select! {
                        error = prepared.pool.overflowed() => Some(Err(error)),
                        next = stream.next() => next,
                    }
                };
                match prepared.deadline {
                    None => Some(next.await),
                    // A stream that always has rows at once would never let a timer be looked at.
                    Some(deadline) if Instant::now() >= deadline => None,
                    Some(deadline) => tokio::time::timeout_at(deadline.into(), next).await.ok(),
                }
            };
            let Some(next) = next else {
                self.end();
                return Err(self.shared.timed_out());
            };
            match next {
                Some(Ok(batch)) => {
                    let batch = self.named(self.within_limit(batch))?;
                    if batch.num_rows() > 0 {
                        self.shared.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                        return Ok(Some(batch));
                    }
                }
                Some(Err(error)) => {
                    let mut error = from_datafusion(error);
                    // A source that ends at the query's own deadline may say so first.
                    let deadline = self.shared.prepared().deadline;
                    if error.code() == ErrorCode::Timeout && deadline.is_some_and(|deadline| deadline <= Instant::now())
                    {
                        error = self.shared.timed_out();
                    }
                    self.end();
                    self.run_again(error).await?;
                }
                None => {
                    self.shared.complete.store(true, Ordering::Relaxed);
                    self.end();
                    return Ok(None);
                }
            }
        }
    }

    /// Starts over with less need of memory where that was what failed, and nothing was delivered yet.
    async fn run_again(&mut self, error: Error) -> Result<()> {
        let untouched = self.shared.rows.load(Ordering::Relaxed) == 0;
        let Some(replan) = self.replan.take().filter(|_| error.code() == ErrorCode::OutOfMemory && untouched) else {
            return Err(error);
        };
        tracing::info!(%error, "running the query again with sort-merge joins");
        // What the second plan says is of less use than what went wrong first, unless it runs.
        let planning = replan();
        let planned = match self.shared.prepared().deadline {
            None => planning.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), planning).await {
                Ok(planned) => planned,
                Err(_) => return Err(self.shared.timed_out()),
            },
        };
        let prepared = planned.map_err(|_| error)?;
        // What the first plan holds is what the second needs.
        self.stream = None;
        let first = self.shared.prepared();
        first.state.end();
        first.pool.emptied(MAX_HANDOVER).await;
        self.stream = Some(prepared.execute()?);
        self.shared.elapsed_us.store(0, Ordering::Relaxed);
        *self.shared.over.write().unwrap_or_else(PoisonError::into_inner) = None;
        *self.shared.prepared.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(prepared);
        Ok(())
    }

    fn named(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let (_, columns, rows) = batch.into_parts();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), columns, &options)
            .map_err(|error| from_datafusion(error.into()))
    }

    /// Cuts a batch at the limit. One row more than the limit was asked for, so that it is known whether there are more.
    fn within_limit(&self, batch: RecordBatch) -> RecordBatch {
        let Some(limit) = self.shared.prepared().limit else { return batch };
        let left = limit.saturating_sub(self.shared.rows.load(Ordering::Relaxed));
        if batch.num_rows() as u64 <= left {
            return batch;
        }
        self.shared.limit_reached.store(true, Ordering::Relaxed);
        batch.slice(0, usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn end(&mut self) {
        self.stream = None;
        let elapsed = self.shared.prepared().started.instant.elapsed().as_micros();
        self.shared.elapsed_us.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.shared.let_go();
    }

    /// The receipt as of now. It is final when `next_batch` has said `None` or failed.
    pub fn receipt(&self) -> Receipt {
        self.shared.receipt()
    }

    /// How far the query is.
    pub fn progress(&self) -> QueryProgress {
        self.shared.progress()
    }

    /// A view for another task, to show progress while the rows are read here.
    pub fn monitor(&self) -> QueryMonitor {
        QueryMonitor(Arc::clone(&self.shared))
    }

    /// The steps of the plan with what they have done.
    pub(crate) fn steps(&self) -> PlanStep {
        let over = self.shared.over.read().unwrap_or_else(PoisonError::into_inner);
        match &*over {
            Some(over) => over.steps.clone(),
            None => check::steps(&self.shared.prepared().plan, true),
        }
    }
}

impl QueryMonitor {
    /// How far the query is.
    pub fn progress(&self) -> QueryProgress {
        self.0.progress()
    }

    /// The receipt as of now.
    pub fn receipt(&self) -> Receipt {
        self.0.receipt()
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        self.stream = None;
        self.shared.prepared().state.end();
    }
}

impl Prepared {
    fn execute(&self) -> Result<SendableRecordBatchStream> {
        expect_readings(&self.plan, 1);
        let stream = execute_stream(Arc::clone(&self.plan), Arc::clone(&self.task)).map_err(from_datafusion)?;
        let stream = Box::pin(CaughtPanics::around(stream, "the query"));
        // Read by a task of its own, one batch ahead: an operator may compute for seconds before it lets others run, and
        // whoever waits for the rows must see a time limit or Ctrl-C meanwhile. The task ends when the stream is dropped.
        Ok(spawn_buffered(stream, 1))
    }
}

impl Shared {
    fn prepared(&self) -> Arc<Prepared> {
        Arc::clone(&self.prepared.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes down what is told of the plan, and lets it go.
    fn let_go(&self) {
        let prepared = self.prepared();
        let over =
            Over { steps: check::steps(&prepared.plan, true), spilled_bytes: check::spilled_bytes(&prepared.plan) };
        prepared.scans.iter().for_each(|scan| scan.supplies().iter().for_each(|supply| supply.let_go()));
        prepared.state.end();
        check::observe(&prepared.scans);
        let plan = Arc::new(EmptyExec::new(prepared.plan.schema()));
        *self.over.write().unwrap_or_else(PoisonError::into_inner) = Some(over);
        *self.prepared.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Prepared { plan, ..prepared.as_ref().clone() });
    }

    fn spilled_bytes(&self) -> u64 {
        let over = self.over.read().unwrap_or_else(PoisonError::into_inner);
        over.as_ref().map_or_else(|| check::spilled_bytes(&self.prepared().plan), |over| over.spilled_bytes)
    }

    fn timed_out(&self) -> Error {
        let prepared = self.prepared();
        let limit = prepared.deadline.map(|deadline| deadline - prepared.started.instant).unwrap_or_default();
        // A source may have ended with the deadline already, so what has not finished is named, failed or not.
        let waiting: Vec<String> = prepared
            .scans
            .iter()
            .map(|scan| check::sub_query(scan))
            .filter(|read| !matches!(read.outcome, SubQueryOutcome::Finished | SubQueryOutcome::NotRun))
            .map(|read| format!("`{}` ({} rows so far)", read.source, read.rows))
            .collect();
        let error = Error::new(ErrorCode::Timeout, format!("the query took longer than {limit:?}")).with_hint(
            "Raise the limit with --timeout or `tombolo config set federation.max_query_time 10m`, or ask for less.",
        );
        if waiting.is_empty() { error } else { error.with_detail(format!("still reading: {}", waiting.join(", "))) }
    }

    fn elapsed_ms(&self) -> f64 {
        match self.elapsed_us.load(Ordering::Relaxed) {
            0 => self.prepared().started.instant.elapsed().as_secs_f64() * 1e3,
            microseconds => microseconds as f64 / 1e3,
        }
    }

    fn receipt(&self) -> Receipt {
        let prepared = self.prepared();
        let sub_queries: Vec<_> = prepared.scans.iter().map(|scan| check::sub_query(scan)).collect();
        let notices = prepared.notices.iter().cloned().chain(sub_queries.iter().filter_map(check::notice)).collect();
        Receipt {
            query_id: prepared.id.clone(),
            statement: prepared.statement.clone(),
            started_at: prepared.started.at,
            planning_ms: prepared.planning_ms,
            elapsed_ms: self.elapsed_ms(),
            rows: self.rows.load(Ordering::Relaxed),
            complete: self.complete.load(Ordering::Relaxed),
            limit: prepared
                .limit
                .map(|limit| LimitReceipt { limit, reached: self.limit_reached.load(Ordering::Relaxed) }),
            sub_queries,
            columns: prepared.columns.clone(),
            joins: prepared.joins.iter().map(|join| check::join(join)).collect(),
            peak_memory_bytes: Some(prepared.pool.peak() as u64),
            spilled_bytes: self.spilled_bytes(),
            notices,
        }
    }

    fn progress(&self) -> QueryProgress {
        let sub_query = |scan: &Arc<SourceScanExec>| {
            let receipt = check::sub_query(scan);
            SubQueryProgress {
                id: receipt.id,
                source: receipt.source,
                tables: receipt.tables,
                rows: receipt.rows,
                bytes: receipt.bytes,
                estimated_rows: scan.estimated_rows(),
                done: matches!(receipt.outcome, SubQueryOutcome::Finished | SubQueryOutcome::Failed),
            }
        };
        QueryProgress { sub_queries: self.prepared().scans.iter().map(sub_query).collect() }
    }
}
