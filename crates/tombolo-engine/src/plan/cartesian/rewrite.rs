//! Puts a condition into the statement, at the join that lacks it.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Select, Statement,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::super::case::reference;
use super::super::scope::fold;
use super::evidence::Candidate;

/// A statement with conditions put into it, and these as they stand there: `ON o.user_id = u.id`.
#[derive(Debug, Clone)]
pub(crate) struct Rewritten {
    pub(crate) statement: Statement,
    pub(crate) conditions: Vec<String>,
}

/// The statement with the conditions in it, for each SELECT that has all of the relations: they say themselves which is meant
/// only by what becomes of the plan.
pub(crate) fn rewritten(statement: &Statement, conditions: &[Candidate]) -> Vec<Rewritten> {
    let mut found = Vec::new();
    for place in 0.. {
        let mut statement = statement.clone();
        let mut visitor = Place { conditions, wanted: place, seen: 0, written: None };
        let _ = VisitMut::visit(&mut statement, &mut visitor);
        if visitor.seen <= place {
            break;
        }
        if let Some(conditions) = visitor.written {
            found.push(Rewritten { statement, conditions });
        }
    }
    found
}

struct Place<'a> {
    conditions: &'a [Candidate],
    /// Which of the SELECTs, in their order.
    wanted: usize,
    seen: usize,
    written: Option<Vec<String>>,
}

impl VisitorMut for Place<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.seen += 1;
        if self.seen <= self.wanted {
            return ControlFlow::Continue(());
        }
        self.written = self.conditions.iter().map(|condition| add(select, condition)).collect();
        ControlFlow::Break(())
    }
}

/// Adds a condition to a SELECT, and tells it as it stands there.
fn add(select: &mut Select, condition: &Candidate) -> Option<String> {
    let [left, right] = [&condition.left, &condition.right].map(|reference| {
        let item = select.from.iter().position(|item| position(item, reference).is_some())?;
        Some((item, qualifier(select, reference)?))
    });
    let ((left_item, left), (right_item, right)) = (left?, right?);
    let equality = |(one, other): &(String, String)| Expr::BinaryOp {
        left: Box::new(column(&left, one)),
        op: BinaryOperator::Eq,
        right: Box::new(column(&right, other)),
    };
    let expr = condition.pairs.iter().map(equality).reduce(and)?;
    let text = expr.to_string();
    if left_item == right_item {
        match join_on(select.from.get_mut(left_item)?, &condition.left, &condition.right, &expr) {
            Put::There => return Some(format!("ON {text}")),
            Put::Elsewhere => {}
            Put::Nowhere => return None,
        }
    }
    select.selection = Some(match select.selection.take() {
        Some(before) => and(before, expr),
        None => expr,
    });
    Some(format!("WHERE {text}"))
}

/// Where a condition was put.
enum Put {
    There,
    /// It may stand in WHERE.
    Elsewhere,
    /// It would change which rows an outer join keeps.
    Nowhere,
}

fn join_on(item: &mut TableWithJoins, left: &TableReference, right: &TableReference, expr: &Expr) -> Put {
    let (Some(one), Some(other)) = (position(item, left), position(item, right)) else { return Put::Nowhere };
    if one == other {
        let factor = match one.checked_sub(1) {
            None => Some(&mut item.relation),
            Some(join) => item.joins.get_mut(join).map(|join| &mut join.relation),
        };
        return match factor {
            Some(TableFactor::NestedJoin { table_with_joins, .. }) => join_on(table_with_joins, left, right, expr),
            _ => Put::Nowhere,
        };
    }
    let Some(join) = one.max(other).checked_sub(1).and_then(|join| item.joins.get_mut(join)) else {
        return Put::Nowhere;
    };
    let operator = &mut join.join_operator;
    match operator {
        JoinOperator::CrossJoin(JoinConstraint::None) => {
            *operator = JoinOperator::Join(JoinConstraint::On(expr.clone()));
            Put::There
        }
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            if constrain(constraint, expr) {
                Put::There
            } else {
                Put::Elsewhere
            }
        }
        JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => {
            if constrain(constraint, expr) {
                Put::There
            } else {
                Put::Nowhere
            }
        }
        _ => Put::Nowhere,
    }
}

fn constrain(constraint: &mut JoinConstraint, expr: &Expr) -> bool {
    match constraint {
        JoinConstraint::None => *constraint = JoinConstraint::On(expr.clone()),
        JoinConstraint::On(before) if is_true(before) => *before = expr.clone(),
        JoinConstraint::On(before) => *before = and(before.clone(), expr.clone()),
        JoinConstraint::Using(_) | JoinConstraint::Natural => return false,
    }
    true
}

/// A condition that a person wrote since one has to be there: `true`, `1 = 1`.
fn is_true(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value == Value::Boolean(true),
        Expr::Nested(inner) => is_true(inner),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            matches!((left.as_ref(), right.as_ref()), (Expr::Value(left), Expr::Value(right)) if left.value == right.value && left.value != Value::Null)
        }
        _ => false,
    }
}

fn and(before: Expr, expr: Expr) -> Expr {
    let left = match before {
        Expr::BinaryOp { op: BinaryOperator::Or | BinaryOperator::Xor, .. } => Expr::Nested(Box::new(before)),
        other => other,
    };
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(expr) }
}

/// Which element of a chain of joins has a relation: 0 is the first, 1 what is joined to it.
fn position(item: &TableWithJoins, wanted: &TableReference) -> Option<usize> {
    let mut factors = std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation));
    factors.position(|factor| find(factor, wanted).is_some())
}

/// A relation within what stands after FROM, as columns are qualified with it.
fn find(factor: &TableFactor, wanted: &TableReference) -> Option<Vec<Ident>> {
    let by_alias = |alias: &Ident| (TableReference::bare(fold(alias)) == *wanted).then(|| vec![alias.clone()]);
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => by_alias(&alias.name),
        TableFactor::Table { name, .. } => {
            let idents: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
            let last = idents.last()?;
            let is_meant = known_as(&idents).as_ref() == Some(wanted) || by_alias(last).is_some();
            is_meant.then_some(idents)
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            let TableWithJoins { relation, joins } = table_with_joins.as_ref();
            find(relation, wanted).or_else(|| joins.iter().find_map(|join| find(&join.relation, wanted)))
        }
        _ => None,
    }
}

/// The reference that a table's name becomes in a plan.
fn known_as(idents: &[Ident]) -> Option<TableReference> {
    let idents = match idents {
        [source, database, schema, table] => {
            let middle = Ident::with_quote('"', format!("{}.{}", database.value, schema.value));
            vec![source.clone(), middle, table.clone()]
        }
        other => other.to_vec(),
    };
    reference(&ObjectName::from(idents))
}

/// What a relation's columns are qualified with: its alias or the last part of its name, or all of that where another relation's
/// ends alike.
fn qualifier(select: &Select, wanted: &TableReference) -> Option<Vec<Ident>> {
    let factors = || {
        select
            .from
            .iter()
            .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)))
    };
    let idents = factors().find_map(|factor| find(factor, wanted))?;
    let last = idents.last()?;
    let alike = factors().filter(|factor| find(factor, &TableReference::bare(fold(last))).is_some()).count();
    Some(if alike > 1 { idents } else { vec![last.clone()] })
}

fn column(qualifier: &[Ident], name: &str) -> Expr {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    let column = if is_plain { Ident::new(name) } else { Ident::with_quote('"', name) };
    Expr::CompoundIdentifier(qualifier.iter().cloned().chain([column]).collect())
}
