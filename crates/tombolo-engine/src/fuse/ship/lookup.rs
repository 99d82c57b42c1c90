use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, Statistics, internal_datafusion_err, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::{self, try_unfold};
use futures::{StreamExt, TryStreamExt};

use super::collect::KeyCollector;
use super::exec::CollectKeys;
use super::rule::{Giver, Join, ShipKeysRule, Side, Way, counted, estimated_rows, passes_rows};
use super::shipment::Shipment;
use crate::catalog::Source;
use crate::cost::{KeyTarget, UNKNOWN_ROWS, moved};
use crate::execute::{KeyChoice, KeyOutcome, KeyReport, KeySupply, SourceScanExec};
use crate::settings::Strategy;

/// Rows in the first part, where no fewer are wanted.
const FIRST_PART: usize = 64;
/// The same where parts are made to find faults.
const SMALL_PART: usize = 2;
/// How much larger each part is than the one before, so that few requests are made for many rows.
const GROWTH: usize = 4;
/// Rows in a part at the most.
const LARGEST_PART: usize = 65_536;

type Plan = Arc<dyn ExecutionPlan>;

/// A join of which one side, the outer, is read part by part: the keys of each part go to the source of the other side, and what
/// comes is joined with the part before the next is read.
///
/// Each row of the outer side comes out with its partners, or without, whatever the other rows are; so the join of the whole is
/// the joins of the parts, one after another.
#[derive(Debug)]
pub struct LookupJoinExec {
    /// The join as it would be of the whole, with both sides.
    join: Plan,
    rule: ShipKeysRule,
    way: Way,
    first: usize,
    told: Arc<Told>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ShipKeysRule {
    /// The way in which a join is done part by part, where that is expected to cost much less.
    pub(super) fn lookup(&self, plan: &Plan, wanted: Option<usize>) -> Result<Option<Way>> {
        let is_always = self.limits.lookup == Strategy::Always;
        let is_never = self.limits.lookup == Strategy::Never || self.limits.strategy == Strategy::Never;
        if is_never || !(is_always || wanted.is_some()) || !plan.is::<HashJoinExec>() {
            return Ok(None);
        }
        let Some(join) = Join::of(plan) else { return Ok(None) };
        let mut best: Option<(f64, Way)> = None;
        for from in outer_sides(join.join_type) {
            let Some(source) = one_source(join.side(from.other())) else { continue };
            // The outer side stays open while the other is asked: a source with few connections would wait for itself.
            if reads_from(join.side(*from), source) {
                continue;
            }
            let giver = Giver::of(&join, *from)?;
            let mut target: Option<KeyTarget> = None;
            self.follow(&join, *from, &giver, &mut |_, offer| {
                target = Some(offer.target);
                Ok(None)
            })?;
            let Some(target) = target else { continue };
            let cost = match wanted {
                _ if is_always => Some(0.0),
                Some(wanted) => cost(plan, join.side(*from), &giver, &target, wanted),
                None => None,
            };
            if let Some(cost) = cost
                && best.as_ref().is_none_or(|(least, _)| cost < *least)
            {
                best = Some((cost, Way::of(*from, giver)));
            }
        }
        Ok(best.map(|(_, way)| way))
    }
}

/// The sides whose parts can be joined one after another. A semi join puts out rows of its kept side, each once, so that parts of
/// the other side would put out some of them again.
fn outer_sides(join_type: JoinType) -> &'static [Side] {
    match join_type {
        JoinType::Inner => &[Side::Left, Side::Right],
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => &[Side::Left],
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => &[Side::Right],
        JoinType::Full => &[],
    }
}

/// The milliseconds that it takes to look up the partners of as many rows as are expected to be needed, where to read both sides
/// takes much longer.
fn cost(plan: &Plan, outer: &Plan, giver: &Giver, target: &KeyTarget, wanted: usize) -> Option<f64> {
    let rows = estimated_rows(outer).unwrap_or(UNKNOWN_ROWS).max(1.0);
    let joined = estimated_rows(plan).unwrap_or(rows);
    let needed = (wanted as f64 / (joined / rows).clamp(0.001, 1.0)).max(FIRST_PART as f64);
    if needed * GROWTH as f64 > rows {
        return None;
    }
    let part_by_part = target.ship(needed.min(target.distinct)) + moved(needed, None);
    let whole =
        (target.read_all() + moved(needed, None)).min(target.ship(giver.keys.min(target.distinct)) + moved(rows, None));
    (2.0 * part_by_part < whole).then_some(part_by_part)
}

