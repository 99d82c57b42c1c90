use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::try_unfold;

use super::collect::KeyCollector;
use crate::execute::{Buffer, Draining};
use crate::one_input::{OneInput, OneInputExec};

/// Reads one side of a join to its end, collects its distinct keys for the scans of the other side, and hands its rows on.
pub type CollectKeysExec = OneInputExec<CollectKeys>;

#[derive(Debug, Clone)]
pub struct CollectKeys {
    collector: Arc<KeyCollector>,
    metrics: ExecutionPlanMetricsSet,
}

impl CollectKeys {
    pub(super) fn of(input: Arc<dyn ExecutionPlan>, collector: Arc<KeyCollector>) -> Result<Arc<dyn ExecutionPlan>> {
        let work = Self { collector, metrics: ExecutionPlanMetricsSet::new() };
        Ok(Arc::new(CollectKeysExec::try_new(work, input)?))
    }
}

impl OneInput for CollectKeys {
    const NAME: &'static str = "CollectKeysExec";
    const IN_ONE_STREAM: bool = true;

    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<PlanProperties>> {
        let below = input.properties();
        Ok(Arc::new(PlanProperties::new(
            below.equivalence_properties().clone(),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            below.boundedness,
        )))
    }

    fn stream(
        &self,
        input: SendableRecordBatchStream,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = input.schema();
        let rows = MemoryConsumer::new("CollectedRows").with_can_spill(true).register(context.memory_pool());
        let keys = MemoryConsumer::new("CollectedKeys").register(context.memory_pool());
        let metrics = SpillMetrics::new(&self.metrics, partition);
        let spill = SpillManager::new(context.runtime_env(), metrics, Arc::clone(&schema));
        let buffer = Arc::new(Mutex::new(Buffer::new(rows, spill)));
        let reading = self.collector.start(input, Arc::clone(&buffer), keys);
        let batches = try_unfold((None, reading, buffer), |(rows, reading, buffer)| async move {
            let mut rows: Box<Draining> = match rows {
                Some(rows) => rows,
                None => {
                    reading.clone().await.map_err(DataFusionError::Shared)?;
                    Box::new(buffer.lock().unwrap_or_else(PoisonError::into_inner).drain())
                }
            };
            Ok(rows.next().await?.map(|batch| (batch, (Some(rows), reading, buffer))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
