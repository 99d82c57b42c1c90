use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// What an operator of one input does, where as many rows come out as go in.
pub trait OneInput: fmt::Debug + Clone + Send + Sync + 'static {
    /// The operator's name.
    const NAME: &'static str;
    /// Whether all rows come to it in one stream.
    const IN_ONE_STREAM: bool = false;
    /// Whether rows come out in the order in which they came, as far as is told.
    const KEEPS_ORDER: bool = true;
    /// Whether a limit above it may go below it.
    const PASSES_LIMITS: bool = false;

    /// Writes what stands behind its name in a plan.
    ///
    /// # Errors
    /// Those of the formatter.
    fn details(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    /// The properties of what comes out.
    ///
    /// # Errors
    /// Those of DataFusion where a property cannot be carried over.
    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<PlanProperties>> {
        Ok(Arc::clone(input.properties()))
    }

    /// The rows of one partition.
    ///
    /// # Errors
    /// What keeps the stream from being made; what goes wrong later comes in the stream.
    fn stream(
        &self,
        input: SendableRecordBatchStream,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;

    /// What is known of what comes out, where that is not what is known of the input.
    fn statistics(&self, below: &Arc<Statistics>) -> Arc<Statistics> {
        Arc::clone(below)
    }

    /// What it has measured.
    fn metrics(&self) -> Option<MetricsSet> {
        None
    }
}

/// An operator of one input, out of which as many rows come as go in.
#[derive(Debug)]
pub struct OneInputExec<W> {
    work: W,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl<W: OneInput> OneInputExec<W> {
    /// Puts it above a plan.
    ///
    /// # Errors
    /// Those of [`OneInput::properties`].
    pub fn try_new(work: W, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let properties = work.properties(&input)?;
        Ok(Self { work, input, properties })
    }

    /// What it does.
    pub fn work(&self) -> &W {
        &self.work
    }
}

impl<W: OneInput> DisplayAs for OneInputExec<W> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(W::NAME)?;
        self.work.details(f)
    }
}

impl<W: OneInput> ExecutionPlan for OneInputExec<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![if W::IN_ONE_STREAM { Distribution::SinglePartition } else { Distribution::UnspecifiedDistribution }]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![W::KEEPS_ORDER]
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
            Some(input) if children.is_empty() => Ok(Arc::new(Self::try_new(self.work.clone(), input)?)),
            _ => internal_err!("{} takes one input", W::NAME),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        self.work.stream(input, partition, &context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.work.metrics()
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition.filter(|_| !W::IN_ONE_STREAM))]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let unknown = || Arc::new(Statistics::new_unknown(&self.schema()));
        Ok(inputs.first().map_or_else(unknown, |below| self.work.statistics(below)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        W::PASSES_LIMITS
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
