use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, Extension, FetchType, Filter, Join, Limit, LogicalPlan, Projection, SkipType, Sort, SortExpr,
    SubqueryAlias, TableScan, Union, Window,
};
use tombolo_connector::{Answer, Scan, ScanAggregate, ScanJoin, ScanTable};

use super::candidate::{Candidate, LocalWork, Order, part_texts};
use super::either::Either;
use super::node::SourceScan;
use super::split::Split;
use crate::catalog::{Source, SourceTable};
use crate::plan::{join_texts, plain};
use crate::settings::{PushdownRules, Settings, Strategy};

/// A subtree after the walk.
pub(super) enum Walked {
    /// Runs here, with sub-queries somewhere below.
    Here(LogicalPlan),
    /// One source has accepted all of it so far.
    There(Box<Candidate>),
}

pub(super) fn push_down(plan: LogicalPlan, settings: &Settings) -> Result<LogicalPlan> {
    // First as if the whole plan became one sub-query, where a pushed sort's order needs no keeper. If it did not, once more
    // so that every order survives what is put above it.
    let mut walk = Walk::new(settings);
    if !has_several_sources(&plan)?
        && let Walked::There(candidate) = walk.visit(plan.clone())?
    {
        return Ok(walk.leaf(*candidate));
    }
    walk.keep_order = true;
    let walked = walk.visit(plan)?;
    walk.finish(walked)
}

