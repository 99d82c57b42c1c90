use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::JoinOnRef;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr, replace_children_if_necessary};
use tombolo_connector::{Answer, KeySupport, RowCount, Scan, ScanStatistics};

use super::collect::KeyCollector;
use super::convert::{WayBack, made_of};
use super::cost::{read_all_ms, target};
use super::demand::Demand;
use super::exec::CollectKeys;
use super::lookup::LookupJoinExec;
use super::route::{Path, Route, Wanted, column};
use super::shipment::{Shipment, Taken};
use crate::cost::{KeyTarget, distinct};
use crate::execute::SourceScanExec;
use crate::fuse::count_exec::JoinCountExec;
use crate::fuse::{CountedJoin, JoinStrategy, Which};
use crate::plan::is_text;
use crate::settings::{KeyShipping, Strategy};

/// The share of rows that a filter is held to let through: DataFusion's own default.
const FILTERED: f64 = 0.2;
/// How much less than expected may come where there are conditions.
const LEAST_SHARE: f64 = 0.05;
/// Keys that are expected where nothing is known of the side that gives them: few, since their number is seen before they are
/// shipped.
const UNKNOWN_KEYS: f64 = 1_000.0;

/// Has one side of a join give its keys to the scans of the other side, where that is expected to cost less than to read them
/// whole.
#[derive(Debug, Clone)]
pub struct ShipKeysRule {
    pub(super) limits: KeyShipping,
}

pub(super) type Plan = Arc<dyn ExecutionPlan>;

impl ShipKeysRule {
    /// Makes the rule of one query.
    pub fn new(limits: KeyShipping) -> Self {
        Self { limits }
    }

