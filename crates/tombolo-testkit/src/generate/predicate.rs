//! Conditions, and the sub-selects in them.

use super::Generator;
use super::expression::{Place, Visible};
use super::forms::{EQUAL, FORMS, Form, LESS, SIMPLE};
use super::tree::{Body, Expr, Grouping, Item, Literal, Node, Query, Relation, Select, SetOperator, Type};

fn form_of(text: &str) -> &'static Form {
    FORMS.iter().find(|form| form.text == text).expect("it is one of the forms")
}

impl Generator<'_> {
    /// The conjuncts of a WHERE.
    pub(super) fn filter(&mut self, place: &Place<'_>, depth: usize) -> Vec<Expr> {
        let count = self.random.weighted(&[(42, 0), (43, 1), (12, 2), (3, 3)]);
        (0..count).map(|_| self.predicate(place, depth)).collect()
    }

    pub(super) fn predicate(&mut self, place: &Place<'_>, depth: usize) -> Expr {
        match self.random.below(100) {
            0..45 => self.simple(place),
            45..75 if place.subqueries && depth > 0 => {
                let test = self.membership(place, depth - 1);
                match self.random.below(12) {
                    0 => Expr::form(Type::Bool, form_of("({0} OR {1})"), vec![test, self.simple(place)]),
                    1 => Expr::form(Type::Bool, form_of("(NOT {0})"), vec![test]),
                    _ => test,
                }
            }
            _ => self.expr(Type::Bool, place, 2),
        }
    }

    /// A condition with a sub-select in it.
    fn membership(&mut self, place: &Place<'_>, depth: usize) -> Expr {
        let node = match self.random.below(100) {
            0..45 => {
                let correlated = self.random.chance(88);
                let query = Box::new(self.exists(place, depth, correlated));
                Node::Exists { query, negated: self.random.chance(35) }
            }
            45..80 => return self.membership_of_value(place, depth),
            _ => {
                let kind = self.kind_in(place);
                let value = self.expr(kind, place, 1);
                let scalar = self.scalar(kind, place, depth);
                let forms: Vec<&'static Form> =
                    SIMPLE.iter().filter(|form| form.slots.len() == 2 && !form.text.contains("IN (")).collect();
                let form = *self.random.pick(&forms);
                return Expr::form(Type::Bool, form, vec![value, scalar]);
            }
        };
        Expr { kind: Type::Bool, node }
    }

    fn membership_of_value(&mut self, place: &Place<'_>, depth: usize) -> Expr {
        let (from, scope, _) = self.from(depth, 2);
        let (value, item) = match self.correlated(place.scope, &scope) {
            Some(pair) if self.random.chance(85) => pair,
            _ => {
                let kind = self.kind_in(place);
                (self.expr(kind, place, 1), self.expr(kind, &Place::rows(&scope), 1))
            }
        };
        let mut select = self.inner(from, &scope, item);
        let negated = self.random.chance(35);
        // Of a NOT IN that is correlated the unknowns are lost, so it is refused unless nothing can be null.
        if self.random.chance(if negated { 4 } else { 12 })
            && let Some((outer, inner)) = self.correlated(place.scope, &scope)
        {
            select.filter.push(Expr::form(Type::Bool, &EQUAL, vec![inner, outer]));
        } else if self.random.chance(15) && select.items[0].expr.has_column() {
            select.group.push(select.items[0].expr.clone());
            let groups = Place { groups: Some(&select.group), ..Place::rows(&scope) };
            let having = self.expr(Type::Bool, &groups, 1);
            select.having.push(having);
        }
        let body = if select.group.is_empty() && self.random.chance(10) {
            let kinds = [select.items[0].expr.kind];
            let (other, _) = self.select(Some(&kinds), depth, false);
            Body::Set(
                self.random.weighted(&[(2, SetOperator::UnionAll), (1, SetOperator::Except)]),
                vec![select, other],
            )
        } else {
            Body::Select(Box::new(select))
        };
        let query = Box::new(Query::of(body));
        Expr { kind: Type::Bool, node: Node::In { value: Box::new(value), query, negated } }
    }

    fn exists(&mut self, place: &Place<'_>, depth: usize, correlated: bool) -> Query {
        let (from, scope, _) = self.from(depth, 2);
        let item = Expr::literal(Type::Int, Literal::new("1"));
        let mut select = self.inner(from, &scope, item);
        if correlated && let Some((outer, inner)) = self.correlated(place.scope, &scope) {
            select.filter.insert(0, Expr::form(Type::Bool, &EQUAL, vec![inner, outer]));
            if self.random.chance(15) {
                let kind = self.kind_in(place);
                let inner = self.expr(kind, &Place::rows(&scope), 0);
                let outer = self.expr(kind, &Place { subqueries: false, ..*place }, 0);
                select.filter.push(Expr::form(Type::Bool, &LESS, vec![inner, outer]));
            }
        }
        Query::of(Body::Select(Box::new(select)))
    }

    fn inner(&mut self, from: Relation, scope: &[Visible], item: Expr) -> Select {
        let filter = if self.random.chance(50) { vec![self.simple(&Place::rows(scope))] } else { Vec::new() };
        let items = vec![Item { expr: item, name: self.name("c") }];
        Select {
            distinct: false,
            items,
            from: Some(from),
            filter,
            group: Vec::new(),
            grouping: Grouping::Plain,
            having: Vec::new(),
        }
    }

    /// A sub-select of one row and one column.
    pub(super) fn scalar(&mut self, kind: Type, place: &Place<'_>, depth: usize) -> Expr {
        let (from, scope, _) = self.from(depth.saturating_sub(1), 2);
        let groups = Place { groups: Some(&[]), computed: true, ..Place::rows(&scope) };
        let item = if self.random.chance(80) { self.aggregate(kind, &groups) } else { self.expr(kind, &groups, 1) };
        // Without an aggregate it would have as many rows as there are.
        let item = if has_aggregate(&item) { item } else { self.aggregate(kind, &groups) };
        let mut select = self.inner(from, &scope, item);
        if place.groups.is_none()
            && self.random.chance(60)
            && let Some((outer, inner)) = self.correlated(place.scope, &scope)
        {
            select.filter.push(Expr::form(Type::Bool, &EQUAL, vec![inner, outer]));
        }
        Expr { kind, node: Node::Scalar(Box::new(Query::of(Body::Select(Box::new(select))))) }
    }
}

fn has_aggregate(expr: &Expr) -> bool {
    matches!(expr.node, Node::Aggregate { .. }) || expr.children().into_iter().any(has_aggregate)
}