fn has_several_sources(plan: &LogicalPlan) -> Result<bool> {
    let mut first = None;
    let mut several = false;
    plan.apply(|plan| {
        if let LogicalPlan::TableScan(scan) = plan
            && let Some(table) = SourceTable::of(scan)
        {
            several |= !Arc::ptr_eq(first.get_or_insert_with(|| Arc::clone(table.source())), table.source());
        }
        Ok(if several { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(several)
}

pub(super) struct Walk {
    rules: PushdownRules,
    local_work: LocalWork,
    split: Strategy,
    keep_order: bool,
    /// Sides of joins that were visited for an aggregate that is not split after all.
    visited: RefCell<Vec<(Arc<LogicalPlan>, Walked)>>,
}

impl Walk {
    pub(super) fn new(settings: &Settings) -> Self {
        let visited = RefCell::default();
        // All of them are read at once at worst, and others are at work too.
        let local_work = LocalWork { strategy: settings.local_work, most_bytes: settings.max_memory / 4 };
        Self { rules: settings.pushdown, local_work, split: settings.split_aggregates, keep_order: false, visited }
    }

    pub(super) fn visit(&self, plan: LogicalPlan) -> Result<Walked> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table(scan),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Union(union) => self.union(union),
            other => self.stays(other),
        }
    }

    /// An operator that no source is offered: its inputs are finished, it stays.
    fn stays(&self, plan: LogicalPlan) -> Result<Walked> {
        let plan = plan.map_children(|child| Ok(Transformed::yes(self.finished(child)?)));
        self.here(plan?.data)
    }

    /// An operator that runs here, whose inputs are done; sub-selects in its expressions are not yet.
    fn here(&self, plan: LogicalPlan) -> Result<Walked> {
        let plan = plan.map_subqueries(|subquery| {
            let LogicalPlan::Subquery(mut subquery) = subquery else { return Ok(Transformed::no(subquery)) };
            subquery.subquery = Arc::new(self.finished((*subquery.subquery).clone())?);
            Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
        })?;
        Ok(Walked::Here(plan.data))
    }

    fn finished(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let walked = self.visit(plan)?;
        self.finish(walked)
    }

    /// Makes a plan of a walked subtree that something is put above.
    fn finish(&self, walked: Walked) -> Result<LogicalPlan> {
        match walked {
            Walked::Here(plan) => Ok(plan),
            Walked::There(candidate) => {
                let keys = match &candidate.order {
                    Order::By(keys) if self.keep_order => keys.clone(),
                    _ => Vec::new(),
                };
                let input = Arc::new(self.leaf(*candidate));
                // The physical planner drops this sort again, since the leaf declares the order; but it knows then that the
                // order is wanted, and keeps it through whatever it puts between.
                Ok(if keys.is_empty() {
                    Arc::unwrap_or_clone(input)
                } else {
                    LogicalPlan::Sort(Sort { expr: keys, input, fetch: None })
                })
            }
        }
    }

    fn leaf(&self, candidate: Candidate) -> LogicalPlan {
        let order = match candidate.order {
            Order::By(keys) => keys,
            Order::None | Order::ByLostColumns => Vec::new(),
        };
        let Candidate { source, scan, not_pushed, instead_of, .. } = candidate;
        SourceScan { id: 0, source, scan, order, sorted: None, not_pushed, instead_of }.into_plan()
    }

    /// Offers an operator over one accepted subtree; where it is refused, it stays above.
    fn over(
        &self,
        mut input: Candidate,
        scan: Scan,
        stays: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<Walked> {
        if let Some(accepted) = input.accept(scan)
            && !(self.keep_order && accepted.order == Order::ByLostColumns)
        {
            return Ok(Walked::There(Box::new(accepted)));
        }
        let below = self.finish(Walked::There(Box::new(input)))?;
        self.here(stays(below)?)
    }

    fn table(&self, scan: TableScan) -> Result<Walked> {
        let Some(table) = SourceTable::of(&scan) else {
            return Ok(Walked::Here(LogicalPlan::TableScan(scan)));
        };
        let Some(connector) = table.source().connector_if_connected() else {
            return datafusion::common::internal_err!(
                "source `{}` was not connected before planning",
                table.source().name()
            );
        };
        let columns = scan.projection.clone().unwrap_or_else(|| (0..table.description().columns.len()).collect());
        let leaf = Scan::Table(ScanTable {
            description: Arc::clone(table.description()),
            columns,
            schema: Arc::clone(&scan.projected_schema),
        });
        let candidate = Candidate {
            source: Arc::clone(table.source()),
            connector: Arc::clone(connector),
            rules: self.rules,
            local_work: self.local_work,
            scan: Arc::new(leaf),
            order: Order::None,
            not_pushed: Vec::new(),
            instead_of: None,
        };
        let offer = candidate.offer(&candidate.scan);
        if !offer.is_exact() {
            let reasons = offer.reasons().join("; ");
            return datafusion::common::plan_err!(
                "table {} of `{}` cannot be read: {reasons}",
                scan.table_name,
                table.source().name()
            );
        }
        let there = Walked::There(Box::new(candidate));
        match conjunction(scan.filters) {
            Some(predicate) => self.filter_over(predicate, there),
            None => Ok(there),
        }
    }

    fn filter(&self, filter: Filter) -> Result<Walked> {
        let input = self.visit(Arc::unwrap_or_clone(filter.input))?;
        self.filter_over(filter.predicate, input)
    }

    fn filter_over(&self, predicate: Expr, input: Walked) -> Result<Walked> {
        let mut candidate = match input {
            Walked::There(candidate) => *candidate,
            other @ Walked::Here(_) => {
                return self.here(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(self.finish(other)?))?));
            }
        };
        let predicates = split_conjunction_owned(predicate);
        let offered = Scan::Filter { input: Arc::clone(&candidate.scan), predicates: plain_all(&predicates) };
        let offer = candidate.offer(&offered);
        candidate.keep_refusals(&offered, &offer);
        let (mut pushed, mut again, mut stay) = (Vec::new(), Vec::new(), Vec::new());
        for ((predicate, answer), text) in predicates.into_iter().zip(&offer.parts).zip(part_texts(&offered)) {
            match answer {
                Answer::Exact => pushed.push(plain(&predicate)),
                Answer::Inexact => {
                    candidate.not_pushed("filter", text, None);
                    again.push(predicate);
                }
                Answer::Refused(_) => stay.push(predicate),
            }
        }
        stay.extend(again.iter().cloned());
        pushed.extend(plain_all(&again));
        if !pushed.is_empty() {
            candidate.scan = Arc::new(Scan::Filter { input: candidate.scan, predicates: pushed });
        }
        let there = Walked::There(Box::new(candidate));
        match conjunction(stay) {
            Some(rest) => self.here(LogicalPlan::Filter(Filter::try_new(rest, Arc::new(self.finish(there)?))?)),
            None => Ok(there),
        }
    }

    fn projection(&self, projection: Projection) -> Result<Walked> {
        let Projection { expr, input, schema, .. } = projection;
        let stays = |input: LogicalPlan, expr: Vec<Expr>| {
            Projection::try_new_with_schema(expr, Arc::new(input), Arc::clone(&schema)).map(LogicalPlan::Projection)
        };
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input, expr)?),
            Walked::There(candidate) => {
                let scan = Scan::Project {
                    input: Arc::clone(&candidate.scan),
                    exprs: plain_all(&expr),
                    schema: Arc::clone(&schema),
                };
                self.over(*candidate, scan, |input| stays(input, expr))
            }
        }
    }

    fn alias(&self, alias: SubqueryAlias) -> Result<Walked> {
        let SubqueryAlias { input, alias, schema, .. } = alias;
        let stays = |input: LogicalPlan| SubqueryAlias::try_new(Arc::new(input), alias).map(LogicalPlan::SubqueryAlias);
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input)?),
            Walked::There(candidate) => {
                let scan = Scan::Alias { input: Arc::clone(&candidate.scan), schema };
                self.over(*candidate, scan, stays)
            }
        }
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<Walked> {
        if let Some(walked) = self.split_aggregate(&aggregate)? {
            return Ok(walked);
        }
        let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
        let stays = |input: LogicalPlan, group: Vec<Expr>, aggregates: Vec<Expr>| {
            Aggregate::try_new_with_schema(Arc::new(input), group, aggregates, Arc::clone(&schema))
                .map(LogicalPlan::Aggregate)
        };
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input, group_expr, aggr_expr)?),
            Walked::There(candidate) => {
                let scan = Scan::Aggregate(ScanAggregate {
                    input: Arc::clone(&candidate.scan),
                    group: plain_all(&group_expr),
                    aggregates: plain_all(&aggr_expr),
                    schema: Arc::clone(&schema),
                });
                self.over(*candidate, scan, |input| stays(input, group_expr, aggr_expr))
            }
        }
    }

    fn window(&self, window: Window) -> Result<Walked> {
        let Window { input, window_expr, schema } = window;
        let windows = plain_all(&window_expr);
        let stays = |input: LogicalPlan, window_expr| {
            LogicalPlan::Window(Window { input: Arc::new(input), window_expr, schema: Arc::clone(&schema) })
        };
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input, window_expr)),
            Walked::There(candidate) => {
                let input = Arc::clone(&candidate.scan);
                let scan = Scan::Window { input, windows, schema: Arc::clone(&schema) };
                self.over(*candidate, scan, |input| Ok(stays(input, window_expr)))
            }
        }
    }

    /// Begins an aggregate over a join of two sources in one of them, where that pays.
    fn split_aggregate(&self, aggregate: &Aggregate) -> Result<Option<Walked>> {
        if self.split == Strategy::Never {
            return Ok(None);
        }
        let ways = Split::ways(aggregate)?;
        let Some(Join { left, right, .. }) = ways.first().map(|way| &way.join) else { return Ok(None) };
        let (left, right) = (Arc::clone(left), Arc::clone(right));
        let mut sides = [self.side(&left)?, self.side(&right)?];
        let keep = |[one, other]: [Walked; 2]| {
            self.visited.borrow_mut().extend([(left, one), (right, other)]);
        };
        if same_source(&sides).is_some() {
            keep(sides);
            return Ok(None);
        }
        let mut best: Option<(f64, Split, Candidate)> = None;
        for way in ways {
            let Walked::There(own) = &sides[way.side] else { continue };
            let gain = if self.split == Strategy::Always { 1.0 } else { way.gain(own) };
            if gain <= best.as_ref().map_or(0.0, |(best, ..)| *best) {
                continue;
            }
            let partial = Scan::Aggregate(ScanAggregate {
                input: Arc::clone(&own.scan),
                group: plain_all(&way.partial.group_expr),
                aggregates: plain_all(&way.partial.aggr_expr),
                schema: Arc::clone(&way.partial.schema),
            });
            if let Some(accepted) = own.as_ref().clone().accept(partial) {
                best = Some((gain, way, accepted));
            }
        }
        let Some((_, way, mut grouped)) = best else {
            keep(sides);
            return Ok(None);
        };
        describe_others(&way.join, &mut sides);
        if let Walked::There(own) = &sides[way.side] {
            grouped.not_pushed.clone_from(&own.not_pushed);
        }
        let reason = "it is begun in the source and ended here, after the join".to_owned();
        grouped.not_pushed("aggregate", expressions_text(&aggregate.aggr_expr), Some(reason));
        let grouped = self.finish(Walked::There(Box::new(grouped)))?;
        let [left, right] = sides;
        let mut sides = [self.finish(left)?, self.finish(right)?];
        let rows = std::mem::replace(&mut sides[way.side], grouped);
        if self.split == Strategy::Adaptive {
            // Whether groups or rows come is decided when it is known how many.
            let grouped = std::mem::take(&mut sides[way.side]);
            let Aggregate { group_expr, aggr_expr, schema, .. } = way.partial.clone();
            let plain = Aggregate::try_new_with_schema(Arc::new(rows), group_expr, aggr_expr, schema)?;
            let plain = LogicalPlan::Aggregate(plain);
            let node = Arc::new(Either { grouped, plain });
            sides[way.side] = LogicalPlan::Extension(Extension { node });
        }
        let [left, right] = sides;
        self.here(way.joined(left, right, aggregate)?).map(Some)
    }

    fn sort(&self, sort: Sort) -> Result<Walked> {
        let Sort { expr, input, fetch } = sort;
        let stays = |input: LogicalPlan, expr| LogicalPlan::Sort(Sort { expr, input: Arc::new(input), fetch });
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input, expr)),
            Walked::There(candidate) => {
                let keys = expr.iter().map(|key| SortExpr { expr: plain(&key.expr), ..key.clone() }).collect();
                let scan = Scan::Sort { input: Arc::clone(&candidate.scan), keys, fetch };
                self.over(*candidate, scan, |input| Ok(stays(input, expr)))
            }
        }
    }

    fn limit(&self, limit: Limit) -> Result<Walked> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return self.stays(LogicalPlan::Limit(limit));
        };
        let Limit { skip: skip_expr, fetch: fetch_expr, input } = limit;
        let stays = |input: LogicalPlan| {
            LogicalPlan::Limit(Limit { skip: skip_expr, fetch: fetch_expr, input: Arc::new(input) })
        };
        match self.visit(Arc::unwrap_or_clone(input))? {
            Walked::Here(input) => self.here(stays(input)),
            Walked::There(candidate) => {
                let scan = Scan::Limit { input: Arc::clone(&candidate.scan), skip, fetch };
                self.over(*candidate, scan, |input| Ok(stays(input)))
            }
        }
    }

    fn union(&self, union: Union) -> Result<Walked> {
        let Union { inputs, schema } = union;
        let walked: Vec<Walked> =
            inputs.into_iter().map(|input| self.visit(Arc::unwrap_or_clone(input))).collect::<Result<_>>()?;
        let source = same_source(&walked);
        if source.is_some() {
            let mut candidates: Vec<Candidate> = walked.into_iter().filter_map(Walked::candidate).collect();
            let scan = Scan::Union {
                inputs: candidates.iter().map(|candidate| Arc::clone(&candidate.scan)).collect(),
                schema: Arc::clone(&schema),
            };
            if let Some(mut accepted) = candidates.first_mut().and_then(|first| first.accept(scan)) {
                for other in candidates.drain(1..) {
                    accepted.not_pushed.extend(other.not_pushed);
                }
                return Ok(Walked::There(Box::new(accepted)));
            }
            let walked = candidates.into_iter().map(|candidate| Walked::There(Box::new(candidate)));
            return self.union_here(walked, schema);
        }
        let mut walked = walked;
        for branch in &mut walked {
            if let Walked::There(candidate) = branch {
                let reason = "its branches are not all in this source".to_owned();
                candidate.not_pushed("union", "the rows of all branches".to_owned(), Some(reason));
            }
        }
        self.union_here(walked.into_iter(), schema)
    }

    fn union_here(
        &self,
        inputs: impl Iterator<Item = Walked>,
        schema: datafusion::common::DFSchemaRef,
    ) -> Result<Walked> {
        let inputs = inputs.map(|input| self.finish(input).map(Arc::new)).collect::<Result<_>>()?;
        self.here(LogicalPlan::Union(Union { inputs, schema }))
    }

    /// Visits a side of a join, unless it was visited for the aggregate above.
    fn side(&self, plan: &Arc<LogicalPlan>) -> Result<Walked> {
        let mut visited = self.visited.borrow_mut();
        if let Some(at) = visited.iter().position(|(known, _)| Arc::ptr_eq(known, plan)) {
            return Ok(visited.swap_remove(at).1);
        }
        drop(visited);
        self.visit(plan.as_ref().clone())
    }

    fn join(&self, join: Join) -> Result<Walked> {
        let mut sides = [self.side(&join.left)?, self.side(&join.right)?];
        if same_source(&sides).is_some() {
            let [left, right] = sides;
            return match (left.candidate(), right.candidate()) {
                (Some(left), Some(right)) => self.join_there(join, left, right),
                _ => datafusion::common::internal_err!("both sides of the join were accepted by one source"),
            };
        }
        describe_others(&join, &mut sides);
        let [left, right] = sides;
        let (left, right) = (self.finish(left)?, self.finish(right)?);
        self.join_here(join, left, right)
    }

    fn join_here(&self, join: Join, left: LogicalPlan, right: LogicalPlan) -> Result<Walked> {
        self.here(LogicalPlan::Join(Join { left: Arc::new(left), right: Arc::new(right), ..join }))
    }

    fn join_there(&self, mut join: Join, mut left: Candidate, mut right: Candidate) -> Result<Walked> {
        let mut rest = None;
        if join.on.is_empty() && join.filter.is_none() && join.join_type == JoinType::Inner {
            let reason = "a product of both sides would move more rows than the sides".to_owned();
            left.not_pushed("join", "every pair of rows".to_owned(), Some(reason));
        } else {
            loop {
                let scan = Scan::Join(ScanJoin {
                    left: Arc::clone(&left.scan),
                    right: Arc::clone(&right.scan),
                    join_type: join.join_type,
                    on: join.on.iter().map(|(left, right)| (plain(left), plain(right))).collect(),
                    condition: join.filter.as_ref().map(plain),
                    null_equality: join.null_equality,
                    null_aware: join.null_aware,
                    schema: Arc::clone(&join.schema),
                });
                if let Some(mut accepted) = left.accept(scan) {
                    accepted.not_pushed.extend(right.not_pushed);
                    let there = Walked::There(Box::new(accepted));
                    return match rest {
                        Some(rest) => self.filter_over(rest, there),
                        None => Ok(there),
                    };
                }
                // For an inner join a condition beside the keys can as well be checked after it.
                if join.join_type != JoinType::Inner || join.on.is_empty() || join.filter.is_none() {
                    break;
                }
                rest = join.filter.take();
            }
            join.filter = join.filter.or(rest);
            right.instead_of.clone_from(&left.instead_of);
        }
        let left = self.finish(Walked::There(Box::new(left)))?;
        let right = self.finish(Walked::There(Box::new(right)))?;
        self.join_here(join, left, right)
    }
}

