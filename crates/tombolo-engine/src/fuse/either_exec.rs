use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::ship::read_all_ms;
use crate::execute::{SourceScanExec, with_schema};
use crate::pushdown::Either;

/// Turns choices into operators.
#[derive(Debug)]
pub struct EitherPlanner;

#[async_trait]
impl ExtensionPlanner for EitherPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Either>() else { return Ok(None) };
        let [grouped, plain] = inputs else { return internal_err!("a choice takes two inputs") };
        let schema = Arc::clone(node.grouped.schema().inner());
        Ok(Some(Arc::new(EitherExec::new(schema, [Arc::clone(grouped), Arc::clone(plain)]))))
    }
}

/// Runs one of two plans with the same rows: the one whose sub-query is expected to cost less, now that its keys are known.
#[derive(Debug)]
pub struct EitherExec {
    schema: SchemaRef,
    inputs: [Arc<dyn ExecutionPlan>; 2],
    /// Which of them is run, once that is decided.
    chosen: Arc<OnceCell<usize>>,
    properties: Arc<PlanProperties>,
}

impl EitherExec {
    fn new(schema: SchemaRef, inputs: [Arc<dyn ExecutionPlan>; 2]) -> Self {
        let streams = inputs.iter().map(|input| input.output_partitioning().partition_count()).max().unwrap_or(1);
        let below = inputs[0].properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(streams),
            below.emission_type,
            below.boundedness,
        );
        Self { schema, inputs, chosen: Arc::default(), properties: Arc::new(properties) }
    }
}

/// Waits for the keys of the scans of a plan, and says what their sub-queries are expected to cost.
async fn cost(plan: &Arc<dyn ExecutionPlan>) -> Result<f64> {
    let mut scans = Vec::new();
    plan.apply(|plan| {
        if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
            scans.push((read_all_ms(scan), scan.supplies()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut sum = 0.0;
    for (read_all, supplies) in scans {
        let mut least: f64 = read_all;
        for supply in supplies {
            least = least.min(supply.cost().await?);
        }
        sum += least;
    }
    Ok(sum)
}

impl DisplayAs for EitherExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EitherExec")
    }
}

impl ExecutionPlan for EitherExec {
    fn name(&self) -> &'static str {
        "EitherExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; 2]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) {
            Ok(inputs) => Ok(Arc::new(Self::new(Arc::clone(&self.schema), inputs))),
            Err(_) => internal_err!("a choice takes two inputs"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (inputs, chosen, schema) = (self.inputs.clone(), Arc::clone(&self.chosen), Arc::clone(&self.schema));
        let opened = async move {
            let choose = || async {
                let [grouped, plain] = &inputs;
                Ok::<_, datafusion::common::DataFusionError>(usize::from(cost(plain).await? < cost(grouped).await?))
            };
            let input = &inputs[*chosen.get_or_try_init(choose).await?];
            if partition < input.output_partitioning().partition_count() {
                input.execute(partition, context)
            } else {
                Ok(Box::pin(EmptyRecordBatchStream::new(input.schema())) as SendableRecordBatchStream)
            }
        };
        let named = Arc::clone(&schema);
        let batches = stream::once(opened).try_flatten().map(move |batch| with_schema(batch?, &named));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn child_stats_requests(&self, _: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None); 2]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().cloned().unwrap_or_else(|| Arc::new(Statistics::new_unknown(&self.schema))))
    }
}