    /// Goes down a plan, of which a limit above wants some rows.
    fn visit(&self, plan: Plan, demand: &Demand, config: &ConfigOptions) -> Result<Plan> {
        if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
            let order: Vec<_> = demand.order.iter().map(|key| (key.at, key.options)).collect();
            let in_order = scan.in_order(&order).filter(|_| !order.is_empty());
            return Ok(in_order.map_or(Arc::clone(&plan), |scan| Arc::clone(scan) as _));
        }
        let lookup = self.lookup(&plan, demand)?;
        let first = self.first_rows(&plan)?;
        let below = |at: usize| match (&lookup, &first) {
            (Some(way), _) if at == way.from.at() => demand.of_outer(&plan),
            (Some(_), _) => Demand::default(),
            (None, Some(first)) => first.clone(),
            (None, None) => demand.below(&plan, at),
        };
        let children = plan.children().into_iter().enumerate();
        let children = children.map(|(at, child)| self.visit(Arc::clone(child), &below(at), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        let plan = replace_children_if_necessary(plan, children)?;
        match lookup {
            Some(way) => LookupJoinExec::over(self, &plan, way, demand.rows),
            None => self.shipped_where_worth(plan, config),
        }
    }

    fn shipped_where_worth(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let Some(join) = Join::of(&plan) else { return Ok(plan) };
        let mut best: Option<Way> = None;
        let read_all = [Side::Left, Side::Right].map(|side| read_all_sides(join.side(side))).iter().sum();
        let mut chosen = JoinStrategy { name: "read both sides".to_owned(), read_ms: read_all };
        let mut strategies = Vec::new();
        for from in join.givers() {
            let way = self.way(&join, *from)?;
            let Some(saved) = way.expected else { continue };
            let name = format!("key shipping from {}", way.giver.names.join(", "));
            let mut strategy = JoinStrategy { name, read_ms: (read_all - saved).max(0.0) };
            if way.gain > best.as_ref().map_or(0.0, |best| best.gain) {
                std::mem::swap(&mut strategy, &mut chosen);
                best = Some(way);
            }
            strategies.push(strategy);
        }
        strategies.sort_by(|one, other| one.read_ms.total_cmp(&other.read_ms));
        strategies.insert(0, chosen);
        if let Some((counted, _)) = counted(join.side(Side::Left)) {
            // The plan is made once, and may be made again with less memory.
            let _ = counted.strategies.set(strategies);
        }
        match best {
            Some(way) => self.shipped(&plan, &join, &way, config),
            None => Ok(plan),
        }
    }

    /// What is gained when one side gives its keys to the other.
    pub(super) fn way(&self, join: &Join<'_>, from: Side) -> Result<Way> {
        let giver = Giver::of(join, from)?;
        let (mut gain, mut expected) = (0.0, None);
        self.follow(join, from, &giver, &mut |_, offer| {
            let target = &offer.target;
            gain += self.saved(&giver, target);
            let saved = target.read_all() - target.ship(giver.keys.min(target.distinct));
            expected = Some(expected.unwrap_or(0.0) + saved);
            Ok(None)
        })?;
        Ok(Way { from, giver, gain, expected })
    }

    /// The milliseconds that it saves to ship keys to one scan, if there are as few as there may be; 0 where it is not done.
    fn saved(&self, giver: &Giver, target: &KeyTarget) -> f64 {
        // The side that gives them is read first even if nothing is compared then, so it must be worth it as expected.
        let keys = if target.spared.is_some() { giver.keys } else { giver.least_keys };
        let saved = target.read_all() - target.ship(keys.min(target.distinct));
        saved.max(if self.limits.strategy == Strategy::Always { 1.0 } else { 0.0 })
    }

    /// The join, with one side collecting its keys and the scans of the other waiting for them.
    fn shipped(&self, plan: &Plan, join: &Join<'_>, way: &Way, config: &ConfigOptions) -> Result<Plan> {
        let giving = join.side(way.from);
        let exprs = join.keys(way.from);
        let collector = Arc::new(KeyCollector::try_new(exprs, &giving.schema(), self.limits.max_keys)?);
        let taking = self.follow(join, way.from, &way.giver, &mut |scan, offer| {
            if self.saved(&way.giver, &offer.target) == 0.0 {
                return Ok(None);
            }
            let keys = way.giver.keys.min(offer.target.distinct);
            let share = offer.target.share(keys);
            let statistics = scan.scan_statistics();
            let fewer = |value: u64| (value as f64 * share).ceil() as u64;
            let statistics = ScanStatistics {
                rows: statistics.rows.value().map_or(RowCount::Unknown, |rows| RowCount::Estimated(fewer(rows))),
                bytes: statistics.bytes.map(fewer),
            };
            let requests = (keys / offer.target.request_keys as f64).ceil();
            let streams = if requests > 1.0 { config.execution.target_partitions } else { 1 };
            let columns = offer.columns();
            let shipment = Arc::new(self.shipment(&collector, &way.giver, scan, offer));
            let scan = if scan.takes_filter() {
                scan.with_filter(shipment, &columns, statistics, config)?
            } else {
                scan.with_keys(shipment, streams, statistics)?
            };
            Ok(Some(Arc::new(scan) as Plan))
        })?;
        let Some(taking) = taking else { return Ok(Arc::clone(plan)) };
        let giving = CollectKeys::of(Arc::clone(giving), collector)?;
        let children = match way.from {
            Side::Left => vec![giving, taking],
            Side::Right => vec![taking, giving],
        };
        let Some(hash) = plan.downcast_ref::<HashJoinExec>() else {
            return replace_children_if_necessary(Arc::clone(plan), children);
        };
        let mode = PartitionMode::CollectLeft;
        let hash = hash.builder().with_new_children(children)?.with_partition_mode(mode).build()?;
        // The side that gives the keys is read first and is the smaller one.
        if way.from == Side::Right && hash.join_type().supports_swap() {
            hash.swap_inputs(mode)
        } else {
            Ok(Arc::new(hash))
        }
    }

    /// The keys of one side on their way to a scan.
    pub(super) fn shipment(
        &self,
        collector: &Arc<KeyCollector>,
        giver: &Giver,
        scan: &SourceScanExec,
        offer: Offer,
    ) -> Shipment {
        Shipment {
            collector: Arc::clone(collector),
            wanted: offer.wanted,
            schema: scan.schema(),
            estimated_keys: giver.keys.min(offer.target.distinct),
            target: offer.target,
            limits: self.limits,
            reduced: offer.reduced,
            from: giver.names.join(", "),
            to: offer.names.join(", "),
            outcome: Mutex::default(),
        }
    }

    /// Goes to every scan of the other side that takes the keys.
    pub(super) fn follow(
        &self,
        join: &Join<'_>,
        from: Side,
        giver: &Giver,
        take: &mut dyn FnMut(&SourceScanExec, Offer) -> Result<Option<Plan>>,
    ) -> Result<Option<Plan>> {
        let (keys, side) = (join.keys(from), join.side(from));
        let given = side.schema();
        let types = keys.iter().map(|key| key.data_type(&given)).collect::<Result<Vec<_>>>()?;
        let mut visit = |scan: &SourceScanExec, wanted: &[Wanted], path: &Path| {
            let schema = scan.schema();
            let mut taken: Vec<Taken> = Vec::new();
            for one in wanted {
                let Some(key) = types.get(one.key) else { continue };
                let Some(way_back) = WayBack::find(schema.field(one.at).data_type(), &one.steps, key) else { continue };
                if taken.iter().all(|taken| taken.key != one.key && taken.at != one.at) {
                    taken.push(Taken { at: one.at, key: one.key, way_back });
                }
            }
            // To compare rows here is worth it only where something is done with them before the join.
            let spared = Some(path.work).filter(|work| *work > 0.0 && scan.takes_filter());
            let request_keys = if spared.is_some() {
                taken.retain(|one| is_compared_here(schema.field(one.at).data_type()));
                (!taken.is_empty()).then_some(usize::MAX)
            } else {
                self.request_keys(scan, &mut taken)
            };
            let Some(request_keys) = request_keys else { return Ok(None) };
            let columns: Vec<usize> = taken.iter().map(|wanted| wanted.at).collect();
            let target = target(scan, &columns, giver.of_table, request_keys, spared);
            let names = columns.iter().map(|at| name(scan, *at)).collect();
            take(scan, Offer { wanted: taken, target, reduced: path.reduced.clone(), names })
        };
        Route::new(&mut visit).follow(join.side(from.other()), &join.wanted(from.other()))
    }

    /// How many keys one request to a scan may carry; leaves the columns that its source takes keys for.
    fn request_keys(&self, scan: &SourceScanExec, wanted: &mut Vec<Taken>) -> Option<usize> {
        if !scan.takes_keys() {
            return None;
        }
        let node = scan.scan();
        let connector = node.source.connector_if_connected()?;
        let KeySupport::Exact { max_keys } = connector.capabilities().keys else { return None };
        let takes = |wanted: &[Taken]| {
            let columns: Vec<usize> = wanted.iter().map(|wanted| wanted.at).collect();
            !matches!(connector.offer_keys(&node.scan, &columns), Answer::Refused(_))
        };
        wanted.retain(|one| takes(std::slice::from_ref(one)));
        if wanted.len() > 1 && !takes(wanted) {
            wanted.truncate(1);
        }
        (!wanted.is_empty()).then(|| max_keys.min(self.limits.batch_keys).max(1))
    }
}

impl PhysicalOptimizerRule for ShipKeysRule {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        // A recursive query runs a part of its plan again and again, with other keys each time.
        if self.limits.strategy == Strategy::Never || plan.exists(|plan| Ok(plan.is::<RecursiveQueryExec>()))? {
            return Ok(plan);
        }
        self.visit(plan, &Demand::default(), config)
    }

