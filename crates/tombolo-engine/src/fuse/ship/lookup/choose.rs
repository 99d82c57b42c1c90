use std::sync::Arc;

use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::joins::HashJoinExec;
use tombolo_connector::{Scan, TableDescription};

use crate::catalog::Source;
use crate::cost::{KeyTarget, ROW_FOUND, ROW_LOOKED_AT, UNKNOWN_ROWS, largest_table, moved};
use crate::execute::{SharedExec, SourceScanExec};
use crate::fuse::ship::demand::{Demand, passes_rows, scan_in_order, side_of};
use crate::fuse::ship::rule::{Giver, Join, Plan, ShipKeysRule, Side, Way, estimated_rows, read_all_sides};
use crate::plan::is_text;
use crate::pushdown::SourceScan;
use crate::settings::Strategy;

/// Rows in the first part, where no fewer are wanted.
pub(super) const FIRST_PART: usize = 64;
/// A row that a source sorts with all others of its table before it sends the first.
const ROW_SORTED_THERE: f64 = 0.000_7;
/// How much larger each part is than the one before, so that few requests are made for many rows.
pub(super) const GROWTH: usize = 4;

impl ShipKeysRule {
    /// The way in which a join is done part by part, where that is expected to cost much less.
    pub(in crate::fuse::ship) fn lookup(&self, plan: &Plan, demand: &Demand) -> Result<Option<Way>> {
        let is_always = self.limits.lookup == Strategy::Always;
        if !self.looks_up() || !(is_always || demand.rows.is_some()) || !plan.is::<HashJoinExec>() {
            return Ok(None);
        }
        let Some(join) = Join::of(plan) else { return Ok(None) };
        let in_order = if demand.order.is_empty() {
            None
        } else {
            let (Some((side, _)), Some(scan)) = (side_of(plan, &demand.order), scan_in_order(plan, demand)) else {
                return Ok(None);
            };
            Some(InOrder { side, scan })
        };
        let mut best: Option<(f64, Way)> = None;
        for from in outer_sides(join.join_type) {
            if in_order.as_ref().is_some_and(|in_order| in_order.side != *from) {
                continue;
            }
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
            let cost = match (demand.rows, &in_order) {
                _ if is_always => Some(0.0),
                (Some(wanted), None) => cost(plan, join.side(*from), &giver, &target, wanted),
                (Some(wanted), Some(in_order)) => {
                    let needed = Needed::of(plan, join.side(*from), wanted);
                    let whole = self.least_to_read_whole(&join)?;
                    needed.and_then(|needed| in_order.cost(&needed, &target, whole))
                }
                (None, _) => None,
            };
            if let Some(cost) = cost
                && best.as_ref().is_none_or(|(least, _)| cost < *least)
            {
                best = Some((cost, Way::of(*from, giver)));
            }
        }
        Ok(best.map(|(_, way)| way))
    }

    /// What a sort wants of its input where that can come in the sort's order, by lookups alone.
    pub(in crate::fuse::ship) fn first_rows(&self, plan: &Plan) -> Result<Option<Demand>> {
        let Some(demand) = Demand::of_sort(plan).filter(|_| self.looks_up()) else { return Ok(None) };
        let Ok([input]) = <[&Plan; 1]>::try_from(plan.children()) else { return Ok(None) };
        Ok(self.comes_in_order(input, &demand, false)?.then_some(demand))
    }

    fn comes_in_order(&self, plan: &Plan, demand: &Demand, is_joined: bool) -> Result<bool> {
        if plan.is::<SourceScanExec>() {
            return Ok(is_joined && scan_in_order(plan, demand).is_some());
        }
        if plan.is::<HashJoinExec>() {
            let Some(way) = self.lookup(plan, demand)? else { return Ok(false) };
            let Some(outer) = plan.children().get(way.from.at()).copied() else { return Ok(false) };
            return self.comes_in_order(outer, &demand.of_outer(plan), true);
        }
        let (Some(order), Ok([input])) = (demand.order_below(plan), <[&Plan; 1]>::try_from(plan.children())) else {
            return Ok(false);
        };
        self.comes_in_order(input, &Demand { rows: demand.rows, order }, is_joined)
    }

    fn looks_up(&self) -> bool {
        self.limits.lookup != Strategy::Never && self.limits.strategy != Strategy::Never
    }