impl Walked {
    fn candidate(self) -> Option<Candidate> {
        match self {
            Self::There(candidate) => Some(*candidate),
            Self::Here(_) => None,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::There(candidate) => format!("is in source `{}`", candidate.source.name()),
            Self::Here(plan) => {
                let mut sources = Vec::new();
                collect_sources(plan, &mut sources);
                match sources.as_slice() {
                    [] => "is computed here".to_owned(),
                    [one] => format!("is read from source `{one}` and worked on here first"),
                    several => format!("comes from sources `{}`", several.join("` and `")),
                }
            }
        }
    }
}

/// Says of each side of a join that stays here why its source is not given it.
fn describe_others(join: &Join, sides: &mut [Walked; 2]) {
    let other = sides.each_ref().map(Walked::describe);
    for (side, other) in sides.iter_mut().zip([&other[1], &other[0]]) {
        if let Walked::There(candidate) = side {
            candidate.not_pushed("join", join_text(join), Some(format!("its other side {other}")));
        }
    }
}

fn collect_sources(plan: &LogicalPlan, sources: &mut Vec<String>) {
    if let Some(scan) = SourceScan::of(plan)
        && !sources.iter().any(|known| known == scan.source.name())
    {
        sources.push(scan.source.name().to_owned());
    }
    for input in plan.inputs() {
        collect_sources(input, sources);
    }
}

/// The one source that has accepted all of the subtrees, if there is one.
fn same_source(walked: &[Walked]) -> Option<&Arc<Source>> {
    let mut sources = walked.iter().map(|walked| match walked {
        Walked::There(candidate) => Some(&candidate.source),
        Walked::Here(_) => None,
    });
    let first = sources.next()??;
    sources.all(|source| source.is_some_and(|source| Arc::ptr_eq(source, first))).then_some(first)
}

/// Expressions as a source is offered them.
fn plain_all(exprs: &[Expr]) -> Vec<Expr> {
    exprs.iter().map(plain).collect()
}

fn expressions_text(exprs: &[Expr]) -> String {
    let texts: Vec<String> = exprs.iter().map(|expr| plain(expr).to_string()).collect();
    texts.join(", ")
}

fn join_text(join: &Join) -> String {
    let parts = join_texts(&join.on, join.filter.as_ref());
    if parts.is_empty() { "every pair of rows".to_owned() } else { parts.join(" AND ") }
}
