use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use tombolo_connector::{Scan, ScanJoin};

use super::block::{Block, From, JoinStep, RowSource, StepKind};
use super::compile::{Compiler, retype};
use super::dialect::Comparison;
use super::expression::Scope;
use super::value::{Level, Shipped, Value};

impl Compiler<'_> {
    pub(super) fn join(&mut self, join: &ScanJoin) -> Shipped<Block> {
        let left = self.block(&join.left, None)?;
        let right = self.block(&join.right, None)?;
        let (mut left, mut right) = (self.joinable(left), self.joinable(right));
        let mut block = match join.join_type {
            JoinType::Inner => self.inner(join, left, right)?,
            JoinType::Left => {
                right = self.null_supplying(right);
                let conditions = self.conditions(join, &left, &right)?;
                let items = both(&left, &right);
                joined(left, right, StepKind::Left, conditions, items)?
            }
            JoinType::Right => {
                left = self.null_supplying(left);
                let conditions = self.conditions(join, &left, &right)?;
                let items = both(&left, &right);
                joined(right, left, StepKind::Left, conditions, items)?
            }
            JoinType::Full => {
                self.dialect.full_join(join)?;
                if !left.filters.is_empty() {
                    left = self.wrap(left, false);
                }
                if !(right.is_bare_relation() && right.filters.is_empty()) {
                    right = self.wrap(right, false);
                }
                if left.items.iter().any(|item| item.column.is_none()) {
                    left = self.wrap(left, false);
                }
                let conditions = self.conditions(join, &left, &right)?;
                let items = both(&left, &right);
                joined(left, right, StepKind::Full, conditions, items)?
            }
            JoinType::LeftSemi => self.exists(join, left, right, Existence::Required)?,
            JoinType::LeftAnti if join.null_aware => self.not_in(join, left, right)?,
            JoinType::LeftAnti => self.exists(join, left, right, Existence::Forbidden)?,
            JoinType::LeftMark => self.exists(join, left, right, Existence::Marked)?,
            JoinType::RightSemi => self.exists(join, left, right, Existence::Required)?,
            JoinType::RightAnti if join.null_aware => {
                return Err("NOT IN with its sides exchanged is computed here".to_owned());
            }
            JoinType::RightAnti => self.exists(join, left, right, Existence::Forbidden)?,
            JoinType::RightMark => self.exists(join, left, right, Existence::Marked)?,
        };
        retype(&mut block.items, &join.schema);
        Ok(block)
    }

    /// Prints the conditions for a pair of rows to match: one for each key pair, then the further condition.
    pub(super) fn conditions(&self, join: &ScanJoin, left: &Block, right: &Block) -> Shipped<Vec<Value>> {
        let mut conditions = Vec::with_capacity(join.on.len() + 1);
        for at in 0..join.on.len() {
            conditions.push(self.key_pair(join, at, &left.items, &right.items)?);
        }
        if let Some(condition) = &join.condition {
            let scope = Scope::new(join.left.schema(), &left.items).and(join.right.schema(), &right.items);
            for condition in split_conjunction(condition) {
                conditions.push(self.printer().truth(condition, &scope)?);
            }
        }
        Ok(conditions)
    }

    pub(super) fn key_pair(&self, join: &ScanJoin, at: usize, left: &[Value], right: &[Value]) -> Shipped {
        let (left_key, right_key) = join.on.get(at).ok_or_else(|| format!("the join has no key pair {at}"))?;
        let left = self.printer().expression(left_key, &Scope::new(join.left.schema(), left))?;
        let right = self.printer().expression(right_key, &Scope::new(join.right.schema(), right))?;
        let operator = match join.null_equality {
            NullEquality::NullEqualsNothing => Operator::Eq,
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
        };
        self.printer().compare(&left, operator, &right)
    }

    /// Makes a block one that can stand in a join: a FROM clause with at most filters. Its order is forgotten.
    fn joinable(&mut self, block: Block) -> Block {
        let mut block = if block.is_plain() { block } else { self.wrap(block, false) };
        block.order.clear();
        block
    }

    /// Makes a block one that a left join may follow with nulls: one relation, whose columns come out as they are, since a
    /// computed column would be computed from the nulls.
    fn null_supplying(&mut self, block: Block) -> Block {
        if block.is_bare_relation() { block } else { self.wrap(block, false) }
    }

    fn inner(&mut self, join: &ScanJoin, left: Block, right: Block) -> Shipped<Block> {
        // A full join keeps the unmatched rows of all that stands before it, so nothing may be put there.
        let full = matches!(&right.source, RowSource::From(from) if from.has_full_join());
        let right = if full { self.wrap(right, false) } else { right };
        let conditions = self.conditions(join, &left, &right)?;
        let items = both(&left, &right);
        let (mut left_from, right_from) = (from_clause(left.source)?, from_clause(right.source)?);
        let mut filters = left.filters;
        filters.extend(right.filters);
        // Where the right side is itself a join, the conditions may name relations that come only after its first.
        let on = if right_from.steps.is_empty() {
            conditions
        } else {
            filters.extend(conditions);
            Vec::new()
        };
        left_from.steps.push(JoinStep { kind: StepKind::Inner, relation: right_from.first, on });
        left_from.steps.extend(right_from.steps);
        Ok(Block { filters, ..Block::new(RowSource::From(left_from), items) })
    }

    /// A semi, anti or mark join, as a condition on whether the other side has a matching row.
    fn exists(&mut self, join: &ScanJoin, left: Block, right: Block, existence: Existence) -> Shipped<Block> {
        let conditions = self.conditions(join, &left, &right)?;
        let swapped = matches!(join.join_type, JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark);
        let (mut kept, mut tested) = if swapped { (right, left) } else { (left, right) };
        let schema = if swapped { join.right.schema() } else { join.left.schema() };
        let keys = join.on.iter().map(|(left, right)| if swapped { right } else { left });
        let is_correlated = keys.chain(&join.condition).flat_map(Expr::column_refs).any(|column| {
            let item = schema.maybe_index_of_column(column).and_then(|index| kept.items.get(index));
            item.is_some_and(|item| item.literal.is_none())
        });
        tested.filters.extend(conditions);
        let test = self.dialect.exists(&tested.select(self.dialect, &[]), is_correlated);
        match existence {
            Existence::Required => kept.filters.push(Value::predicate(test, Level::Atom)),
            Existence::Forbidden => kept.filters.push(Value::predicate(format!("NOT {test}"), Level::Not)),
            Existence::Marked => kept.items.push(Value::predicate(test, Level::Atom)),
        }
        Ok(kept)
    }

    /// A left anti join in which one null on the right leaves no row: NOT IN.
    fn not_in(&mut self, join: &ScanJoin, mut left: Block, right: Block) -> Shipped<Block> {
        let [(left_key, right_key)] = join.on.as_slice() else {
            return Err("NOT IN over several columns is computed here".to_owned());
        };
        if join.condition.is_some() || join.null_equality == NullEquality::NullEqualsNull {
            return Err("NOT IN with a further condition is computed here".to_owned());
        }
        if !is_of_a_column(&join.right, right_key) {
            // MySQL 5.7 asks for a constant once, and takes its NULL for a value from the second row on.
            return Err("NOT IN over a constant is computed here".to_owned());
        }
        let key = self.printer().expression(left_key, &Scope::new(join.left.schema(), &left.items))?;
        let tested = self.printer().expression(right_key, &Scope::new(join.right.schema(), &right.items))?;
        // Refuses what cannot be compared; the text is not needed.
        self.printer().compare(&key, Operator::Eq, &tested)?;
        let tested = Value { sql: self.dialect.comparable(&tested, Comparison::Equality)?, column: None, ..tested };
        let key = self.dialect.comparable(&key, Comparison::Equality)?;
        let test = format!("{key} NOT IN ({})", right.select(self.dialect, &[(&tested, None)]));
        left.filters.push(Value::predicate(test, Level::Compare));
        Ok(left)
    }
}