    /// The milliseconds that it takes to read the sides of a join for all of its rows, by the best of the other ways.
    fn least_to_read_whole(&self, join: &Join<'_>) -> Result<f64> {
        let read_all: f64 = [Side::Left, Side::Right].map(|side| read_all_sides(join.side(side))).iter().sum();
        let mut least = read_all;
        for from in join.givers() {
            if let Some(saved) = self.way(join, *from)?.expected {
                least = least.min(read_all - saved);
            }
        }
        Ok(least)
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

/// How many rows of the outer side are expected to be needed.
struct Needed {
    rows: f64,
    of: f64,
}

impl Needed {
    /// None where they are about all of them.
    fn of(plan: &Plan, outer: &Plan, wanted: usize) -> Option<Self> {
        let of = estimated_rows(outer).unwrap_or(UNKNOWN_ROWS).max(1.0);
        let joined = estimated_rows(plan).unwrap_or(of);
        let rows = (wanted as f64 / (joined / of).clamp(0.001, 1.0)).max(FIRST_PART as f64);
        (rows * GROWTH as f64 <= of).then_some(Self { rows, of })
    }
}

/// The milliseconds that it takes to look up the partners of as many rows as are expected to be needed, where to read both sides
/// takes much longer.
fn cost(plan: &Plan, outer: &Plan, giver: &Giver, target: &KeyTarget, wanted: usize) -> Option<f64> {
    let Needed { rows: needed, of } = Needed::of(plan, outer, wanted)?;
    let part_by_part = target.ship(needed.min(target.distinct)) + moved(needed, None);
    let whole =
        (target.read_all() + moved(needed, None)).min(target.ship(giver.keys.min(target.distinct)) + moved(of, None));
    (2.0 * part_by_part < whole).then_some(part_by_part)
}

/// An outer side that can come in the wanted order.
struct InOrder<'a> {
    side: Side,
    /// What is read for it, as it is without an order.
    scan: &'a SourceScanExec,
}

impl InOrder<'_> {
    /// The same as [`cost`] for the first rows of an order, of which otherwise all rows must be joined.
    fn cost(&self, needed: &Needed, target: &KeyTarget, whole: f64) -> Option<f64> {
        let looked_at = largest_table(&self.scan.scan().scan);
        let read = if self.scan.sorted().is_some_and(|sorted| is_in_index_order(sorted.scan())) {
            needed.rows * (looked_at / needed.of).max(1.0) * ROW_FOUND
        } else {
            looked_at * (ROW_LOOKED_AT + ROW_SORTED_THERE)
        };
        let looked_up = target.ship(needed.rows.min(target.distinct));
        let part_by_part = self.scan.scan().source.speed().request_ms + read + moved(needed.rows, None) + looked_up;
        (2.0 * part_by_part < whole).then_some(part_by_part)
    }
}

/// Whether a source that reads an index of its table from one end gives the rows of a sub-query in their order.
fn is_in_index_order(node: &SourceScan) -> bool {
    let is_of_one_table =
        |scan: &Scan| !matches!(scan, Scan::Aggregate(_) | Scan::Join(_) | Scan::Union { .. } | Scan::Limit { .. });
    let connector = node.source.connector_if_connected();
    let follows = connector.is_some_and(|connector| connector.capabilities().index_order);
    if !follows || node.scan.any(&|scan| !is_of_one_table(scan)) {
        return false;
    }
    let (mut table, mut columns) = (None, Vec::with_capacity(node.order.len()));
    for key in &node.order {
        let at = key.expr.try_as_col().and_then(|column| node.scan.schema().index_of_column(column).ok());
        let Some((of, column)) = at.and_then(|at| node.scan.column_origin(at)) else { return false };
        // Text is in an index by its collation, which mostly is not the order of its letters. Nulls are mostly at the upper end.
        let is_alike = node.order.first().is_some_and(|first| first.asc == key.asc) && key.asc != key.nulls_first;
        if is_text(column.field.data_type()) || !is_alike {
            return false;
        }
        table = Some(of.description.as_ref());
        columns.push(column.field.name().as_str());
    }
    table.is_some_and(|table: &TableDescription| table.leads_index(&columns))
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
        || plan.downcast_ref::<SharedExec>().is_some_and(|shared| reads_from(shared.plan(), source))
        || plan.children().into_iter().any(|input| reads_from(input, source))
}
