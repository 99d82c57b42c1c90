use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, SortExpr};
use tombolo_connector::{Answer, Connector, Scan, ScanOffer, ScanStatistics};

use super::node::NotPushedPart;
use crate::catalog::{Source, is_work};
use crate::plan::{expr_text, join_texts};
use crate::settings::{PushdownRule, PushdownRules, Strategy};

/// A subtree that one source has accepted so far.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) source: Arc<Source>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) rules: PushdownRules,
    pub(super) local_work: LocalWork,
    pub(super) scan: Arc<Scan>,
    pub(super) order: Order,
    pub(super) not_pushed: Vec<NotPushedPart>,
    /// The work that is done here since the source was seen to be slow at it, by its hash.
    pub(super) instead_of: Option<String>,
}

/// When work on the tables of one source is done here.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalWork {
    pub(super) strategy: Strategy,
    /// What its tables may take.
    pub(super) most_bytes: u64,
}

impl LocalWork {
    pub(super) const NEVER: Self = Self { strategy: Strategy::Never, most_bytes: 0 };
}

/// The order in which an accepted subtree's rows come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// None is promised.
    None,
    /// By these columns of the subtree's own schema.
    By(Vec<SortExpr>),
    /// By columns that the subtree no longer puts out. It can still be the whole plan, but nothing can be put above it.
    ByLostColumns,
}

impl Candidate {
    /// Offers one more operator on top. `None` where its answer is not exact in every part; the refusal is kept.
    pub(super) fn accept(&mut self, scan: Scan) -> Option<Candidate> {
        let offer = match self.refused_work(&scan) {
            Some(reason) => ScanOffer::all(Answer::refused(reason), scan.part_count()),
            None => self.offer(&scan),
        };
        if !offer.is_exact() {
            self.keep_refusals(&scan, &offer);
            return None;
        }
        let order = self.order_after(&scan);
        Some(Candidate { scan: Arc::new(scan), order, ..self.clone() })
    }

    /// Why a source is not offered work that it would do.
    fn refused_work(&mut self, scan: &Scan) -> Option<String> {
        if !is_work(scan) {
            return None;
        }
        match self.local_work.strategy {
            Strategy::Never => None,
            Strategy::Always => Some("what joins, groups and windows can be done here is done here".to_owned()),
            Strategy::Adaptive => {
                // More rows are read than the answer needs, which may be what the guardrails are there to prevent.
                let observed = self.source.observed().filter(|_| self.source.guardrails().is_empty())?;
                let slow = observed.slow_work(scan, self.local_work.most_bytes)?;
                let (source, here) = (time_text(slow.source_ms), time_text(slow.here_ms));
                self.instead_of = Some(slow.hash);
                Some(format!("the source took {source} for it, and with its tables read here it takes {here}"))
            }
        }
    }

    /// The source's answer, brought to one for each part whatever the source said: a missing answer is a refusal.
    pub(super) fn offer(&self, scan: &Scan) -> ScanOffer {
        if rule_of(scan).is_some_and(|rule| !self.rules.allows(rule)) {
            return ScanOffer::all(Answer::refused("its push-down is switched off"), scan.part_count());
        }
        let mut offer = self.connector.offer(scan);
        offer.parts.resize(scan.part_count(), Answer::refused("the connector did not answer"));
        offer
    }

    /// What is expected of its answer's size.
    pub(super) fn estimate(&self) -> ScanStatistics {
        self.source.estimate(self.connector.as_ref(), &self.scan)
    }

    pub(super) fn keep_refusals(&mut self, scan: &Scan, offer: &ScanOffer) {
        for (part, answer) in part_texts(scan).into_iter().zip(&offer.parts) {
            if let Answer::Refused(reason) = answer {
                self.not_pushed(scan.operator(), part, Some(reason.clone()));
            }
        }
    }