/// Whether a value comes of a column of a table, or of groups of rows, and not of constants alone.
fn is_of_a_column(scan: &Scan, value: &Expr) -> bool {
    value
        .column_refs()
        .iter()
        .any(|column| scan.schema().maybe_index_of_column(column).is_some_and(|index| is_a_column(scan, index)))
}

fn is_a_column(scan: &Scan, index: usize) -> bool {
    match scan {
        Scan::Table(_) => true,
        Scan::Filter { input, .. }
        | Scan::Sort { input, .. }
        | Scan::Limit { input, .. }
        | Scan::Alias { input, .. } => is_a_column(input, index),
        Scan::Project { input, exprs, .. } => exprs.get(index).is_some_and(|value| is_of_a_column(input, value)),
        Scan::Window { input, .. } => index >= input.schema().fields().len() || is_a_column(input, index),
        Scan::Aggregate(aggregate) => {
            aggregate.group.get(index).is_none_or(|value| is_of_a_column(&aggregate.input, value))
        }
        Scan::Union { inputs, .. } => inputs.iter().all(|input| is_a_column(input, index)),
        Scan::Join(join) => {
            let first = match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => &join.right,
                _ => &join.left,
            };
            let width = first.schema().fields().len();
            match join.join_type {
                _ if index < width => is_a_column(first, index),
                JoinType::LeftMark | JoinType::RightMark => true,
                _ => is_a_column(&join.right, index - width),
            }
        }
    }
}

enum Existence {
    Required,
    Forbidden,
    Marked,
}

fn both(left: &Block, right: &Block) -> Vec<Value> {
    left.items.iter().chain(&right.items).cloned().collect()
}

fn from_clause(source: RowSource) -> Shipped<From> {
    match source {
        RowSource::From(from) => Ok(from),
        RowSource::Union(_) => Err("a union cannot stand in a join as it is".to_owned()),
    }
}

/// Joins one relation to a FROM clause so that unmatched rows are kept. The relation's own filters decide which of its
/// rows there are to match, so they belong to the condition; those of the kept side stay where they are.
fn joined(kept: Block, other: Block, kind: StepKind, conditions: Vec<Value>, items: Vec<Value>) -> Shipped<Block> {
    let mut from = from_clause(kept.source)?;
    let relation = from_clause(other.source)?.first;
    let on = other.filters.into_iter().chain(conditions).collect();
    from.steps.push(JoinStep { kind, relation, on });
    Ok(Block { filters: kept.filters, ..Block::new(RowSource::From(from), items) })
}
