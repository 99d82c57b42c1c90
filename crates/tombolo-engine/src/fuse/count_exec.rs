use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::stats::ColumnStatistics;
use datafusion::common::{Result, Statistics, internal_datafusion_err, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionMapping;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::{Stream, StreamExt};

use super::count_node::{CountedJoin, JoinCount, RowIds};
use super::tally::Which;
use crate::one_input::{OneInput, OneInputExec};

/// Turns the counting nodes into operators.
#[derive(Debug)]
pub struct JoinCountPlanner;

#[async_trait]
impl ExtensionPlanner for JoinCountPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let [input] = inputs else { return internal_err!("a join counter takes one input") };
        if let Some(node) = node.as_any().downcast_ref::<RowIds>() {
            let work = Work::Enter { which: node.which, with_column: node.with_column };
            let schema = Arc::clone(node.schema.inner());
            let counter = Counter { join: Arc::clone(&node.join), work, schema };
            return Ok(Some(Arc::new(JoinCountExec::try_new(counter, Arc::clone(input))?)));
        }
        let Some(node) = node.as_any().downcast_ref::<JoinCount>() else { return Ok(None) };
        let work = Work::Leave { ids: node.ids };
        let counter = Counter { join: Arc::clone(&node.join), work, schema: input.schema() };
        let exec = JoinCountExec::try_new(counter, Arc::clone(input))?;
        Ok(Some(without_ids(Arc::new(exec), node.ids)?))
    }
}

/// A side of a counted join that is not read whole where keys are shipped.
#[derive(Debug, Clone)]
pub(super) struct Reduced {
    join: Arc<CountedJoin>,
    which: Which,
}

impl Reduced {
    /// Takes note that it was not.
    pub(super) fn mark(&self) {
        self.join.tally.side(self.which).reduce();
    }
}

/// What a counter does beside counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Below a join: numbers the rows that enter a side, in a last column where `with_column`.
    Enter { which: Which, with_column: bool },
    /// Above a join: reads the two columns of row numbers.
    Leave { ids: Option<(usize, usize)> },
}

/// Counts the rows of a join for the receipt; passes all of them on unchanged.
pub type JoinCountExec = OneInputExec<Counter>;

#[derive(Debug, Clone)]
pub struct Counter {
    join: Arc<CountedJoin>,
    work: Work,
    schema: SchemaRef,
}

impl Counter {
    /// The join that is counted.
    pub fn join(&self) -> &Arc<CountedJoin> {
        &self.join
    }

    /// The sides of its join that it sees, or that are below it.
    pub(super) fn reduced(&self) -> Vec<Reduced> {
        let of = |which| Reduced { join: Arc::clone(&self.join), which };
        match self.work {
            Work::Enter { which, .. } => vec![of(which)],
            Work::Leave { .. } => vec![of(Which::Left), of(Which::Right)],
        }
    }

    /// The side of its join that it stands on.
    pub(super) fn side(&self) -> Option<Which> {
        match self.work {
            Work::Enter { which, .. } => Some(which),
            Work::Leave { .. } => None,
        }
    }

    /// Whether this counter stands above its join.
    pub fn is_above(&self) -> bool {
        matches!(self.work, Work::Leave { .. })
    }
}

/// Drops the columns of row numbers. It is DataFusion's own operator that does it: where an order is wanted, DataFusion looks
/// for it below any operator that it does not know by the positions of the columns, which therefore must not change there.
fn without_ids(plan: Arc<dyn ExecutionPlan>, ids: Option<(usize, usize)>) -> Result<Arc<dyn ExecutionPlan>> {
    let Some((left, right)) = ids else { return Ok(plan) };
    let schema = plan.schema();
    let kept = schema.fields().iter().enumerate().filter(|(index, _)| *index != left && *index != right);
    let columns = kept.map(|(index, field)| -> (Arc<dyn PhysicalExpr>, String) {
        (Arc::new(Column::new(field.name(), index)), field.name().clone())
    });
    Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), plan)?))
}

impl OneInput for Counter {
    const NAME: &'static str = "JoinCountExec";

    fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.work {
            Work::Enter { which: Which::Left, .. } => "left input",
            Work::Enter { which: Which::Right, .. } => "right input",
            Work::Leave { .. } => "output",
        };
        write!(f, ": {place} of join #{}", self.join.id)
    }

    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<PlanProperties>> {
        let below = input.properties();
        let equivalences = match self.work {
            Work::Enter { .. } => {
                // Columns keep their positions, so what orders the input orders the output. Constants count too: DataFusion
                // drops a sort by one below, and must find it above.
                let columns: Vec<usize> = (0..input.schema().fields().len()).collect();
                let mapping = ProjectionMapping::from_indices(&columns, &input.schema())?;
                below.equivalence_properties().project(&mapping, Arc::clone(&self.schema))
            }
            Work::Leave { .. } => below.equivalence_properties().clone(),
        };
        let partitioning = below.output_partitioning().clone();
        Ok(Arc::new(PlanProperties::new(equivalences, partitioning, below.emission_type, below.boundedness)))
    }

    fn stream(
        &self,
        inner: SendableRecordBatchStream,
        _: usize,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if let Work::Enter { which, .. } = self.work {
            self.join.tally.side(which).open();
        }
        Ok(Box::pin(CountStream { inner, counter: self.clone(), finished: false }))
    }

    fn statistics(&self, below: &Arc<Statistics>) -> Arc<Statistics> {
        let Work::Enter { with_column: true, .. } = self.work else { return Arc::clone(below) };
        let mut statistics = Statistics::clone(below);
        statistics.column_statistics.push(ColumnStatistics::new_unknown());
        Arc::new(statistics)
    }
}

struct CountStream {
    inner: SendableRecordBatchStream,
    counter: Counter,
    finished: bool,
}

impl Counter {
    fn counted(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let columns = match self.work {
            Work::Enter { which, with_column } => {
                let first = self.join.tally.side(which).enter(rows);
                let mut columns = batch.columns().to_vec();
                if with_column {
                    columns.push(Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)) as ArrayRef);
                }
                columns
            }
            Work::Leave { ids: None } => {
                self.join.tally.output_rows(rows);
                batch.columns().to_vec()
            }
            Work::Leave { ids: Some((left, right)) } => {
                let id = |index: usize| {
                    let ids = batch.column(index).as_any().downcast_ref::<UInt64Array>();
                    ids.ok_or_else(|| internal_datafusion_err!("a join's row numbers came out as another type"))
                };
                self.join.tally.output(id(left)?, id(right)?);
                batch.columns().to_vec()
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Stream for CountStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = futures::ready!(self.inner.poll_next_unpin(cx));
        Poll::Ready(match polled {
            Some(batch) => Some(batch.and_then(|batch| self.counter.counted(batch))),
            None => {
                if let Work::Enter { which, .. } = self.counter.work
                    && !std::mem::replace(&mut self.finished, true)
                {
                    self.counter.join.tally.side(which).finish();
                }
                None
            }
        })
    }
}

impl RecordBatchStream for CountStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.counter.schema)
    }
}
