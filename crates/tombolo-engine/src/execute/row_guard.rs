use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tombolo_connector::Error;

use crate::one_input::{OneInput, OneInputExec};

/// What is told of too many rows.
pub type TooMany = Arc<dyn Fn() -> Error + Send + Sync>;

/// Lets up to so many rows through, of all its streams together, and ends the query with an error at the next.
pub type RowGuardExec = OneInputExec<RowGuard>;

#[derive(Clone)]
pub struct RowGuard {
    most: u64,
    came: Arc<AtomicU64>,
    too_many: TooMany,
}

impl RowGuardExec {
    /// Guards the rows that are sorted for the answer of a plan that no limit cuts: below its last sort where there is one here, so that nothing is
    /// sorted in vain, else those of the answer itself, which are as many.
    ///
    /// # Errors
    /// Only where an operator cannot be rebuilt.
    pub fn below_sort(plan: Arc<dyn ExecutionPlan>, most: u64, too_many: &TooMany) -> Result<Arc<dyn ExecutionPlan>> {
        let guarded = |input: &Arc<dyn ExecutionPlan>| -> Result<Arc<dyn ExecutionPlan>> {
            let work = RowGuard { most, came: Arc::default(), too_many: Arc::clone(too_many) };
            Ok(Arc::new(Self::try_new(work, Arc::clone(input))?))
        };
        let input = match plan.children().as_slice() {
            [input] if plan.is::<SortExec>() => guarded(input)?,
            [input]
                if plan.is::<ProjectionExec>()
                    || plan.is::<SortPreservingMergeExec>()
                    || plan.is::<GlobalLimitExec>() =>
            {
                Self::below_sort(Arc::clone(input), most, too_many)?
            }
            _ => return guarded(&plan),
        };
        #[expect(deprecated, reason = "what is put between has the properties of what it is put above")]
        plan.with_new_children(vec![input])
    }
}

impl fmt::Debug for RowGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowGuard").field("most", &self.most).finish_non_exhaustive()
    }
}

impl OneInput for RowGuard {
    const NAME: &'static str = "RowGuardExec";

    fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ": at most {} rows", self.most)
    }

    fn stream(
        &self,
        input: SendableRecordBatchStream,
        _: usize,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (most, came, too_many) = (self.most, Arc::clone(&self.came), Arc::clone(&self.too_many));
        let schema = input.schema();
        let checked = input.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            if came.fetch_add(rows, Ordering::Relaxed).saturating_add(rows) > most {
                return Err(too_many().into());
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, checked)))
    }
}
