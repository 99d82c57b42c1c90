use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, ExprSchema, JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use crate::pushdown::expressions::{self, is_movable};

/// Relations, a bit each.
pub(super) type Set = u64;

/// So many relations are ordered at the most.
const MOST: usize = 60;

/// What joins join, and the conditions between.
pub(super) struct Graph {
    pub(super) relations: Vec<Relation>,
    /// Columns that all are equal, of a relation each.
    pub(super) classes: Vec<Class>,
    /// Further equalities, as joins have them for keys.
    pub(super) equalities: Vec<Equality>,
    pub(super) conditions: Vec<Condition>,
    /// The order of the statement.
    pub(super) tree: Tree,
    /// The columns of the whole, as columns of relations.
    pub(super) columns: HashMap<Column, Column>,
}

pub(super) struct Relation {
    pub(super) plan: Arc<LogicalPlan>,
    /// The join that it is the right side of, where that is not an inner join.
    pub(super) dependent: Option<Dependent>,
}

/// A relation that others must be joined with before it.
pub(super) struct Dependent {
    pub(super) join_type: JoinType,
    pub(super) on: Vec<(Expr, Expr)>,
    pub(super) filter: Option<Expr>,
    pub(super) null_equality: NullEquality,
    pub(super) null_aware: bool,
    /// Those whose columns its join is about.
    pub(super) needs: Set,
}

#[derive(Debug, Clone)]
pub(super) struct Class {
    pub(super) members: Vec<(usize, Column)>,
}

#[derive(Debug, Clone)]
pub(super) struct Equality {
    pub(super) sides: [Expr; 2],
    pub(super) sets: [Set; 2],
}

#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) expr: Expr,
    pub(super) set: Set,
}

#[derive(Debug, Clone)]
pub(super) enum Tree {
    Leaf(usize),
    Join(Box<(Tree, Tree)>),
}

impl Tree {
    pub(super) fn join(left: Self, right: Self) -> Self {
        Self::Join(Box::new((left, right)))
    }
}

impl Class {
    pub(super) fn set(&self) -> Set {
        self.members.iter().fold(0, |set, (relation, _)| set | bit(*relation))
    }

    /// A member among these relations.
    pub(super) fn member_of(&self, set: Set) -> Option<&(usize, Column)> {
        self.members.iter().find(|(relation, _)| set & bit(*relation) != 0)
    }
}

pub(super) fn bit(relation: usize) -> Set {
    1 << relation
}

/// A part of the plan that was taken apart.
struct Part {
    tree: Tree,
    set: Set,
    /// Its columns as columns of relations.
    columns: HashMap<Column, Column>,
}

impl Graph {
    /// Takes a plan apart, where it is of joins of three relations or more.
    pub(super) fn of(plan: &LogicalPlan) -> Option<Self> {
        if !is_joined(plan) {
            return None;
        }
        let mut taking = Taking::default();
        let part = taking.part(plan)?;
        if taking.relations.len() < 3 {
            return None;
        }
        let Taking { relations, equalities, conditions, .. } = taking;
        let (classes, equalities) = classes(&relations, equalities);
        Some(Self { relations, classes, equalities, conditions, tree: part.tree, columns: part.columns })
    }
}

/// Whether a plan is a join that can be taken apart, with nothing but conditions and names above it.
fn is_joined(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => is_taken_apart(join),
        LogicalPlan::Filter(filter) => is_movable(&filter.predicate) && is_joined(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_joined(&alias.input),
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| column(expr).is_some()) && is_joined(&projection.input)
        }
        _ => false,
    }
}

fn is_taken_apart(join: &Join) -> bool {
    let is_movable = join.on.iter().flat_map(|(left, right)| [left, right]).chain(&join.filter).all(is_movable);
    is_movable
        && match join.join_type {
            JoinType::Inner => join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => true,
            _ => false,
        }
}

/// The column that an expression is, under whatever name.
fn column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column(&alias.expr),
        _ => None,
    }
}

#[derive(Default)]
struct Taking {
    relations: Vec<Relation>,
    owners: HashMap<Column, usize>,
    equalities: Vec<Equality>,
    conditions: Vec<Condition>,
}

impl Taking {
    fn part(&mut self, plan: &LogicalPlan) -> Option<Part> {
        if !is_joined(plan) {
            return self.relation(plan, None);
        }
        match plan {
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => self.inner(join),
            LogicalPlan::Join(join) => self.dependent(join),
            LogicalPlan::Filter(filter) => {
                let part = self.part(&filter.input)?;
                self.conditions(&filter.predicate, &part.columns)?;
                Some(part)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let part = self.part(&alias.input)?;
                let names = alias.schema.columns().into_iter().zip(alias.input.schema().columns());
                let columns = names.map(|(name, below)| Some((name, part.columns.get(&below)?.clone())));
                Some(Part { columns: columns.collect::<Option<_>>()?, ..part })
            }
            LogicalPlan::Projection(projection) => {
                let part = self.part(&projection.input)?;
                let names = projection.schema.columns().into_iter().zip(&projection.expr);
                let columns = names.map(|(name, expr)| Some((name, part.columns.get(column(expr)?)?.clone())));
                Some(Part { columns: columns.collect::<Option<_>>()?, ..part })
            }
            _ => None,
        }
    }

