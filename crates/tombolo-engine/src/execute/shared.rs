use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, SharedResult, Statistics, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, TryStreamExt, stream};

use super::buffer::Buffer;
use crate::pushdown::Shared;

/// Makes an operator for each place where shared rows are read.
#[derive(Debug, Default)]
pub struct SharedPlanner {
    planned: Mutex<BTreeMap<usize, (Arc<SharedRows>, bool)>>,
}

impl SharedPlanner {
    /// Takes what makes the rows of a number, before what reads them is planned.
    pub fn add(&self, id: usize, plan: Arc<dyn ExecutionPlan>) {
        let rows = Arc::new(SharedRows { id, plan, parts: OnceLock::new(), metrics: ExecutionPlanMetricsSet::new() });
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (rows, true));
    }
}

#[async_trait]
impl ExtensionPlanner for SharedPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        _: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(Shared { id, .. }) = node.as_any().downcast_ref::<Shared>() else { return Ok(None) };
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((rows, is_first)) = planned.get_mut(id) else {
            return internal_err!("shared rows are read before it is planned what makes them");
        };
        let is_first = std::mem::take(is_first);
        Ok(Some(Arc::new(SharedExec::new(Arc::clone(rows), is_first))))
    }
}

/// The inputs of an operator, and for the first that reads shared rows what makes them.
pub fn inputs(plan: &Arc<dyn ExecutionPlan>) -> Vec<&Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<SharedExec>() {
        Some(SharedExec { rows, is_first: true, .. }) => vec![&rows.plan],
        _ => plan.children(),
    }
}

/// One partition of shared rows, when all of it is there.
type Part = futures::future::Shared<BoxFuture<'static, SharedResult<Arc<Buffer>>>>;

/// Rows that are made when somebody first asks for them, and kept as long as the plan is.
#[derive(Debug)]
struct SharedRows {
    id: usize,
    plan: Arc<dyn ExecutionPlan>,
    parts: OnceLock<Vec<Part>>,
    metrics: ExecutionPlanMetricsSet,
}

impl SharedRows {
    /// Waits for the rows of a partition. All partitions are begun with the first, and go on when whoever waits goes away: they end
    /// with the plan.
    async fn part(&self, partition: usize, context: &Arc<TaskContext>) -> SharedResult<Arc<Buffer>> {
        let begin =
            || (0..self.plan.output_partitioning().partition_count()).map(|at| self.begin(at, context)).collect();
        let part = self.parts.get_or_init(begin).get(partition).cloned();
        match part {
            Some(part) => part.await,
            None => Err(Arc::new(DataFusionError::Internal(format!("shared rows have no partition {partition}")))),
        }
    }

    fn begin(&self, partition: usize, context: &Arc<TaskContext>) -> Part {
        let rows = MemoryConsumer::new("SharedRows").with_can_spill(true).register(context.memory_pool());
        let metrics = SpillMetrics::new(&self.metrics, partition);
        let spill = SpillManager::new(context.runtime_env(), metrics, self.plan.schema());
        let mut buffer = Buffer::new(rows, spill);
        let input = self.plan.execute(partition, Arc::clone(context));
        let reading = SpawnedTask::spawn(async move {
            let mut input = input?;
            while let Some(batch) = input.next().await {
                buffer.push(batch?)?;
            }
            Ok(Arc::new(buffer))
        });
        let ended = async {
            let ended = reading.join_unwind().await;
            ended.unwrap_or_else(|error| Err(DataFusionError::ExecutionJoin(Box::new(error)))).map_err(Arc::new)
        };
        ended.boxed().shared()
    }
}

/// Reads shared rows in one of the places where they are wanted.
#[derive(Debug)]
pub struct SharedExec {
    rows: Arc<SharedRows>,
    /// Whether it is the first in the plan; what makes the rows is told of there.
    is_first: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SharedExec {
    fn new(rows: Arc<SharedRows>, is_first: bool) -> Self {
        let below = rows.plan.properties();
        let properties = PlanProperties::new(
            below.equivalence_properties().clone(),
            below.output_partitioning().clone(),
            EmissionType::Final,
            below.boundedness,
        );
        Self { rows, is_first, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The number of the rows in the plan.
    pub fn id(&self) -> usize {
        self.rows.id
    }

    /// What makes the rows.
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.rows.plan
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: #{}", self.rows.id)
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    // What makes the rows is planned by itself: a rule that rewrote it here would do so in each place.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("shared rows are a leaf") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = Arc::clone(&self.rows);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let kept = async move {
            let part = rows.part(partition, &context).await.map_err(DataFusionError::Shared)?;
            Ok::<_, DataFusionError>(part.read())
        };
        let batches = stream::once(kept).try_flatten().inspect_ok(move |batch| {
            metrics.record_output(batch.num_rows());
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut metrics = self.metrics.clone_inner();
        // What was kept in files is told of once.
        if self.is_first {
            self.rows.metrics.clone_inner().iter().for_each(|metric| metrics.push(Arc::clone(metric)));
        }
        Some(metrics)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        StatisticsContext::new().compute(self.rows.plan.as_ref(), args)
    }
}
