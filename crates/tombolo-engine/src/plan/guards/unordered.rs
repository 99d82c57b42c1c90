use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use crate::one_input::{OneInput, OneInputExec};

/// Passes rows on, and says nothing of their order or of which columns are constant.
pub(crate) type UnorderedExec = OneInputExec<Unordered>;

#[derive(Debug, Clone)]
pub(crate) struct Unordered;

impl OneInput for Unordered {
    const NAME: &'static str = "UnorderedExec";
    const KEEPS_ORDER: bool = false;
    const PASSES_LIMITS: bool = true;

    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<PlanProperties>> {
        let below = input.properties();
        let equivalences = EquivalenceProperties::new(input.schema());
        let partitioning = input.output_partitioning().clone();
        Ok(Arc::new(PlanProperties::new(equivalences, partitioning, below.emission_type, below.boundedness)))
    }

    fn stream(
        &self,
        input: SendableRecordBatchStream,
        _: usize,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(input)
    }
}

/// The plan without what it says of order.
pub(super) fn unordered(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(Arc::new(UnorderedExec::try_new(Unordered, plan)?))
}
