use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, try_unfold};
use futures::{StreamExt, TryStreamExt};

use super::answers::{Answers, Split};
use super::choose::GROWTH;
use super::exec::{LookupJoinExec, single};
use crate::execute::{Buffer, KeySupply};
use crate::fuse::ship::collect::KeyCollector;
use crate::fuse::ship::collect::{evaluated, without_nulls};
use crate::fuse::ship::rule::{Join, Plan, is_compared_here};
use crate::fuse::ship::shipment::Shipment;

/// Rows in a part at the most.
pub(super) const LARGEST_PART: usize = 65_536;
/// Rows that are found for a part at the most, as far as can be told from the part before.
const MOST_FOUND: usize = 4 * LARGEST_PART;
/// The share of the memory limit that the answers of one join may take.
const ANSWERS_SHARE: usize = 8;

/// A run of a lookup join.
pub(super) struct Parts {
    exec: LookupJoinExec,
    task: Arc<TaskContext>,
    /// None once all of it is in a part.
    outer: Option<SendableRecordBatchStream>,
    /// Rows that were read and are in no part yet.
    rest: Option<RecordBatch>,
    /// Rows of the next part.
    size: usize,
    /// Rows that were found for this one.
    found: Arc<AtomicUsize>,
    /// What was asked for before; none for keys of which two that differ may be one to the join.
    answers: Option<Arc<Mutex<Answers>>>,
    /// The rows of a part whose order is kept, which no other operator counts.
    memory: MemoryReservation,
    current: Option<SendableRecordBatchStream>,
}

impl Parts {
    pub(super) fn try_new(exec: LookupJoinExec, first: usize, task: Arc<TaskContext>) -> Result<Self> {
        let outer = exec.outer()?.execute(0, Arc::clone(&task))?;
        let memory = MemoryConsumer::new("LookupPart").register(task.memory_pool());
        let answers = remembered(&exec, &task)?;
        let size = first.min(exec.rule.limits.max_keys).max(1);
        Ok(Self {
            exec,
            task,
            outer: Some(outer),
            rest: None,
            size,
            found: Arc::default(),
            answers,
            memory,
            current: None,
        })
    }

    /// The next joined rows.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(stream) = &mut self.current {
                if let Some(batch) = stream.next().await {
                    return batch.map(Some);
                }
                self.current = None;
                self.size = self.next_size();
            }
            let Some(rows) = self.rows().await? else { return Ok(None) };
            self.current = Some(self.joined(rows).await?);
        }
    }

    fn next_size(&self) -> usize {
        let found_for_each = self.found.swap(0, Ordering::Relaxed) / self.size;
        let size = self.size.saturating_mul(GROWTH).min(LARGEST_PART).min(MOST_FOUND / found_for_each.max(1));
        // Of so few rows there are not too many keys.
        size.min(self.exec.rule.limits.max_keys).max(1)
    }

    /// The rows of the next part, if there are any.
    async fn rows(&mut self) -> Result<Option<RecordBatch>> {
        let Some(outer) = &mut self.outer else { return Ok(None) };
        let schema = outer.schema();
        let mut batches: Vec<RecordBatch> = self.rest.take().into_iter().collect();
        let mut count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        while count < self.size {
            let Some(batch) = outer.next().await else { break };
            let batch = batch?;
            count += batch.num_rows();
            batches.push(batch);
        }
        if count == 0 {
            return Ok(None);
        }
        let mut rows = concat_batches(&schema, &batches)?;
        if count > self.size {
            self.rest = Some(rows.slice(self.size, count - self.size));
            rows = rows.slice(0, self.size);
        }
        Ok(Some(rows))
    }

    /// A part with its partners.
    async fn joined(&mut self, rows: RecordBatch) -> Result<SendableRecordBatchStream> {
        let join = Join::of(&self.exec.join).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
        let keys = without_nulls(evaluated(&join.keys(self.exec.way.from), &rows)?)?;
        let Split { new, known, rows: before } = match &self.answers {
            Some(answers) => answers.lock().unwrap_or_else(PoisonError::into_inner).split(&keys)?,
            None => Split { new: keys, known: 0, rows: Vec::new() },
        };
        self.exec.told.answered(known);
        let schema = join.side(self.exec.way.from.other()).schema();
        let before = stream::iter(before.into_iter().map(Ok));
        let is_empty = new.first().is_none_or(|keys| keys.is_empty());
        let answers: SendableRecordBatchStream = if is_empty {
            Box::pin(RecordBatchStreamAdapter::new(schema, before))
        } else {
            let (mut fetched, shipment) = fetched(&self.exec, new, &self.task).await?;
            // With the first batch it is known how the source is asked.
            let first = fetched.next().await.transpose()?;
            let fetched = stream::iter(first.map(Ok)).chain(fetched);
            if shipment.report().reason.is_some() {
                let fetched = Box::pin(RecordBatchStreamAdapter::new(schema, fetched));
                return self.joined_whole(rows, fetched);
            }
            match self.answers.clone() {
                Some(answers) => {
                    let fetched = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), fetched));
                    Box::pin(RecordBatchStreamAdapter::new(schema, before.chain(kept(fetched, answers))))
                }
                None => Box::pin(RecordBatchStreamAdapter::new(schema, before.chain(fetched))),
            }
        };
        let (schema, found) = (answers.schema(), Arc::clone(&self.found));
        let answers = answers.inspect_ok(move |batch| {
            found.fetch_add(batch.num_rows(), Ordering::Relaxed);
        });
        let answers = Once::plan(Box::pin(RecordBatchStreamAdapter::new(schema, answers)), None)?;
        let keeps_order = self.exec.keeps_order();
        if keeps_order {
            self.memory.try_resize(get_record_batch_memory_size(&rows))?;
        }
        let schema = rows.schema();
        let rows = RecordBatchStreamAdapter::new(schema, stream::iter([Ok(rows)]));
        let outer = Once::plan(Box::pin(rows), self.exec.order()?)?;
        self.exec.part(outer, answers, keeps_order)?.execute(0, Arc::clone(&self.task))
    }

    /// All rows that are left with their partners, of a source that is read whole: it need not be for each part.
    fn joined_whole(
        &mut self,
        rows: RecordBatch,
        answers: SendableRecordBatchStream,
    ) -> Result<SendableRecordBatchStream> {
        let Some(outer) = self.outer.take() else { return internal_err!("all rows are in a part already") };
        self.answers = None;
        let begin = [rows].into_iter().chain(self.rest.take());
        let schema = outer.schema();
        let outer = RecordBatchStreamAdapter::new(schema, stream::iter(begin.map(Ok)).chain(outer));
        let outer = Once::plan(Box::pin(outer), self.exec.order()?)?;
        let join = self.exec.part(outer, Once::plan(answers, None)?, true)?;
        join.execute(0, Arc::clone(&self.task))
    }
}

