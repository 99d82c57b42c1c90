use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::{Join, LogicalPlan, Sort, SortExpr};
use tombolo_connector::Scan;

use super::candidate::{Candidate, LocalWork, Order};
use super::node::{Sorted, SourceScan};
use super::top_rows::{is_of, through};
use crate::plan::plain;
use crate::settings::{PushdownRule, PushdownRules, Settings, Strategy};

/// Finds sub-queries whose order the first rows of a join are wanted in, and asks their sources whether they sort so.
///
/// A row of such a side comes out of the join several times, or not at all, so that it is not known how many of the side's rows the
/// first joined ones are of. But where the side is read in that order, and its partners are looked up as it comes, the rest of it
/// need not be read. Whether that is done is decided when the costs of all of the join are known.
pub(super) fn offer_orders(plan: LogicalPlan, settings: &Settings) -> Result<LogicalPlan> {
    let shipping = settings.key_shipping;
    if shipping.lookup == Strategy::Never
        || shipping.strategy == Strategy::Never
        || !settings.pushdown.allows(PushdownRule::Keys)
    {
        return Ok(plan);
    }
    Ok(plan.transform_down_with_subqueries(|plan| rewrite(plan, settings.pushdown))?.data)
}

fn rewrite(plan: LogicalPlan, rules: PushdownRules) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Sort(Sort { expr, input, fetch: Some(fetch) }) = &plan else { return Ok(Transformed::no(plan)) };
    let Some(below) = below(input, expr, false, rules)? else { return Ok(Transformed::no(plan)) };
    let sort = Sort { expr: expr.clone(), input: Arc::new(below), fetch: Some(*fetch) };
    Ok(Transformed::yes(LogicalPlan::Sort(sort)))
}

/// The input of a sort with an offer of its order in the sub-query that has its keys, below a join; none where there is none.
fn below(plan: &LogicalPlan, keys: &[SortExpr], is_joined: bool, rules: PushdownRules) -> Result<Option<LogicalPlan>> {
    if let Some((input, keys)) = through(plan, keys)? {
        let Some(input) = below(input, &keys, is_joined, rules)? else { return Ok(None) };
        return plan.with_new_exprs(plan.expressions(), vec![input]).map(Some);
    }
    match plan {
        LogicalPlan::Filter(filter) => {
            let Some(input) = below(&filter.input, keys, is_joined, rules)? else { return Ok(None) };
            plan.with_new_exprs(plan.expressions(), vec![input]).map(Some)
        }
        LogicalPlan::Join(join) => {
            let (keeps_left, keeps_right) = match join.join_type {
                JoinType::Inner => (true, true),
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
                JoinType::Full => (false, false),
            };
            if keeps_left && is_of(keys, join.left.schema()) {
                let left = below(&join.left, keys, true, rules)?;
                return Ok(left.map(|left| LogicalPlan::Join(Join { left: Arc::new(left), ..join.clone() })));
            }
            if keeps_right && is_of(keys, join.right.schema()) {
                let right = below(&join.right, keys, true, rules)?;
                return Ok(right.map(|right| LogicalPlan::Join(Join { right: Arc::new(right), ..join.clone() })));
            }
            Ok(None)
        }
        LogicalPlan::Extension(_) if is_joined => {
            Ok(SourceScan::of(plan).and_then(|node| offered(node, keys, rules)).map(SourceScan::into_plan))
        }
        _ => Ok(None),
    }
}

/// A sub-query with a sort that its source accepts.
fn offered(node: &SourceScan, keys: &[SortExpr], rules: PushdownRules) -> Option<SourceScan> {
    // Rows that a limit chooses are chosen in their own order.
    let is_cut = |scan: &Scan| matches!(scan, Scan::Limit { .. } | Scan::Sort { .. });
    if !node.order.is_empty() || node.sorted.is_some() || node.scan.any(&is_cut) {
        return None;
    }
    let mut candidate = Candidate {
        source: Arc::clone(&node.source),
        connector: Arc::clone(node.source.connector_if_connected()?),
        rules,
        scan: Arc::clone(&node.scan),
        local_work: LocalWork::NEVER,
        order: Order::None,
        not_pushed: Vec::new(),
        instead_of: None,
    };
    let keys: Vec<SortExpr> = keys.iter().map(|key| SortExpr { expr: plain(&key.expr), ..key.clone() }).collect();
    let accepted = candidate.accept(Scan::Sort { input: Arc::clone(&node.scan), keys, fetch: None })?;
    match accepted.order {
        Order::By(order) => Some(SourceScan { sorted: Some(Sorted { scan: accepted.scan, order }), ..node.clone() }),
        Order::None | Order::ByLostColumns => None,
    }
}
