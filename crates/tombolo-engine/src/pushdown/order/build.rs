use std::sync::Arc;

use datafusion::common::{
    Column, DFSchemaRef, JoinConstraint, JoinType, NullEquality, Result, internal_datafusion_err,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection};

use super::graph::{Condition, Equality, Graph, Set, Tree, bit};

/// Puts joins together again.
pub(super) struct Build {
    graph: Graph,
}

struct Part {
    plan: LogicalPlan,
    set: Set,
}

impl Build {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// The joins in the order of a tree, with the columns of `schema`; in its order too unless they are only `named`.
    pub(super) fn plan(mut self, tree: &Tree, schema: &DFSchemaRef, is_named: bool) -> Result<LogicalPlan> {
        let part = self.part(tree)?;
        let rest: Vec<Expr> = self.graph.conditions.drain(..).map(|condition| condition.expr).collect();
        let plan = filtered(part.plan, rest)?;
        let columns = &self.graph.columns;
        let is_same = |column: &Column| columns.get(column) == Some(column);
        if is_named && schema.columns().iter().all(is_same) {
            return Ok(plan);
        }
        let output = schema.iter().map(|(qualifier, field)| {
            let name = Column::from((qualifier, field));
            let column = columns.get(&name).ok_or_else(|| internal_datafusion_err!("the column {name} was lost"))?;
            let is_same = *column == name;
            let column = Expr::Column(column.clone());
            Ok(if is_same { column } else { column.alias_qualified(qualifier.cloned(), field.name()) })
        });
        let output = output.collect::<Result<Vec<_>>>()?;
        Projection::try_new_with_schema(output, Arc::new(plan), Arc::clone(schema)).map(LogicalPlan::Projection)
    }

    fn part(&mut self, tree: &Tree) -> Result<Part> {
        match tree {
            Tree::Leaf(at) => {
                let relation = &self.graph.relations[*at];
                let plan = relation.plan.as_ref().clone();
                let set = bit(*at);
                // What is asked of a relation that is not joined by an inner join is asked of the join.
                let conditions = if relation.dependent.is_some() { Vec::new() } else { self.conditions(set) };
                Ok(Part { plan: filtered(plan, conditions)?, set })
            }
            Tree::Join(sides) => {
                let (left, right) = (self.part(&sides.0)?, self.part(&sides.1)?);
                self.join(left, right)
            }
        }
    }

    fn join(&mut self, left: Part, right: Part) -> Result<Part> {
        let set = left.set | right.set;
        let dependent = Some(right.set).filter(|set| set.is_power_of_two()).and_then(|set| {
            self.graph.relations.get_mut(set.trailing_zeros() as usize).and_then(|relation| relation.dependent.take())
        });
        if let Some(dependent) = dependent {
            let join = Join::try_new(
                Arc::new(left.plan),
                Arc::new(right.plan),
                dependent.on,
                dependent.filter,
                dependent.join_type,
                JoinConstraint::On,
                dependent.null_equality,
                dependent.null_aware,
            )?;
            let (on, others) = self.equalities(left.set, right.set);
            let on = on.into_iter().map(|(one, other)| one.eq(other)).collect();
            let conditions = [on, others, self.conditions(set)].concat();
            return Ok(Part { plan: filtered(LogicalPlan::Join(join), conditions)?, set });
        }
        let (mut on, others) = self.equalities(left.set, right.set);
        for class in &self.graph.classes {
            if let (Some((_, one)), Some((_, other))) = (class.member_of(left.set), class.member_of(right.set)) {
                on.push((Expr::Column(one.clone()), Expr::Column(other.clone())));
            }
        }
        let conditions = [others, self.conditions(set)].concat();
        let join = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            on,
            conjunction(conditions),
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok(Part { plan: LogicalPlan::Join(join), set })
    }

    /// Takes the equalities that hold from this join on: those between its sides, and others as conditions.
    fn equalities(&mut self, left: Set, right: Set) -> (Vec<(Expr, Expr)>, Vec<Expr>) {
        let (mut on, mut others) = (Vec::new(), Vec::new());
        let all = std::mem::take(&mut self.graph.equalities);
        for Equality { sides, sets } in all {
            let [one, other] = sides.clone();
            let is_in = |part: Set, side: usize| sets[side] & !part == 0;
            if is_in(left, 0) && is_in(right, 1) {
                on.push((one, other));
            } else if is_in(right, 0) && is_in(left, 1) {
                on.push((other, one));
            } else if is_in(left | right, 0) && is_in(left | right, 1) {
                others.push(one.eq(other));
            } else {
                self.graph.equalities.push(Equality { sides, sets });
            }
        }
        (on, others)
    }

    /// Takes the conditions that can be checked when these relations are there.
    fn conditions(&mut self, set: Set) -> Vec<Expr> {
        let is_ready = |condition: &Condition| condition.set != 0 && condition.set & !set == 0;
        let (ready, later) = std::mem::take(&mut self.graph.conditions).into_iter().partition(is_ready);
        self.graph.conditions = later;
        let ready: Vec<Condition> = ready;
        ready.into_iter().map(|condition| condition.expr).collect()
    }
}

fn filtered(plan: LogicalPlan, conditions: Vec<Expr>) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(predicate) => Filter::try_new(predicate, Arc::new(plan)).map(LogicalPlan::Filter),
        None => Ok(plan),
    }
}
