//! What stands after FROM: tables, derived tables, and joins of them.

use super::Generator;
use super::expression::{Place, Visible};
use super::forms::{EQUAL, LESS, NOT_DISTINCT};
use super::tree::{Expr, Join, JoinKind, JoinOn, Relation, Type};

/// How many rows a join may be expected to have: the ways of running a query are many, and each reads them.
const MAX_ROWS: f64 = 4000.0;

/// Pairs of columns, of a relation in scope and of a new one, by their positions.
type Pair = (usize, usize, usize);

impl Generator<'_> {
    /// One to `most` relations, what of them can be named, and how many rows there may be.
    pub(super) fn from(&mut self, depth: usize, most: usize) -> (Relation, Vec<Visible>, f64) {
        let count = self.random.weighted(&[(42, 1), (36, 2), (16, 3), (6, 4)]).min(most);
        let (mut from, first) = self.relation(depth);
        let mut rows = first.rows;
        let mut scope = vec![first];
        for _ in 1..count {
            // Most pairs of tables have keys to join them by; a few tries find one.
            for _ in 0..6 {
                let (right, visible) = self.relation(depth);
                let joined = self.join(&scope, rows, &visible);
                if let Some((kind, on, estimate)) = joined {
                    rows = estimate;
                    from = Relation::Join(Box::new(Join { kind, left: from, right, on }));
                    scope.push(visible);
                    break;
                }
            }
        }
        (from, scope, rows)
    }

    fn relation(&mut self, depth: usize) -> (Relation, Visible) {
        if !self.common.is_empty() && self.random.chance(40) {
            let (name, columns, rows) = self.random.pick(&self.common).clone();
            let alias = self.name("w");
            let identity = (0..columns.len()).collect();
            return (Relation::Common { name, alias: alias.clone() }, Visible { alias, columns, identity, rows });
        }
        if depth > 0 && self.random.chance(20) {
            let (query, columns, rows) = self.nested(depth - 1, None);
            let alias = self.name("d");
            let identity = (0..columns.len()).collect();
            return (
                Relation::Derived { query: Box::new(query), alias: alias.clone() },
                Visible { alias, columns, identity, rows },
            );
        }
        let mut table = self.random.pick(self.tables);
        // A table without rows makes most queries over it empty.
        if table.rows == 0 && self.random.chance(80) {
            table = self.random.pick(self.tables);
        }
        let alias = self.name("t");
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let visible = Visible {
            alias: alias.clone(),
            columns: table.columns.clone(),
            identity: if table.key.is_empty() { all } else { table.key.clone() },
            rows: table.rows as f64,
        };
        (Relation::Table { source: table.source.clone(), table: table.name.clone(), alias }, visible)
    }

    /// How a relation is joined to those in scope, and how many rows that may give; `None` where it would be too many.
    fn join(&mut self, scope: &[Visible], rows: f64, new: &Visible) -> Option<(JoinKind, JoinOn, f64)> {
        let product = rows * new.rows.max(1.0);
        if product <= MAX_ROWS && self.random.chance(5) {
            return Some((JoinKind::Cross, JoinOn::Nothing, product));
        }
        let kind = self.random.weighted(&[
            (48, JoinKind::Inner),
            (26, JoinKind::Left),
            (13, JoinKind::Right),
            (13, JoinKind::Full),
        ]);
        let pairs = pairs(scope, new, |left, right| left.domain.is_some() && left.domain == right.domain);
        if product <= MAX_ROWS && self.random.chance(5) {
            let pairs = self::pairs(scope, new, |left, right| left.kind == right.kind && left.kind != Type::Bool);
            let pair = *self.pick_from(&pairs)?;
            let (left, right) = sides(scope, new, pair);
            return Some((kind, JoinOn::Conditions(vec![Expr::form(Type::Bool, &LESS, vec![left, right])]), product));
        }
        let pair = *self.pick_from(&pairs)?;
        let (at, left, right) = pair;
        let (left_column, right_column) = (&scope[at].columns[left], &new.columns[right]);
        let estimate = product / left_column.distinct.max(right_column.distinct).max(1) as f64;
        if estimate > MAX_ROWS {
            return None;
        }
        let name = &left_column.name;
        let is_plain =
            scope.iter().flat_map(|visible| &visible.columns).filter(|column| column.name == *name).count() == 1;
        if *name == right_column.name && is_plain && self.random.chance(25) {
            return Some((kind, JoinOn::Using(vec![name.clone()]), estimate));
        }
        let mut conditions = vec![self.key_condition(scope, new, pair)];
        if self.random.chance(15)
            && let Some(second) = self.pick_from(&pairs).copied()
        {
            conditions.push(self.key_condition(scope, new, second));
        }
        if self.random.chance(25) {
            let both: Vec<Visible> = scope.iter().chain([new]).cloned().collect();
            let place = Place::rows(&both);
            conditions.push(if self.random.chance(60) {
                self.simple(&place)
            } else {
                self.expr(Type::Bool, &place, 2)
            });
        }
        Some((kind, JoinOn::Conditions(conditions), estimate.max(rows.max(new.rows))))
    }

    fn key_condition(&mut self, scope: &[Visible], new: &Visible, pair: Pair) -> Expr {
        let (mut left, mut right) = sides(scope, new, pair);
        if self.random.chance(7) {
            // A key that is an expression, and at times one that no longer finds its partner.
            let place = Place { computed: true, ..Place::rows(&scope[pair.0..=pair.0]) };
            left = self.expr(left.kind, &place, 1);
        }
        if self.random.chance(50) {
            std::mem::swap(&mut left, &mut right);
        }
        let form = if self.random.chance(5) { &NOT_DISTINCT } else { &EQUAL };
        Expr::form(Type::Bool, form, vec![left, right])
    }

    fn pick_from<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        if from.is_empty() { None } else { Some(self.random.pick(from)) }
    }

    /// A column in scope and one of `inner` that hold keys of one domain.
    pub(super) fn correlated(&mut self, outer: &[Visible], inner: &[Visible]) -> Option<(Expr, Expr)> {
        let visible = self.random.pick(inner);
        let pairs = pairs(outer, visible, |left, right| left.domain.is_some() && left.domain == right.domain);
        self.pick_from(&pairs).map(|&pair| sides(outer, visible, pair))
    }
}

fn pairs(
    scope: &[Visible],
    new: &Visible,
    fit: impl Fn(&super::catalog::Column, &super::catalog::Column) -> bool,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, visible) in scope.iter().enumerate() {
        for (left, left_column) in visible.columns.iter().enumerate() {
            for (right, right_column) in new.columns.iter().enumerate() {
                if left_column.kind == right_column.kind && fit(left_column, right_column) {
                    pairs.push((at, left, right));
                }
            }
        }
    }
    pairs
}

fn sides(scope: &[Visible], new: &Visible, (at, left, right): Pair) -> (Expr, Expr) {
    let column = |visible: &Visible, index: usize| {
        let column = &visible.columns[index];
        Expr::column(column.kind, &visible.alias, &column.name)
    };
    (column(&scope[at], left), column(new, right))
}