/// What the source has for keys, and what becomes of them.
async fn fetched(
    exec: &LookupJoinExec,
    keys: Vec<ArrayRef>,
    task: &Arc<TaskContext>,
) -> Result<(SendableRecordBatchStream, Arc<Shipment>)> {
    let collector = collected(keys, exec.rule.limits.max_keys, task).await?;
    let join = Join::of(&exec.join).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
    let mut shipped = None;
    let taking = exec.rule.follow(&join, exec.way.from, &exec.way.giver, &mut |scan, offer| {
        let shipment = Arc::new(exec.rule.shipment(&collector, &exec.way.giver, scan, offer));
        shipped = Some(Arc::clone(&shipment));
        Ok(Some(Arc::new(scan.with_keys_once(shipment)?) as Plan))
    })?;
    let (Some(taking), Some(shipment)) = (taking, shipped) else {
        return internal_err!("a lookup has nothing to look up in");
    };
    exec.told.next(Arc::clone(&shipment));
    Ok((single(taking).execute(0, Arc::clone(task))?, shipment))
}

/// Where answers are kept, if keys that are equal to the join are alike.
fn remembered(exec: &LookupJoinExec, task: &TaskContext) -> Result<Option<Arc<Mutex<Answers>>>> {
    let join = Join::of(&exec.join).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
    let types = |side| -> Result<Vec<_>> {
        let schema = join.side(side).schema();
        join.keys(side).iter().map(|key| key.data_type(&schema)).collect()
    };
    let (given, looked_up) = (types(exec.way.from)?, types(exec.way.from.other())?);
    if given != looked_up || !given.iter().all(is_compared_here) {
        return Ok(None);
    }
    let memory = MemoryConsumer::new("LookupAnswers").register(task.memory_pool());
    let max_bytes = match task.memory_pool().memory_limit() {
        MemoryLimit::Finite(limit) => limit / ANSWERS_SHARE,
        _ => usize::MAX,
    };
    let answers = Answers::try_new(join.keys(exec.way.from.other()), &given, memory, max_bytes)?;
    Ok(Some(Arc::new(Mutex::new(answers))))
}

/// Fetched rows, of which those of the keys that were asked for are kept and passed on.
fn kept(
    fetched: SendableRecordBatchStream,
    answers: Arc<Mutex<Answers>>,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    try_unfold((fetched, answers), |(mut fetched, answers)| async move {
        let Some(batch) = fetched.try_next().await? else {
            answers.lock().unwrap_or_else(PoisonError::into_inner).complete();
            return Ok(None);
        };
        let batch = answers.lock().unwrap_or_else(PoisonError::into_inner).add(&batch)?;
        Ok(Some((batch, (fetched, answers))))
    })
}

/// Keys as they are collected from the side of a join that is read whole.
async fn collected(keys: Vec<ArrayRef>, max_keys: usize, task: &Arc<TaskContext>) -> Result<Arc<KeyCollector>> {
    let named = (0..).zip(&keys).map(|(at, key)| (format!("key_{at}"), key.data_type().clone()));
    let fields: Vec<Field> = named.map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = (0..).zip(schema.fields()).map(|(at, field)| Arc::new(Column::new(field.name(), at)) as _);
    let columns: Vec<Arc<dyn PhysicalExpr>> = columns.collect();
    let collector = Arc::new(KeyCollector::try_new(columns, &schema, max_keys)?);
    let keys = RecordBatch::try_new(Arc::clone(&schema), keys)?;
    let input = RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter([Ok(keys)]));
    let rows = MemoryConsumer::new("CollectedRows").with_can_spill(true).register(task.memory_pool());
    let memory = MemoryConsumer::new("CollectedKeys").register(task.memory_pool());
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let spill = SpillManager::new(task.runtime_env(), metrics, schema);
    let buffer = Arc::new(Mutex::new(Buffer::new(rows, spill)));
    collector.start(Box::pin(input), buffer, memory).await.map_err(datafusion::common::DataFusionError::Shared)?;
    Ok(collector)
}

/// Rows that are read once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl Once {
    /// A join keeps the order of rows that go by only where it is told that they have one.
    fn plan(rows: SendableRecordBatchStream, order: Option<LexOrdering>) -> Result<Plan> {
        let schema = rows.schema();
        let once = Self { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(once)], None, order, false, None)?))
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
    }
}