    fn name(&self) -> &'static str {
        "ship_keys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A scan that takes keys.
pub(super) struct Offer {
    wanted: Vec<Taken>,
    pub(super) target: KeyTarget,
    reduced: Vec<crate::fuse::count_exec::Reduced>,
    pub(super) names: Vec<String>,
}

impl Offer {
    /// The columns that are compared, as positions in the scan's output.
    pub(super) fn columns(&self) -> Vec<usize> {
        self.wanted.iter().map(|wanted| wanted.at).collect()
    }
}

/// One side giving its keys to the other.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) from: Side,
    pub(super) giver: Giver,
    /// Milliseconds that are saved by it.
    gain: f64,
    /// The same with as many keys as are expected; less than nothing where more is lost.
    pub(super) expected: Option<f64>,
}

impl Way {
    /// A way of which nothing is expected.
    pub(super) fn of(from: Side, giver: Giver) -> Self {
        Self { from, giver, gain: 0.0, expected: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    pub(super) fn at(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What is known of the side that gives its keys.
#[derive(Debug, Clone)]
pub(super) struct Giver {
    /// Distinct keys that are expected.
    pub(super) keys: f64,
    /// As few as there may well be: how many rows pass a condition is mostly a guess, and the number of keys decides again when
    /// it is known.
    least_keys: f64,
    /// Distinct keys of the table that they come from, where that is known.
    of_table: Option<f64>,
    pub(super) names: Vec<String>,
}

impl Giver {
    pub(super) fn of(join: &Join<'_>, from: Side) -> Result<Self> {
        let (side, keys) = (join.side(from), join.keys(from));
        let text = |key: &Arc<dyn PhysicalExpr>| {
            key.downcast_ref::<Column>().map_or_else(|| key.to_string(), |column| column.name().to_owned())
        };
        let mut names: Vec<String> = keys.iter().map(text).collect();
        let mut of_table: Option<f64> = None;
        join.each_stored(from, &mut |scan, wanted| {
            of_table = distinct(&scan.scan().scan, wanted.at).into_iter().chain(of_table).reduce(f64::max);
            if let Some(text) = names.get_mut(wanted.key) {
                *text = name(scan, wanted.at);
            }
        })?;
        let rows = estimated_rows(side).unwrap_or(UNKNOWN_KEYS);
        let of_columns: Option<f64> = keys.iter().map(|key| values(side, column(key)?)).product();
        let keys = of_table.into_iter().chain(of_columns).fold(rows, f64::min);
        // The rows of this side are kept until the other is read. Where they are expected to be more, that must be worth it as
        // expected.
        let is_smaller = estimated_rows(join.side(from.other())).is_none_or(|others| rows <= others);
        let least_keys = if is_smaller && is_conditional(side) { keys * LEAST_SHARE } else { keys };
        Ok(Self { keys, least_keys, of_table, names })
    }
}

/// A join by equality.
pub(super) struct Join<'a> {
    sides: [&'a Plan; 2],
    on: JoinOnRef<'a>,
    pub(super) join_type: JoinType,
}

impl<'a> Join<'a> {
    pub(super) fn of(plan: &'a Plan) -> Option<Self> {
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            // NOT IN must see every null of its other side.
            let is_plain = !join.null_aware && join.null_equality() == NullEquality::NullEqualsNothing;
            return is_plain.then(|| Self {
                sides: [join.left(), join.right()],
                on: join.on(),
                join_type: *join.join_type(),
            });
        }
        let join = plan.downcast_ref::<SortMergeJoinExec>()?;
        (join.null_equality() == NullEquality::NullEqualsNothing).then(|| Self {
            sides: [join.left(), join.right()],
            on: join.on(),
            join_type: join.join_type(),
        })
    }

    /// The sides whose keys say which rows of the other side matter: rows of that side that match none come out in no way.
    pub(super) fn givers(&self) -> &'static [Side] {
        match self.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => &[Side::Left, Side::Right],
            JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => &[Side::Left],
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark => &[Side::Right],
            JoinType::Full => &[],
        }
    }

    pub(super) fn side(&self, side: Side) -> &'a Plan {
        match side {
            Side::Left => self.sides[0],
            Side::Right => self.sides[1],
        }
    }

