use arrow::compute::SortOptions;
use datafusion::common::JoinType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;

use super::route::column;
use super::rule::{Plan, Side};
use crate::execute::SourceScanExec;
use crate::fuse::count_exec::JoinCountExec;

/// What a limit above a plan wants of its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand {
    /// How many, where there is a limit.
    pub(super) rows: Option<usize>,
    /// The order of which they are the first; empty where any rows do.
    pub(super) order: Vec<OrderKey>,
}

/// A column that rows are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrderKey {
    pub(super) at: usize,
    pub(super) options: SortOptions,
}

impl Demand {
    /// What a sort wants of its input if that comes in the sort's order; none where the sort wants all rows, or sorts by what is
    /// no column.
    pub(super) fn of_sort(plan: &Plan) -> Option<Self> {
        let sort = plan.downcast_ref::<SortExec>()?;
        let rows = Some(sort.fetch()?);
        let key = |key: &datafusion::physical_expr::PhysicalSortExpr| {
            Some(OrderKey { at: column(&key.expr)?, options: key.options })
        };
        Some(Self { rows, order: sort.expr().iter().map(key).collect::<Option<_>>()? })
    }

    /// What is wanted of an input of a plan that is no lookup.
    pub(super) fn below(&self, plan: &Plan, at: usize) -> Self {
        if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
            return Self::any(limit.fetch().map(|fetch| fetch + limit.skip()));
        }
        if let Some(limit) = plan.downcast_ref::<LocalLimitExec>() {
            return Self::any(Some(limit.fetch()));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let probes = join.maintains_input_order().get(at).copied().unwrap_or(false);
            return Self::any(self.rows.filter(|_| probes));
        }
        let rows = plan.fetch().or(self.rows).filter(|_| passes_rows(plan) || plan.is::<UnionExec>());
        Self { rows, order: self.order_below(plan).unwrap_or_default() }
    }

    /// What is wanted of the outer side of a lookup.
    pub(super) fn of_outer(&self, plan: &Plan) -> Self {
        let order = side_of(plan, &self.order).map(|(_, order)| order);
        Self { rows: self.rows, order: order.unwrap_or_default() }
    }

    fn any(rows: Option<usize>) -> Self {
        Self { rows, order: Vec::new() }
    }

    /// The order as columns of the input of an operator that keeps it; none where it is not by columns of that.
    pub(super) fn order_below(&self, plan: &Plan) -> Option<Vec<OrderKey>> {
        // Of several streams it makes one without an order.
        if !passes_rows(plan) || plan.is::<CoalescePartitionsExec>() {
            return None;
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            return mapped(&self.order, |at| column(&projection.expr().get(at)?.expr));
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let projection = filter.projection().as_deref();
            return mapped(&self.order, |at| projection.map_or(Some(at), |columns| columns.get(at).copied()));
        }
        let [input] = plan.children().try_into().ok()?;
        let width = input.schema().fields().len();
        mapped(&self.order, |at| Some(at).filter(|at| *at < width))
    }
}

/// The side of a join that has all columns of an order, which are given as that side's.
pub(super) fn side_of(plan: &Plan, order: &[OrderKey]) -> Option<(Side, Vec<OrderKey>)> {
    let join = plan.downcast_ref::<HashJoinExec>()?;
    let projection = join.projection.as_deref();
    let order = mapped(order, |at| projection.map_or(Some(at), |columns| columns.get(at).copied()))?;
    let width = join.left().schema().fields().len();
    let at_left = |key: &OrderKey| key.at < width;
    match join.join_type() {
        JoinType::RightSemi | JoinType::RightAnti => Some((Side::Right, order)),
        // The mark comes last.
        JoinType::RightMark => {
            let width = join.right().schema().fields().len();
            order.iter().all(|key| key.at < width).then_some((Side::Right, order))
        }
        _ if order.iter().all(at_left) => Some((Side::Left, order)),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if !order.iter().any(at_left) => {
            let order = order.into_iter().map(|key| OrderKey { at: key.at - width, ..key });
            Some((Side::Right, order.collect()))
        }
        _ => None,
    }
}

/// The scan that could be read in an order of the rows of a plan, with nothing but lookups between.
pub(super) fn scan_in_order<'a>(plan: &'a Plan, demand: &Demand) -> Option<&'a SourceScanExec> {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
        return scan.in_order(&demand.order.iter().map(|key| (key.at, key.options)).collect::<Vec<_>>()).map(|_| scan);
    }
    if plan.is::<HashJoinExec>() {
        let (side, _) = side_of(plan, &demand.order)?;
        let outer = plan.children().get(side.at()).copied()?;
        // The order of a side of which something is computed is not known of the joined rows.
        return if computes(outer) { None } else { scan_in_order(outer, &demand.of_outer(plan)) };
    }
    let order = demand.order_below(plan)?;
    let [input] = plan.children().try_into().ok()?;
    scan_in_order(input, &Demand { rows: demand.rows, order })
}

/// Whether a value is computed of a plan's rows before they are joined.
fn computes(plan: &Plan) -> bool {
    let projection = plan.downcast_ref::<ProjectionExec>();
    projection.is_some_and(|projection| projection.expr().iter().any(|made| column(&made.expr).is_none()))
        || (passes_rows(plan) && plan.children().into_iter().any(computes))
}

fn mapped(order: &[OrderKey], below: impl Fn(usize) -> Option<usize>) -> Option<Vec<OrderKey>> {
    order.iter().map(|key| Some(OrderKey { at: below(key.at)?, ..*key })).collect()
}

/// Whether an operator of one input passes on rows as they come, or some of them, and keeps none.
pub(super) fn passes_rows(plan: &Plan) -> bool {
    plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<JoinCountExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<CoalescePartitionsExec>()
}