/// The source of a side that can be read again and again: one sub-query, with nothing above it that keeps anything.
fn one_source(plan: &Plan) -> Option<&Arc<Source>> {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        return scan.takes_keys().then(|| &scan.scan().source);
    }
    let [input] = plan.children().try_into().ok()?;
    if passes_rows(plan) && plan.fetch().is_none() { one_source(input) } else { None }
}

fn reads_from(plan: &Plan, source: &Arc<Source>) -> bool {
    let scan = plan.downcast_ref::<SourceScanExec>();
    scan.is_some_and(|scan| Arc::ptr_eq(&scan.scan().source, source))
        || plan.children().into_iter().any(|input| reads_from(input, source))
}

impl LookupJoinExec {
    pub(super) fn over(rule: &ShipKeysRule, plan: &Plan, way: Way, wanted: Option<usize>) -> Result<Plan> {
        let join = Join::of(plan).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
        if let Some((counted, which)) = counted(join.side(way.from.other())) {
            // The plan is made once, and may be made again with less memory.
            let _ = counted.looked_up.set(which);
        }
        let told = Arc::new(Told::default());
        rule.follow(&join, way.from, &way.giver, &mut |scan, offer| {
            let keys = way.giver.keys.min(offer.target.distinct);
            *told.report.lock().unwrap_or_else(PoisonError::into_inner) = KeyReport {
                from: way.giver.names.join(", "),
                to: offer.names.join(", "),
                columns: offer.columns(),
                estimated_keys: keys as u64,
                ship_ms: offer.target.ship(keys),
                read_all_ms: offer.target.read_all(),
                ..KeyReport::default()
            };
            scan.tell_keys(Arc::clone(&told) as _);
            Ok(None)
        })?;
        let first = match rule.limits.lookup {
            Strategy::Always => SMALL_PART,
            _ => wanted.unwrap_or(FIRST_PART).clamp(FIRST_PART, LARGEST_PART),
        };
        Ok(Arc::new(Self::new(Arc::clone(plan), rule.clone(), way, first, told)))
    }

    fn new(join: Plan, rule: ShipKeysRule, way: Way, first: usize, told: Arc<Told>) -> Self {
        let below = join.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(join.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            below.boundedness,
        );
        Self { join, rule, way, first, told, metrics: ExecutionPlanMetricsSet::new(), properties: Arc::new(properties) }
    }

    /// The join as it would be of the whole.
    pub fn join(&self) -> &Arc<dyn ExecutionPlan> {
        &self.join
    }

    fn outer(&self) -> Result<&Plan> {
        let children = self.join.children();
        children.get(self.way.from.at()).copied().ok_or_else(|| internal_datafusion_err!("a join has two sides"))
    }

    /// The join of one part of the outer side.
    fn part(&self, given: Plan) -> Result<(Plan, Arc<Shipment>)> {
        let hash = self.join.downcast_ref::<HashJoinExec>();
        let hash = hash.ok_or_else(|| internal_datafusion_err!("a lookup is not over a hash join"))?;
        let whole = Join::of(&self.join).ok_or_else(|| internal_datafusion_err!("a lookup is not over a join"))?;
        let keys = whole.keys(self.way.from);
        let collector = Arc::new(KeyCollector::try_new(keys, &given.schema(), self.rule.limits.max_keys)?);
        let mut shipped = None;
        let taking = self.rule.follow(&whole, self.way.from, &self.way.giver, &mut |scan, offer| {
            let shipment = Arc::new(self.rule.shipment(&collector, &self.way.giver, scan, offer));
            shipped = Some(Arc::clone(&shipment));
            Ok(Some(Arc::new(scan.with_keys_once(shipment)?) as Plan))
        })?;
        let (Some(taking), Some(shipment)) = (taking, shipped) else {
            return internal_err!("a lookup has nothing to look up in");
        };
        let giving = CollectKeys::of(given, collector)?;
        let children = match self.way.from {
            Side::Left => vec![giving, single(taking)],
            Side::Right => vec![single(taking), giving],
        };
        // Without that the parts would share the rows that the first of them has kept.
        let join = hash.builder().with_new_children(children)?.reset_state();
        let join = join.with_partition_mode(PartitionMode::CollectLeft).build()?;
        Ok((single(Arc::new(join)), shipment))
    }
}

/// A plan in one stream.
fn single(plan: Plan) -> Plan {
    if plan.properties().partitioning.partition_count() > 1 {
        Arc::new(CoalescePartitionsExec::new(plan))
    } else {
        plan
    }
}

/// What became of all parts together.
#[derive(Debug, Default)]
struct Told {
    /// Of the parts that are done.
    report: Mutex<KeyReport>,
    /// The part that is not, or that was the last.
    current: Mutex<Option<Arc<Shipment>>>,
}