    pub(super) fn keys(&self, side: Side) -> Vec<Arc<dyn PhysicalExpr>> {
        let of = |(left, right): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)| match side {
            Side::Left => Arc::clone(left),
            Side::Right => Arc::clone(right),
        };
        self.on.iter().map(of).collect()
    }

    /// Goes to each stored column that a key of one side is.
    fn each_stored(&self, side: Side, found: &mut dyn FnMut(&SourceScanExec, &Wanted)) -> Result<()> {
        let mut visit = |scan: &SourceScanExec, wanted: &[Wanted], _: &Path| {
            wanted.iter().for_each(|wanted| found(scan, wanted));
            Ok(None)
        };
        Route::new(&mut visit).follow(self.side(side), &self.wanted(side))?;
        Ok(())
    }

    /// Distinct keys of the tables that the keys are from, where that is known.
    fn distinct_in_tables(&self) -> Option<f64> {
        let mut known: Option<f64> = None;
        for side in [Side::Left, Side::Right] {
            let mut add = |scan: &SourceScanExec, wanted: &Wanted| {
                known = distinct(&scan.scan().scan, wanted.at).into_iter().chain(known).reduce(f64::max);
            };
            self.each_stored(side, &mut add).ok()?;
        }
        known
    }

    /// The keys of one side that are made of a column of it.
    fn wanted(&self, side: Side) -> Vec<Wanted> {
        let column = |(key, expr): (usize, Arc<dyn PhysicalExpr>)| {
            let (at, steps) = made_of(&expr)?;
            Some(Wanted { at, key, steps })
        };
        self.keys(side).into_iter().enumerate().filter_map(column).collect()
    }
}

