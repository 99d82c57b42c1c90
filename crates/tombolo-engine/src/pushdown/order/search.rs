use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::Expr;
use tombolo_connector::{Scan, ScanJoin};

use super::graph::{Condition, Dependent, Equality, Graph, Set, Tree, bit};
use super::relation::{Measure, Read};
use crate::cost::{ROW_BUILT, ROW_JOINED, ROW_PROBED, Speed};
use crate::pushdown::walk::Walk;
use crate::settings::{JoinOrder, KeyShipping, Strategy};

/// Up to so many relations every order is tried; of more, the cheapest next join is taken each time.
const TRIED: usize = 9;

/// The share of rows that a condition is held to let through.
const CONDITION: f64 = 1.0 / 3.0;

/// The least share of rows that is held to find no partner, or to find one.
const LEAST_SHARE: f64 = 0.05;

/// Looks for the order of joins that costs least.
pub(super) struct Search<'a> {
    graph: &'a Graph,
    measures: Vec<Measure>,
    keys: KeyShipping,
    /// Whether the order that costs most is looked for.
    is_worst: bool,
    /// Of each two relations, whether their source joins them.
    together: HashMap<Set, bool>,
}

/// Some relations, joined.
#[derive(Debug, Clone)]
struct Joined {
    set: Set,
    rows: f64,
    /// Joined here.
    here: Option<Here>,
    /// Joined in the one source of all of them.
    there: Option<There>,
}

#[derive(Debug, Clone)]
struct Here {
    cost: f64,
    tree: Tree,
}

#[derive(Debug, Clone)]
struct There {
    tree: Tree,
    /// What the source has to do, in milliseconds, whatever comes of it.
    looks: f64,
    joins: f64,
    row_bytes: Option<f64>,
    speed: Speed,
}

impl<'a> Search<'a> {
    pub(super) fn new(graph: &'a Graph, walk: &Walk, keys: KeyShipping, order: JoinOrder) -> Result<Self> {
        let measures =
            graph.relations.iter().map(|relation| Measure::of(relation, walk)).collect::<Result<Vec<_>>>()?;
        let mut search = Self { graph, measures, keys, is_worst: order == JoinOrder::Worst, together: HashMap::new() };
        for one in 0..graph.relations.len() {
            for other in one + 1..graph.relations.len() {
                let set = bit(one) | bit(other);
                let is_together = search.is_joined_there(one, other);
                search.together.insert(set, is_together);
            }
        }
        Ok(search)
    }

    /// The cheapest order, if it costs less than so large a share of what the statement's own does.
    pub(super) fn better(&self, share: f64) -> Option<Tree> {
        let own = self.costs(&self.graph.tree)?;
        if own.there.is_some() && !self.is_worst {
            // The one source of all of them orders the joins itself.
            return None;
        }
        let own = self.finished(&own);
        let best = if self.measures.len() <= TRIED { self.exhaustive() } else { self.greedy() };
        let best = self.finished(&best?);
        // What is read whole in any order says nothing of the orders.
        let fixed: f64 = (0..self.measures.len()).map(|at| self.fixed(at)).sum();
        let (own, cost) = (own.cost - fixed, best.cost - fixed);
        tracing::debug!(own, cost, fixed, order = ?best.tree, "the order of joins");
        (self.is_worst || cost < share * own).then_some(best.tree)
    }

    /// What it takes to read a relation that is neither read by keys nor joined in its source.
    fn fixed(&self, at: usize) -> f64 {
        let is_alone = self.together.iter().all(|(pair, together)| pair & bit(at) == 0 || !together);
        let takes_keys = self.measures[at].read.as_ref().is_some_and(Read::takes_keys);
        if is_alone && !takes_keys { self.finished(&self.leaf(at)).cost } else { 0.0 }
    }

    /// What an order costs.
    fn costs(&self, tree: &Tree) -> Option<Joined> {
        match tree {
            Tree::Leaf(at) => Some(self.leaf(*at)),
            Tree::Join(sides) => {
                let (left, right) = (self.costs(&sides.0)?, self.costs(&sides.1)?);
                Some(self.joined(&left, &right, self.rows(left.set | right.set)))
            }
        }
    }