impl Told {
    /// Goes on to the next part.
    fn next(&self, shipment: Option<Arc<Shipment>>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = std::mem::replace(&mut *current, shipment) {
            add(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner), done.report());
        }
    }
}

fn add(sum: &mut KeyReport, part: KeyReport) {
    if let Some(requests) = part.batches {
        *sum.batches.get_or_insert(0) += requests;
    }
    if let Some(keys) = part.keys {
        *sum.keys.get_or_insert(0) += keys;
    }
    sum.reason = part.reason.or(sum.reason.take());
    sum.is_range |= part.is_range;
}

#[async_trait]
impl KeySupply for Told {
    async fn choose(&self) -> Result<KeyChoice> {
        Ok(KeyChoice::ReadAll { reason: String::new() })
    }

    fn settle(&self, _: KeyOutcome) {}

    async fn cost(&self) -> Result<f64> {
        Ok(self.report().read_all_ms)
    }

    fn let_go(&self) {
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            current.let_go();
        }
    }

    fn report(&self) -> KeyReport {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            add(&mut report, current.report());
        }
        report
    }
}

/// A run of the join.
struct Parts {
    exec: LookupJoinExec,
    task: Arc<TaskContext>,
    /// None once all of it is in a part.
    outer: Option<SendableRecordBatchStream>,
    /// Rows that were read and are in no part yet.
    rest: Option<RecordBatch>,
    /// Rows of the next part; none where it is all that is left.
    size: Option<usize>,
    current: Option<(SendableRecordBatchStream, Arc<Shipment>)>,
}

impl Parts {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some((stream, shipment)) = &mut self.current {
                if let Some(batch) = stream.next().await {
                    return batch.map(Some);
                }
                // Where the source was read whole once, it need not be for each part.
                let is_read = shipment.report().reason.is_some();
                self.size = self.size.filter(|_| !is_read).map(|size| size.saturating_mul(GROWTH).min(LARGEST_PART));
                self.current = None;
            }
            let Some(rows) = self.rows().await? else { return Ok(None) };
            let (join, shipment) = self.exec.part(rows)?;
            self.exec.told.next(Some(Arc::clone(&shipment)));
            self.current = Some((join.execute(0, Arc::clone(&self.task))?, shipment));
        }
    }

    /// The rows of the next part, if there are any.
    async fn rows(&mut self) -> Result<Option<Plan>> {
        let Some(outer) = &mut self.outer else { return Ok(None) };
        let schema = outer.schema();
        let Some(size) = self.size else {
            let Some(outer) = self.outer.take() else { return Ok(None) };
            let rows = stream::iter(self.rest.take().map(Ok)).chain(outer);
            return Rest::plan(Box::pin(RecordBatchStreamAdapter::new(schema, rows))).map(Some);
        };
        let mut batches: Vec<RecordBatch> = self.rest.take().into_iter().collect();
        let mut count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        while count < size {
            let Some(batch) = outer.next().await else { break };
            let batch = batch?;
            count += batch.num_rows();
            batches.push(batch);
        }
        if count == 0 {
            return Ok(None);
        }
        let mut rows = concat_batches(&schema, &batches)?;
        if count > size {
            self.rest = Some(rows.slice(size, count - size));
            rows = rows.slice(0, size);
        }
        Ok(Some(MemorySourceConfig::try_new_exec(&[vec![rows]], schema, None)?))
    }
}

/// All rows that are left, which are read once.
struct Rest {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    fn plan(rows: SendableRecordBatchStream) -> Result<Plan> {
        let schema = rows.schema();
        let rest = Self { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(rest)], None, None, false, None)?))
    }
}

impl PartitionStream for Rest {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
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
        let Some(hash) = self.join.downcast_ref::<HashJoinExec>() else {
            return internal_err!("a lookup is not over a hash join");
        };
        let join = Arc::new(hash.builder().with_new_children(children)?.build()?);
        let (rule, way, told) = (self.rule.clone(), self.way.clone(), Arc::clone(&self.told));
        Ok(Arc::new(Self::new(join, rule, way, self.first, told)))
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
        let outer = self.outer()?.execute(0, Arc::clone(&task))?;
        let (rule, way, told) = (self.rule.clone(), self.way.clone(), Arc::clone(&self.told));
        let exec = Self::new(Arc::clone(&self.join), rule, way, self.first, told);
        let metrics = BaselineMetrics::new(&self.metrics, 0);
        let parts = Parts { exec, task, outer: Some(outer), rest: None, size: Some(self.first), current: None };
        let batches = try_unfold(parts, |mut parts| async move { Ok(parts.next().await?.map(|batch| (batch, parts))) });
        let batches = batches.inspect_ok(move |batch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
