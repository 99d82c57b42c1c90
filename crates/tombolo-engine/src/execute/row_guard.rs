use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use tombolo_connector::Error;

/// What is told of too many rows.
pub type TooMany = Arc<dyn Fn() -> Error + Send + Sync>;

/// Lets up to so many rows through, of all its streams together, and ends the query with an error at the next.
pub struct RowGuardExec {
    input: Arc<dyn ExecutionPlan>,
    most: u64,
    came: Arc<AtomicU64>,
    too_many: TooMany,
}

impl RowGuardExec {
    /// Guards the rows that are sorted for the answer of a plan: below its last sort where there is one here, so that nothing is
    /// sorted in vain, else those of the answer itself, which are as many.
    ///
    /// # Errors
    /// Only where an operator cannot be rebuilt.
    pub fn below_sort(plan: Arc<dyn ExecutionPlan>, most: u64, too_many: &TooMany) -> Result<Arc<dyn ExecutionPlan>> {
        let guarded = |input: &Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
            let (input, came, too_many) = (Arc::clone(input), Arc::default(), Arc::clone(too_many));
            Arc::new(Self { input, most, came, too_many })
        };
        let input = match plan.children().as_slice() {
            [input] if plan.is::<SortExec>() => guarded(input),
            [input] if plan.is::<ProjectionExec>() || plan.is::<SortPreservingMergeExec>() => {
                Self::below_sort(Arc::clone(input), most, too_many)?
            }
            _ => return Ok(guarded(&plan)),
        };
        #[expect(deprecated, reason = "what is put between has the properties of what it is put above")]
        plan.with_new_children(vec![input])
    }
}

impl fmt::Debug for RowGuardExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowGuardExec").field("most", &self.most).finish_non_exhaustive()
    }
}

impl DisplayAs for RowGuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowGuardExec: at most {} rows", self.most)
    }
}

impl ExecutionPlan for RowGuardExec {
    fn name(&self) -> &'static str {
        "RowGuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => {
                let (came, too_many) = (Arc::clone(&self.came), Arc::clone(&self.too_many));
                Ok(Arc::new(Self { input, most: self.most, came, too_many }))
            }
            _ => internal_err!("RowGuardExec takes one input"),
        }
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        #[expect(deprecated, reason = "one way to rebuild serves both calls")]
        self.with_new_children(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (most, came, too_many) = (self.most, Arc::clone(&self.came), Arc::clone(&self.too_many));
        let checked = input.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            if came.fetch_add(rows, Ordering::Relaxed).saturating_add(rows) > most {
                return Err(too_many().into());
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), checked)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let unknown = || Arc::new(Statistics::new_unknown(&self.schema()));
        Ok(inputs.first().cloned().unwrap_or_else(unknown))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
