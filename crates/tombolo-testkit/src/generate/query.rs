//! Whole queries: common table expressions, set operations, orders and limits.

use super::Generator;
use super::catalog::Column;
use super::expression::Place;
use super::select::Made;
use super::tree::{Body, Expr, Node, OrderKey, Query, SetOperator, Type};

/// How the rows of a query are cut.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// Not at all.
    None,
    /// Ordered, and not cut.
    Ordered,
    /// By a limit in a total order.
    Total,
    /// By a limit that ties leave open.
    Tied,
}

/// How deep sub-selects and derived tables go.
const DEPTH: usize = 2;

impl Generator<'_> {
    pub(super) fn whole(&mut self) -> Query {
        let mut with = Vec::new();
        if self.random.chance(12) {
            for _ in 0..=self.random.below(2) {
                let (query, columns, rows) = self.nested(DEPTH - 1, None);
                let name = self.name("cte");
                self.common.push((name.clone(), columns, rows));
                with.push((name, query));
            }
        }
        let cut = self.random.weighted(&[(52, Cut::None), (22, Cut::Ordered), (16, Cut::Total), (10, Cut::Tied)]);
        let depth = self.random.weighted(&[(40, 0), (40, 1), (20, DEPTH)]);
        let (mut query, _, _) = self.cut_query(depth, None, cut);
        query.with = with;
        query
    }

    /// A query inside another: with its columns and how many rows it may have.
    pub(super) fn nested(&mut self, depth: usize, wanted: Option<&[Type]>) -> (Query, Vec<Column>, f64) {
        let cut = if self.random.chance(15) { Cut::Total } else { Cut::None };
        self.cut_query(depth, wanted, cut)
    }

    fn cut_query(&mut self, depth: usize, wanted: Option<&[Type]>, cut: Cut) -> (Query, Vec<Column>, f64) {
        let (body, made, hidden) = self.body(depth, wanted, cut == Cut::None);
        let mut query = Query::of(body);
        let mut rows = made.rows;
        let hidden = if hidden && cut != Cut::None && self.random.chance(15) { self.hidden_key(&made) } else { None };
        if cut != Cut::None {
            query.order = self.order(&made.columns, hidden, cut == Cut::Total);
        }
        if matches!(cut, Cut::Total | Cut::Tied) {
            let limit = self.random.weighted(&[(2, 1), (3, 3), (4, 7), (2, 20), (1, 0)]);
            query.limit = Some(limit);
            rows = rows.min(limit as f64);
            query.offset = self.random.chance(35).then(|| self.random.weighted(&[(3, 1), (2, 4), (1, 30)]));
            if cut == Cut::Tied && self.random.chance(20) {
                query.order.clear();
            }
            if query.offset.is_some() && cut == Cut::Total && self.random.chance(15) {
                query.limit = None;
            }
        }
        (query, made.columns, rows)
    }

    /// Gives also whether the order may be by what is not put out.
    fn body(&mut self, depth: usize, wanted: Option<&[Type]>, inexact: bool) -> (Body, Made, bool) {
        if self.random.chance(14) {
            let kinds = match wanted {
                Some(wanted) => wanted.to_vec(),
                None => {
                    let kinds = [
                        Type::Int,
                        Type::Text,
                        Type::Int,
                        Type::Date,
                        Type::Decimal,
                        Type::Float,
                        Type::Bool,
                        Type::Timestamp,
                    ];
                    (0..=self.random.below(3)).map(|_| *self.random.pick(&kinds)).collect()
                }
            };
            let operator = self.random.weighted(&[
                (40, SetOperator::UnionAll),
                (30, SetOperator::Union),
                (14, SetOperator::Intersect),
                (14, SetOperator::Except),
                (1, SetOperator::ExceptAll),
                (1, SetOperator::IntersectAll),
            ]);
            let count = if self.random.chance(80) { 2 } else { 3 };
            let (first, mut made) = self.select(Some(&kinds), depth, false);
            let mut selects = vec![first];
            for _ in 1..count {
                let (select, other) = self.select(Some(&kinds), depth, false);
                made.rows += other.rows;
                for (column, other) in made.columns.iter_mut().zip(other.columns) {
                    column.fragile |= other.fragile;
                    column.distinct = column.distinct.max(other.distinct);
                }
                selects.push(select);
            }
            return (Body::Set(operator, selects), made, false);
        }
        let inexact = inexact && wanted.is_none() && self.at_top();
        let (select, made) = self.select(wanted, depth, inexact);
        let plain =
            select.group.is_empty() && !select.distinct && select.items.iter().all(|item| !is_grouped(&item.expr));
        (Body::Select(Box::new(select)), made, plain)
    }

    /// Whether nothing but the outermost SELECT has been begun: its answer is read by nobody but the runner, which knows how
    /// close floats must be.
    fn at_top(&self) -> bool {
        self.names == 0
    }

    fn hidden_key(&mut self, made: &Made) -> Option<OrderKey> {
        let place = Place::rows(&made.scope);
        let kind = self.kind_in(&place);
        let expr = self.expr(kind, &place, 1);
        expr.has_column().then(|| self.key(expr))
    }

    fn order(&mut self, columns: &[Column], hidden: Option<OrderKey>, total: bool) -> Vec<OrderKey> {
        let mut left: Vec<&Column> = columns.iter().collect();
        let count = if total { left.len() } else { 1 + self.random.below(left.len().min(3)) };
        let mut order: Vec<OrderKey> = hidden.into_iter().collect();
        for _ in 0..count {
            let column = left.remove(self.random.below(left.len()));
            let expr = Expr { kind: column.kind, node: Node::Output(column.name.clone()) };
            order.push(self.key(expr));
        }
        order
    }
}

fn is_grouped(expr: &Expr) -> bool {
    matches!(expr.node, Node::Aggregate { .. } | Node::Window { .. }) || expr.children().into_iter().any(is_grouped)
}