    pub(super) fn not_pushed(&mut self, operator: &'static str, part: String, reason: Option<String>) {
        let part = NotPushedPart { operator, part, reason };
        if !self.not_pushed.contains(&part) {
            self.not_pushed.push(part);
        }
    }

    fn order_after(&self, scan: &Scan) -> Order {
        match scan {
            Scan::Sort { keys, .. } => {
                // Only columns can be followed upwards and declared to the physical plan.
                if keys.iter().all(|key| matches!(key.expr, Expr::Column(_))) {
                    Order::By(keys.clone())
                } else {
                    Order::ByLostColumns
                }
            }
            Scan::Filter { .. } | Scan::Limit { .. } => self.order.clone(),
            Scan::Alias { .. } | Scan::Project { .. } => self.mapped_order(scan),
            Scan::Table(_) | Scan::Join(_) | Scan::Aggregate(_) | Scan::Window { .. } | Scan::Union { .. } => {
                Order::None
            }
        }
    }

    /// Follows the sort columns through an alias or a projection.
    fn mapped_order(&self, scan: &Scan) -> Order {
        let Order::By(keys) = &self.order else { return self.order.clone() };
        let below = self.scan.schema();
        let above = scan.schema();
        let position = |column: &Column| -> Option<usize> {
            match scan {
                Scan::Project { exprs, .. } => exprs
                    .iter()
                    .position(|expr| matches!(expr.clone().unalias(), Expr::Column(found) if found == *column)),
                _ => below.maybe_index_of_column(column),
            }
        };
        let mapped = keys.iter().map(|key| {
            let Expr::Column(column) = &key.expr else { return None };
            let column = Column::from(above.qualified_field(position(column)?));
            Some(SortExpr::new(Expr::Column(column), key.asc, key.nulls_first))
        });
        mapped.collect::<Option<Vec<_>>>().map_or(Order::ByLostColumns, Order::By)
    }
}

fn time_text(ms: f64) -> String {
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// The rule by which an operator is offered; a table always is.
fn rule_of(scan: &Scan) -> Option<PushdownRule> {
    Some(match scan {
        Scan::Table(_) => return None,
        Scan::Filter { .. } => PushdownRule::Filter,
        Scan::Project { .. } => PushdownRule::Projection,
        Scan::Alias { .. } => PushdownRule::Alias,
        Scan::Join(_) => PushdownRule::Join,
        Scan::Aggregate(_) => PushdownRule::Aggregate,
        Scan::Window { .. } => PushdownRule::Window,
        Scan::Sort { .. } => PushdownRule::Sort,
        Scan::Limit { .. } => PushdownRule::Limit,
        Scan::Union { .. } => PushdownRule::Union,
    })
}

/// The parts of an operator as text, in the order of an offer's answers.
pub(super) fn part_texts(scan: &Scan) -> Vec<String> {
    let mut parts: Vec<String> = match scan {
        Scan::Filter { predicates, .. } => predicates.iter().map(expr_text).collect(),
        Scan::Project { exprs, .. } => exprs.iter().map(expr_text).collect(),
        Scan::Aggregate(aggregate) => aggregate.group.iter().chain(&aggregate.aggregates).map(expr_text).collect(),
        Scan::Window { windows, .. } => windows.iter().map(expr_text).collect(),
        Scan::Sort { keys, .. } => keys.iter().map(ToString::to_string).collect(),
        Scan::Join(join) => join_texts(&join.on, join.condition.as_ref()),
        Scan::Limit { skip, fetch, .. } => {
            let fetch = fetch.map_or_else(|| "all rows".to_owned(), |fetch| format!("{fetch} rows"));
            vec![if *skip > 0 { format!("{fetch} after {skip}") } else { fetch }]
        }
        Scan::Table(table) => vec![table.table().to_string()],
        Scan::Alias { .. } | Scan::Union { .. } => Vec::new(),
    };
    parts.resize(scan.part_count(), scan.operator().to_owned());
    parts
}
