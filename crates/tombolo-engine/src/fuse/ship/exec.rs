use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::try_unfold;

use super::buffer::Buffer;
use super::collect::KeyCollector;

/// Reads one side of a join to its end, collects its distinct keys for the scans of the other side, and hands its rows on.
#[derive(Debug)]
pub struct CollectKeysExec {
    input: Arc<dyn ExecutionPlan>,
    collector: Arc<KeyCollector>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl CollectKeysExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, collector: Arc<KeyCollector>) -> Self {
        let below = input.properties();
        let properties = PlanProperties::new(
            below.equivalence_properties().clone(),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            below.boundedness,
        );
        Self { input, collector, metrics: ExecutionPlanMetricsSet::new(), properties: Arc::new(properties) }
    }
}

impl DisplayAs for CollectKeysExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectKeysExec")
    }
}

impl ExecutionPlan for CollectKeysExec {
    fn name(&self) -> &'static str {
        "CollectKeysExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
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
            Some(input) if children.is_empty() => Ok(Arc::new(Self::new(input, Arc::clone(&self.collector)))),
            _ => internal_err!("a collector of keys takes one input"),
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
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let rows = MemoryConsumer::new("CollectedRows").with_can_spill(true).register(context.memory_pool());
        let keys = MemoryConsumer::new("CollectedKeys").register(context.memory_pool());
        let metrics = SpillMetrics::new(&self.metrics, partition);
        let spill = SpillManager::new(context.runtime_env(), metrics, self.schema());
        let buffer = Arc::new(Mutex::new(Buffer::new(rows, spill)));
        let reading = self.collector.start(input, Arc::clone(&buffer), keys);
        let batches = try_unfold((None, reading, buffer), |(rows, reading, buffer)| async move {
            let mut rows: Box<Buffer> = match rows {
                Some(rows) => rows,
                None => {
                    reading.clone().await.map_err(DataFusionError::Shared)?;
                    Box::new(buffer.lock().unwrap_or_else(PoisonError::into_inner).take())
                }
            };
            Ok(rows.next().await?.map(|batch| (batch, (Some(rows), reading, buffer))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, _: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().cloned().unwrap_or_else(|| Arc::new(Statistics::new_unknown(&self.schema()))))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