    fn exhaustive(&self) -> Option<Joined> {
        let all: Set = (1 << self.measures.len()) - 1;
        let mut known: HashMap<Set, Joined> = HashMap::new();
        for set in 1..=all {
            if set.is_power_of_two() {
                known.insert(set, self.leaf(set.trailing_zeros() as usize));
                continue;
            }
            let rows = self.rows(set);
            let mut best: Option<Joined> = None;
            let mut left = (set - 1) & set;
            while left > 0 {
                let right = set & !left;
                if let (Some(one), Some(other)) = (known.get(&left), known.get(&right))
                    && self.is_right(left, right)
                    && (left > right || self.is_dependent(right))
                {
                    let joined = self.joined(one, other, rows);
                    best = Some(match best {
                        Some(best) => best.or(joined, self.is_worst),
                        None => joined,
                    });
                }
                left = (left - 1) & set;
            }
            if let Some(best) = best {
                known.insert(set, best);
            }
        }
        known.remove(&all)
    }

    fn greedy(&self) -> Option<Joined> {
        let mut parts: Vec<Joined> = (0..self.measures.len()).map(|at| self.leaf(at)).collect();
        while parts.len() > 1 {
            let mut best: Option<(usize, usize, f64, Joined)> = None;
            for (left, one) in parts.iter().enumerate() {
                for (right, other) in parts.iter().enumerate() {
                    let is_new = left > right || (left != right && self.is_dependent(other.set));
                    if !is_new || !self.is_right(one.set, other.set) {
                        continue;
                    }
                    let joined = self.joined(one, other, self.rows(one.set | other.set));
                    let more = self.finished(&joined).cost - self.finished(one).cost - self.finished(other).cost;
                    if best.as_ref().is_none_or(|best| (more < best.2) != self.is_worst) {
                        best = Some((left, right, more, joined));
                    }
                }
            }
            let (left, right, _, joined) = best?;
            parts.remove(left.max(right));
            parts[left.min(right)] = joined;
        }
        parts.pop()
    }

    /// Whether the two may be joined next: something connects them, and what must be joined before is.
    fn is_right(&self, left: Set, right: Set) -> bool {
        if self.is_dependent(left) {
            return false;
        }
        if let Some(dependent) = self.dependent(right) {
            return dependent.needs & !left == 0;
        }
        self.is_connected(left, right)
    }