    /// A relation that is joined as it is. None where its columns could be taken for those of another.
    fn relation(&mut self, plan: &LogicalPlan, dependent: Option<Dependent>) -> Option<Part> {
        let at = self.relations.len();
        let columns = plan.schema().columns();
        let is_alike = |column: &Column| {
            self.owners.keys().any(|known| {
                known.name == column.name
                    && (known.relation == column.relation || known.relation.is_none() || column.relation.is_none())
            })
        };
        if at == MOST || columns.iter().any(is_alike) {
            return None;
        }
        self.owners.extend(columns.iter().map(|column| (column.clone(), at)));
        self.relations.push(Relation { plan: Arc::new(plan.clone()), dependent });
        let columns = columns.into_iter().map(|column| (column.clone(), column)).collect();
        Some(Part { tree: Tree::Leaf(at), set: bit(at), columns })
    }

    fn inner(&mut self, join: &Join) -> Option<Part> {
        let mut left = self.part(&join.left)?;
        let right = self.part(&join.right)?;
        for (one, other) in &join.on {
            let sides = [renamed(one, &left.columns)?, renamed(other, &right.columns)?];
            let sets = [self.set(&sides[0])?, self.set(&sides[1])?];
            if sets.contains(&0) {
                let [one, other] = sides;
                self.conditions.push(Condition { expr: one.eq(other), set: sets[0] | sets[1] });
            } else {
                self.equalities.push(Equality { sides, sets });
            }
        }
        left.columns.extend(right.columns);
        if let Some(filter) = &join.filter {
            self.conditions(filter, &left.columns)?;
        }
        Some(Part { tree: Tree::join(left.tree, right.tree), set: left.set | right.set, columns: left.columns })
    }

    fn dependent(&mut self, join: &Join) -> Option<Part> {
        let mut left = self.part(&join.left)?;
        let right = self.relation(&join.right, None)?;
        let on = join.on.iter().map(|(one, other)| Some((renamed(one, &left.columns)?, other.clone())));
        let on: Vec<(Expr, Expr)> = on.collect::<Option<_>>()?;
        let mut both = left.columns.clone();
        both.extend(right.columns.clone());
        let filter = match &join.filter {
            Some(filter) => Some(renamed(filter, &both)?),
            None => None,
        };
        let mut needs = 0;
        for expr in on.iter().map(|(one, _)| one).chain(&filter) {
            needs |= self.set(expr)?;
        }
        needs &= left.set;
        // A join about no column of the others is about all of them.
        let needs = if needs == 0 { left.set } else { needs };
        if join.join_type == JoinType::Left {
            left.columns.extend(right.columns);
        }
        self.relations.last_mut()?.dependent = Some(Dependent {
            join_type: join.join_type,
            on,
            filter,
            null_equality: join.null_equality,
            null_aware: join.null_aware,
            needs,
        });
        Some(Part { tree: Tree::join(left.tree, right.tree), set: left.set | right.set, columns: left.columns })
    }

    fn conditions(&mut self, predicate: &Expr, columns: &HashMap<Column, Column>) -> Option<()> {
        for expr in split_conjunction(predicate) {
            let expr = renamed(expr, columns)?;
            let set = self.set(&expr)?;
            self.conditions.push(Condition { expr, set });
        }
        Some(())
    }

    /// The relations whose columns an expression reads.
    fn set(&self, expr: &Expr) -> Option<Set> {
        expr.column_refs().into_iter().try_fold(0, |set, column| Some(set | bit(*self.owners.get(column)?)))
    }
}

/// An expression over the columns of relations. None where a column is not known by its full name.
fn renamed(expr: &Expr, columns: &HashMap<Column, Column>) -> Option<Expr> {
    expressions::renamed(expr, |column| columns.get(column).cloned().map(Expr::Column)).ok().flatten()
}

/// Brings equal columns together, so that a join may use any of them; the equalities that are left.
fn classes(relations: &[Relation], equalities: Vec<Equality>) -> (Vec<Class>, Vec<Equality>) {
    let mut classes: Vec<(Class, Vec<Equality>)> = Vec::new();
    let mut others = Vec::new();
    for equality in equalities {
        let members = [0, 1].map(|side| member(relations, &equality, side));
        let [Some((one, one_type)), Some((other, other_type))] = members else {
            others.push(equality);
            continue;
        };
        if one_type != other_type {
            others.push(equality);
            continue;
        }
        let mut joined = (Class { members: vec![one, other] }, vec![equality]);
        let (touched, apart): (Vec<_>, Vec<_>) = classes
            .into_iter()
            .partition(|(class, _)| class.members.iter().any(|member| joined.0.members.contains(member)));
        classes = apart;
        for (class, equalities) in touched {
            let new = class.members.into_iter().filter(|member| !joined.0.members.contains(member));
            let new: Vec<_> = new.collect();
            joined.0.members.extend(new);
            joined.1.extend(equalities);
        }
        classes.push(joined);
    }
    // Two columns of one relation in a class are equal to each other only where a join of it says so.
    let (whole, broken): (Vec<_>, Vec<_>) =
        classes.into_iter().partition(|(class, _)| class.set().count_ones() as usize == class.members.len());
    others.extend(broken.into_iter().flat_map(|(_, equalities)| equalities));
    (whole.into_iter().map(|(class, _)| class).collect(), others)
}

type Member = ((usize, Column), datafusion::arrow::datatypes::DataType);

/// A side of an equality, where it is a column of a relation that is joined by inner joins.
fn member(relations: &[Relation], equality: &Equality, side: usize) -> Option<Member> {
    let Expr::Column(column) = &equality.sides[side] else { return None };
    let at = equality.sets[side].trailing_zeros() as usize;
    let relation = relations.get(at).filter(|relation| relation.dependent.is_none())?;
    let field = relation.plan.schema().field_from_column(column).ok()?;
    Some(((at, column.clone()), field.data_type().clone()))
}