/// Whether values of a type are alike for a comparison here where they are for a join. Of floats there are two zeros.
pub(super) fn is_compared_here(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || (data_type.is_temporal() && !matches!(data_type, DataType::Interval(_) | DataType::Duration(_)))
        || is_text(data_type)
        || matches!(data_type, DataType::Boolean | DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The milliseconds that it takes to read all sub-queries of a plan without keys of this join.
pub(super) fn read_all_sides(plan: &Plan) -> f64 {
    match plan.downcast_ref::<SourceScanExec>() {
        Some(scan) => read_all_ms(scan),
        None => plan.children().into_iter().map(read_all_sides).sum(),
    }
}

/// The counter of a join that has this side, and which side that is for it.
pub(super) fn counted(side: &Plan) -> Option<(&Arc<CountedJoin>, Which)> {
    if let Some(counter) = side.downcast_ref::<JoinCountExec>() {
        let counter = counter.work();
        return counter.side().map(|which| (counter.join(), which));
    }
    let [input] = side.children().try_into().ok()?;
    let passes = side.is::<ProjectionExec>() || side.is::<CooperativeExec>() || side.is::<CoalescePartitionsExec>();
    if passes { counted(input) } else { None }
}

/// Whether the number of rows of a plan depends on what is in its tables, and not on their sizes alone.
fn is_conditional(plan: &Plan) -> bool {
    let scans = plan.downcast_ref::<SourceScanExec>();
    let is_condition = |scan: &Scan| matches!(scan, Scan::Filter { .. } | Scan::Join(_) | Scan::Aggregate(_));
    scans.is_some_and(|scan| !scan.supplies().is_empty() || scan.scan().scan.any(&is_condition))
        || plan.is::<FilterExec>()
        || Join::of(plan).is_some()
        || plan.children().into_iter().any(is_conditional)
}

/// A scan's output column as it is told: `orders.customer_id`.
fn name(scan: &SourceScanExec, at: usize) -> String {
    let tree = &scan.scan().scan;
    match tree.column_origin(at) {
        Some((table, column)) if !table.table().is_query() => {
            format!("{}.{}", table.table().table, column.field.name())
        }
        _ => tree.schema().field(at).name().clone(),
    }
}

/// As many values as a column of a plan can have: there are no more than rows below, and in an inner join by equality no more than
/// its partner has.
fn values(plan: &Plan, at: usize) -> Option<f64> {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        let rows = estimated_rows(plan);
        return distinct(&scan.scan().scan, at).into_iter().chain(rows).reduce(f64::min);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let at = join.projection.as_ref().map_or(Some(at), |columns| columns.get(at).copied())?;
        let width = join.left().schema().fields().len();
        let of = |side: usize, at: usize| values([join.left(), join.right()][side], at);
        let (side, at) = match join.join_type() {
            JoinType::Inner | JoinType::Left | JoinType::Right if at >= width => (1, at - width),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::LeftSemi | JoinType::LeftAnti => (0, at),
            JoinType::RightSemi | JoinType::RightAnti => (1, at),
            JoinType::Full | JoinType::LeftMark | JoinType::RightMark => return None,
        };
        let is_by_both = matches!(join.join_type(), JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi);
        let partners = join.on().iter().filter(|_| is_by_both).filter_map(|(left, right)| {
            let pair = [column(left)?, column(right)?];
            if pair[side] == at { of(1 - side, pair[1 - side]) } else { None }
        });
        return of(side, at).into_iter().chain(partners).reduce(f64::min);
    }
    let [input] = plan.children().try_into().ok()?;
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return values(input, column(&projection.expr().get(at)?.expr)?);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let at = filter.projection().as_ref().map_or(Some(at), |columns| columns.get(at).copied())?;
        return values(input, at);
    }
    let is_same = plan.is::<JoinCountExec>() || plan.is::<CooperativeExec>() || plan.is::<CoalescePartitionsExec>();
    if is_same { values(input, at) } else { None }
}

/// Rows that are expected to come out of a plan: what DataFusion says, or where that is nothing, a guess from the sizes below.
pub(super) fn estimated_rows(plan: &Plan) -> Option<f64> {
    let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok();
    if let Some(rows) = known.and_then(|known| known.num_rows.get_value().copied()) {
        return Some(rows as f64);
    }
    let inputs: Vec<Option<f64>> = plan.children().into_iter().map(estimated_rows).collect();
    if let Some(join) = Join::of(plan) {
        let (left, right) = (*inputs.first()?, *inputs.get(1)?);
        return match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
            // Along a foreign key there are as many pairs as rows that refer, but for what the other side lost.
            _ => {
                let (left, right) = (left?, right?);
                Some(join.distinct_in_tables().map_or(left.max(right), |keys| left * right / keys.max(1.0)))
            }
        };
    }
    if inputs.is_empty() {
        return None;
    }
    let rows = inputs.into_iter().sum::<Option<f64>>()?;
    let rows = if plan.is::<FilterExec>() { rows * FILTERED } else { rows };
    Some(plan.fetch().map_or(rows, |fetch| rows.min(fetch as f64)))
}