    fn dependent(&self, set: Set) -> Option<&'a Dependent> {
        let at = set.is_power_of_two().then(|| set.trailing_zeros() as usize)?;
        self.graph.relations.get(at)?.dependent.as_ref()
    }

    fn is_dependent(&self, set: Set) -> bool {
        self.dependent(set).is_some()
    }

    fn is_connected(&self, left: Set, right: Set) -> bool {
        let crosses = |set: Set| set & left != 0 && set & right != 0 && set & !(left | right) == 0;
        self.graph.classes.iter().any(|class| class.set() & left != 0 && class.set() & right != 0)
            || self.graph.equalities.iter().any(|equality| crosses(equality.sets[0] | equality.sets[1]))
            || self.graph.conditions.iter().any(|condition| crosses(condition.set))
    }

    fn leaf(&self, at: usize) -> Joined {
        let measure = &self.measures[at];
        let read = measure.read.as_ref();
        let reads = read.map_or(0.0, |read| {
            let Speed { request_ms, .. } = read.speed;
            request_ms + read.looks.ms + read.speed.moved(read.rows, read.row_bytes)
        });
        let there = read.filter(|_| measure.candidate.is_some()).map(|read| There {
            tree: Tree::Leaf(at),
            looks: read.looks.ms,
            joins: 0.0,
            row_bytes: read.row_bytes,
            speed: read.speed,
        });
        let here = there.is_none().then_some(Here { cost: reads, tree: Tree::Leaf(at) });
        Joined { set: bit(at), rows: measure.rows, here, there }
    }

    /// The two joined, of which so many rows come out.
    fn joined(&self, left: &Joined, right: &Joined, rows: f64) -> Joined {
        let set = left.set | right.set;
        let (one, other) = (self.finished(left), self.finished(right));
        let mut reads = one.cost + other.cost;
        if let Some(cost) = self.by_keys(left, right) {
            reads = reads.min(one.cost + cost);
        }
        // Rows that an outer or an anti join keeps must all be read.
        let gives = self.dependent(right.set).is_none_or(|dependent| dependent.join_type == JoinType::LeftSemi);
        if gives && let Some(cost) = self.by_keys(right, left) {
            reads = reads.min(other.cost + cost);
        }
        let (fewer, more) = (left.rows.min(right.rows), left.rows.max(right.rows));
        let work = fewer * ROW_BUILT + (more + rows) * ROW_PROBED;
        let here = Some(Here { cost: reads + work, tree: Tree::join(one.tree, other.tree) });
        let there = match (&left.there, &right.there) {
            (Some(one), Some(other)) if self.is_together(left.set, right.set) => Some(There {
                tree: Tree::join(one.tree.clone(), other.tree.clone()),
                looks: one.looks + other.looks,
                joins: one.joins + other.joins + (left.rows + right.rows) * ROW_JOINED,
                speed: one.speed,
                row_bytes: match self.dependent(right.set).map(|dependent| dependent.join_type) {
                    Some(JoinType::LeftSemi | JoinType::LeftAnti) => one.row_bytes,
                    _ => one.row_bytes.zip(other.row_bytes).map(|(one, other)| one + other),
                },
            }),
            _ => None,
        };
        Joined { set, rows, here, there }
    }

    /// The cheaper way, with its rows here.
    fn finished(&self, joined: &Joined) -> Here {
        let there = joined.there.as_ref().map(|there| Here {
            cost: there.speed.request_ms + there.looks + there.joins + there.speed.moved(joined.rows, there.row_bytes),
            tree: there.tree.clone(),
        });
        match (there, &joined.here) {
            (Some(there), Some(here)) if here.cost < there.cost => here.clone(),
            (Some(there), _) => there,
            (None, Some(here)) => here.clone(),
            (None, None) => Here { cost: f64::INFINITY, tree: self.graph.tree.clone() },
        }
    }

    /// What it takes to read `to` by keys of `from`, where that is possible and the best of ways.
    fn by_keys(&self, from: &Joined, to: &Joined) -> Option<f64> {
        if self.keys.strategy == Strategy::Never {
            return None;
        }
        let single = to.set.is_power_of_two();
        let there = to.there.as_ref();
        if there.is_none() && !single {
            return None;
        }
        let pairs = self.pairs(from.set, to.set);
        let costs = pairs.into_iter().filter_map(|((giver, given), (taker, taken))| {
            let known = self.measures[giver].distinct(&given);
            let mut target = self.measures[taker].by_keys(&taken, known, self.keys.batch_keys)?;
            let keys = known.unwrap_or(f64::INFINITY).min(from.rows);
            let mut joins = 0.0;
            if let Some(there) = there {
                target.rows = if single { target.rows } else { to.rows };
                target.row_bytes = there.row_bytes;
                joins = there.joins * target.share(keys);
            }
            Some(target.ship(keys) + joins)
        });
        costs.reduce(f64::min)
    }

    /// The columns of one side that are equal to columns of the other.
    fn pairs(&self, from: Set, to: Set) -> Vec<((usize, Column), (usize, Column))> {
        let mut pairs = Vec::new();
        for class in &self.graph.classes {
            if let (Some(giver), Some(_)) = (class.member_of(from), class.member_of(to)) {
                let takers = class.members.iter().filter(|(taker, _)| to & bit(*taker) != 0);
                pairs.extend(takers.map(|taker| (giver.clone(), taker.clone())));
            }
        }
        let mut pair = |one: &Expr, one_set: Set, other: &Expr, other_set: Set| {
            if let (Expr::Column(one), Expr::Column(other)) = (one, other)
                && one_set & from != 0
                && other_set & to != 0
            {
                let at = |set: Set| set.trailing_zeros() as usize;
                pairs.push(((at(one_set), one.clone()), (at(other_set), other.clone())));
            }
        };
        for Equality { sides: [one, other], sets: [one_set, other_set] } in &self.graph.equalities {
            pair(one, *one_set, other, *other_set);
            pair(other, *other_set, one, *one_set);
        }
        for dependent in [from, to] {
            for (one, other) in self.dependent(dependent).into_iter().flat_map(|dependent| &dependent.on) {
                let set = one.column_refs().into_iter().next().and_then(|column| self.owner(column)).map_or(0, bit);
                pair(one, set, other, dependent);
                pair(other, dependent, one, set);
            }
        }
        pairs
    }

    fn owner(&self, column: &Column) -> Option<usize> {
        self.graph.relations.iter().position(|relation| relation.plan.schema().has_column(column))
    }

    /// Rows of joined relations, whatever the order: relation by relation, each with those before it.
    fn rows(&self, set: Set) -> f64 {
        let inner: Vec<usize> =
            (0..self.measures.len()).filter(|at| set & bit(*at) != 0 && !self.is_dependent(bit(*at))).collect();
        let Some(first) = inner.first() else { return 1.0 };
        let mut rows = self.measures[*first].rows;
        let mut before = bit(*first);
        let mut rest: Vec<usize> = inner[1..].to_vec();
        while !rest.is_empty() {
            let next = rest.iter().position(|at| self.is_connected(before, bit(*at))).unwrap_or(0);
            let at = rest.remove(next);
            rows *= self.measures[at].rows * self.share(before, at);
            before |= bit(at);
        }
        for at in (0..self.measures.len()).filter(|at| set & bit(*at) != 0) {
            if let Some(dependent) = self.dependent(bit(at)) {
                rows *= self.kept(dependent, at);
            }
        }
        rows.max(1.0)
    }

    /// The share of the pairs of a relation with those before it that match.
    fn share(&self, before: Set, at: usize) -> f64 {
        let own = bit(at);
        let mut shares: Vec<f64> = Vec::new();
        for class in &self.graph.classes {
            let set = class.set();
            if set & own == 0 || set & before == 0 {
                continue;
            }
            let among = class.members.iter().filter(|(member, _)| (before | own) & bit(*member) != 0);
            let distinct =
                among.filter_map(|(member, column)| self.measures[*member].distinct(column)).reduce(f64::max);
            shares.push(1.0 / distinct.unwrap_or(self.measures[at].rows / 10.0).max(1.0));
        }
        let crosses = |set: Set| set & own != 0 && set & before != 0 && set & !(before | own) == 0;
        for Equality { sides, sets } in &self.graph.equalities {
            if crosses(sets[0] | sets[1]) {
                let known = sides.iter().zip(sets).filter_map(|(side, set)| match side {
                    Expr::Column(column) => self.measures[set.trailing_zeros() as usize].distinct(column),
                    _ => None,
                });
                shares.push(1.0 / known.reduce(f64::max).unwrap_or(self.measures[at].rows / 10.0).max(1.0));
            }
        }
        // Of several keys each further one tells less.
        shares.sort_by(f64::total_cmp);
        let damped = shares.iter().zip([1.0, 0.5, 0.25, 0.125]).map(|(share, power)| share.powf(power)).product();
        let keys = self.unique_share(before, at).unwrap_or(damped);
        let conditions = self.graph.conditions.iter().filter(|Condition { set, .. }| crosses(*set)).count();
        keys * CONDITION.powi(conditions as i32)
    }

    /// The same where a unique key of one side is compared: no more than one row of it for each of the other's.
    fn unique_share(&self, before: Set, at: usize) -> Option<f64> {
        let own = bit(at);
        let relations = (0..self.measures.len()).filter(|relation| (before | own) & bit(*relation) != 0);
        let share = |relation: usize| {
            let others = if relation == at { before } else { own };
            let compared = self.graph.classes.iter().filter(|class| class.member_of(others).is_some());
            let columns: Vec<&Column> =
                compared.filter_map(|class| class.member_of(bit(relation))).map(|(_, column)| column).collect();
            self.measures[relation].unique_rows(&columns).map(|rows| 1.0 / rows)
        };
        relations.filter_map(share).reduce(f64::min)
    }

    /// How many rows there are after a join that is not an inner one, to each before.
    fn kept(&self, dependent: &Dependent, at: usize) -> f64 {
        let measure = &self.measures[at];
        let shares = dependent.on.iter().map(|(one, other)| {
            let (Expr::Column(one), Expr::Column(other)) = (one, other) else { return 0.5 };
            let values = self.owner(one).and_then(|owner| self.measures[owner].distinct(one));
            let partners = measure.distinct(other).unwrap_or(measure.rows).min(measure.rows);
            match dependent.join_type {
                JoinType::Left => measure.rows / values.unwrap_or(partners).max(1.0),
                _ => (partners / values.unwrap_or(partners).max(1.0)).min(1.0),
            }
        });
        let share = shares.reduce(f64::min).unwrap_or(0.5);
        match dependent.join_type {
            JoinType::Left => share.max(1.0),
            JoinType::LeftAnti => (1.0 - share).max(LEAST_SHARE),
            _ => share.max(LEAST_SHARE / 10.0),
        }
    }

    /// Whether the one source of all of them joins two sets.
    fn is_together(&self, left: Set, right: Set) -> bool {
        let of = |set: Set| (0..self.measures.len()).filter(move |at| set & bit(*at) != 0);
        of(left).any(|one| of(right).any(|other| self.together.get(&(bit(one) | bit(other))) == Some(&true)))
    }

    /// Whether a source that has both relations joins them.
    fn is_joined_there(&self, one: usize, other: usize) -> bool {
        if !self.measures[one].is_beside(&self.measures[other]) {
            return false;
        }
        // What must come after another is the right side.
        let (one, other) = if self.is_dependent(bit(one)) { (other, one) } else { (one, other) };
        let pairs = self.pairs(bit(one), bit(other));
        let (Some(left), Some(right)) = (&self.measures[one].candidate, &self.measures[other].candidate) else {
            return false;
        };
        let dependent = self.dependent(bit(other));
        let on: Vec<(Expr, Expr)> =
            pairs.into_iter().map(|((_, one), (_, other))| (Expr::Column(one), Expr::Column(other))).collect();
        let join_type = dependent.map_or(JoinType::Inner, |dependent| dependent.join_type);
        let schema =
            datafusion::logical_expr::build_join_schema(left.scan.schema(), right.scan.schema(), &join_type).ok();
        let Some(schema) = schema.filter(|_| !on.is_empty()) else { return false };
        let scan = Scan::Join(ScanJoin {
            left: Arc::clone(&left.scan),
            right: Arc::clone(&right.scan),
            join_type,
            on,
            condition: None,
            null_equality: datafusion::common::NullEquality::NullEqualsNothing,
            null_aware: dependent.is_some_and(|dependent| dependent.null_aware),
            schema: Arc::new(schema),
        });
        left.offer(&scan).is_exact()
    }
}

impl Joined {
    /// Each way by the cheaper of two, or by the dearer.
    fn or(self, other: Self, is_dearer: bool) -> Self {
        let here = match (self.here, other.here) {
            (Some(one), Some(two)) => Some(if (two.cost < one.cost) != is_dearer { two } else { one }),
            (one, two) => one.or(two),
        };
        let there = match (self.there, other.there) {
            (Some(one), Some(two)) => Some(if (two.joins < one.joins) != is_dearer { two } else { one }),
            (one, two) => one.or(two),
        };
        Self { here, there, ..self }
    }
}
