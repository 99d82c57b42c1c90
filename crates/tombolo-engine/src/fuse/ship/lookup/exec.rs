use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, LexOrdering, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::TryStreamExt;
use futures::stream::try_unfold;

use super::choose::FIRST_PART;
use super::parts::{LARGEST_PART, Parts};
use super::told::Told;
use crate::execute::{KeyReport, inputs};
use crate::fuse::ship::rule::{Join, Plan, ShipKeysRule, Side, Way, counted};
use crate::settings::Strategy;

/// Rows in the first part where parts are made to find faults.
const SMALL_PART: usize = 2;

/// A join of which one side, the outer, is read part by part: the keys of each part go to the source of the other side, and what
/// comes is joined with the part before the next is read.
///
/// Each row of the outer side comes out with its partners, or without, whatever the other rows are; so the join of the whole is
/// the joins of the parts, one after another. Where the outer side comes in an order, so do the joined rows.
#[derive(Debug)]
pub struct LookupJoinExec {
    /// The join as it would be of the whole, with both sides.
    pub(super) join: Plan,
    pub(super) rule: ShipKeysRule,
    pub(super) way: Way,
    pub(super) told: Arc<Told>,
    first: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl LookupJoinExec {
    pub(in crate::fuse::ship) fn over(
        rule: &ShipKeysRule,
        plan: &Plan,
        way: Way,
        wanted: Option<usize>,
    ) -> Result<Plan> {
        let join = Join::of(plan).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
        if let Some((counted, which)) = counted(join.side(way.from.other())) {
            // The plan is made once, and may be made again with less memory.
            let _ = counted.looked_up.set(which);
        }
        let told = Arc::new(Told::default());
        rule.follow(&join, way.from, &way.giver, &mut |scan, offer| {
            let keys = way.giver.keys.min(offer.target.distinct);
            told.expect(KeyReport {
                from: way.giver.names.join(", "),
                to: offer.names.join(", "),
                columns: offer.columns(),
                estimated_keys: keys as u64,
                ship_ms: offer.target.ship(keys),
                read_all_ms: offer.target.read_all(),
                ..KeyReport::default()
            });
            scan.tell_keys(Arc::clone(&told) as _);
            Ok(None)
        })?;
        let first = match rule.limits.lookup {
            Strategy::Always => SMALL_PART,
            _ => wanted.unwrap_or(FIRST_PART).clamp(FIRST_PART, LARGEST_PART),
        };
        // What is not read by keys is taken for all rows, and joined with all parts that follow.
        let mut rule = rule.clone();
        rule.limits.ranges = Strategy::Never;
        Ok(Arc::new(Self::try_new(Arc::clone(plan), rule, way, first, told)?))
    }

    fn try_new(join: Plan, rule: ShipKeysRule, way: Way, first: usize, told: Arc<Told>) -> Result<Self> {
        let below = join.properties();
        let mut equivalences = EquivalenceProperties::new(join.schema());
        if is_ordered(outer(&join, way.from)?) {
            let in_order = oriented(hash(&join)?, way.from, true)?;
            if in_order.schema() == join.schema() {
                equivalences = in_order.equivalence_properties().clone();
            }
        }
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            below.boundedness,
        );
        Ok(Self {
            join,
            rule,
            way,
            told,
            first,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }

    /// The join as it would be of the whole.
    pub fn join(&self) -> &Arc<dyn ExecutionPlan> {
        &self.join
    }

    pub(super) fn outer(&self) -> Result<&Plan> {
        outer(&self.join, self.way.from)
    }

    /// The order of the outer side.
    pub(super) fn order(&self) -> Result<Option<LexOrdering>> {
        Ok(self.outer()?.output_ordering().cloned())
    }

    /// Whether the joined rows come in the order of the outer side.
    pub(super) fn keeps_order(&self) -> bool {
        self.properties.output_ordering().is_some()
    }

    /// The join of some rows of the outer side with what was found for them. In the outer side's order, what was found is kept while
    /// these rows go by it; otherwise it is the other way round, which needs less memory where each of them finds many.
    pub(super) fn part(&self, outer: Plan, answers: Plan, in_order: bool) -> Result<Plan> {
        let children = match self.way.from {
            Side::Left => vec![outer, answers],
            Side::Right => vec![answers, outer],
        };
        // Without that the parts would share the rows that the first of them has kept.
        let join = hash(&self.join)?.builder().with_new_children(children)?.reset_state().build()?;
        Ok(single(oriented(&join, self.way.from, in_order)?))
    }

    fn again(&self, join: Plan) -> Result<Self> {
        Self::try_new(join, self.rule.clone(), self.way.clone(), self.first, Arc::clone(&self.told))
    }
}

/// Whether a plan has a lookup join, which keeps the rows of its parts in memory.
pub fn has_lookup(plan: &Plan) -> bool {
    plan.is::<LookupJoinExec>() || inputs(plan).into_iter().any(has_lookup)
}

fn hash(join: &Plan) -> Result<&HashJoinExec> {
    join.downcast_ref::<HashJoinExec>().ok_or_else(|| internal_datafusion_err!("a lookup is not over a hash join"))
}

fn outer(join: &Plan, from: Side) -> Result<&Plan> {
    join.children().get(from.at()).copied().ok_or_else(|| internal_datafusion_err!("a join has two sides"))
}

fn is_ordered(plan: &Plan) -> bool {
    plan.output_ordering().is_some()
}

/// A join with its sides so that the outer one goes by rows that are kept, whose order it has then; or is kept itself.
fn oriented(join: &HashJoinExec, from: Side, outer_goes_by: bool) -> Result<Plan> {
    let mode = PartitionMode::CollectLeft;
    if (from == Side::Right) == outer_goes_by {
        Ok(Arc::new(join.builder().with_partition_mode(mode).build()?))
    } else {
        join.swap_inputs(mode)
    }
}

/// A plan in one stream.
pub(super) fn single(plan: Plan) -> Plan {
    if plan.properties().partitioning.partition_count() > 1 {
        Arc::new(CoalescePartitionsExec::new(plan))
    } else {
        plan
    }
}

impl DisplayAs for LookupJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupJoinExec: first {} rows", self.first)
    }
}

impl ExecutionPlan for LookupJoinExec {
    fn name(&self) -> &'static str {
        "LookupJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; 2]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // It does keep the outer side's order, and its properties say so. But to say so here would let DataFusion sink a sort below it,
        // whose columns it would find by their positions, which the join may have changed.
        vec![false; 2]
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
        let join = hash(&self.join)?.builder().with_new_children(children)?.build()?;
        Ok(Arc::new(self.again(Arc::new(join))?))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.join.child_stats_requests(partition)
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        self.join.statistics_from_inputs(inputs, args)
    }

    fn execute(&self, _: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, 0);
        let parts = Parts::try_new(self.again(Arc::clone(&self.join))?, self.first, task)?;
        let batches = try_unfold(parts, |mut parts| async move { Ok(parts.next().await?.map(|batch| (batch, parts))) });
        let batches = batches.inspect_ok(move |batch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
