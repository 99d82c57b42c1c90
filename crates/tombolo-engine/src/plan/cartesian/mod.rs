//! Cartesian products: found in the optimised plan, where every condition has become the key of its join and what is one row
//! is known to be; refused with their size; and mended by the condition that was left out, where something says which.

mod evidence;
mod names;
mod refusal;
mod relation;
mod rewrite;
mod suggest;
mod values;

use std::collections::BTreeSet;
use std::fmt::Write;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, TableReference};
use datafusion::logical_expr::{Join, LogicalPlan};
use serde::{Deserialize, Serialize};

use super::origin::tables_read;
use super::size::{Size, estimate, long, relates};
pub(crate) use refusal::{allowed_notice, change_notice, reasons, refusal, unmended};
pub(crate) use rewrite::{Rewritten, rewritten};
pub(crate) use suggest::{Relations, Suggestion};
pub(crate) use values::{Lookup, Sample, Samples};

/// What was changed in a statement, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementChange {
    /// The statement as it was given, laid out over lines.
    pub before: String,
    /// The statement that runs, laid out alike.
    pub after: String,
    /// Each condition that was added, with what it rests on.
    pub reasons: Vec<String>,
}

/// Rows of which each is joined with each, with no condition between them.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(super) factors: Vec<Factor>,
}

/// One side of a product.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    /// What it reads, by the names of the statement.
    names: Vec<TableReference>,
    /// Those of them that a condition may name without changing which rows an outer join keeps.
    relations: Vec<(TableReference, BTreeSet<String>)>,
    size: Option<Size>,
}

/// The products of a plan that may have more than `max_rows` rows, or that nothing is known of. No more than one row on one
/// side makes no product.
pub(crate) fn products(plan: &LogicalPlan, max_rows: u64) -> Vec<Product> {
    let mut found = Vec::new();
    let mut inner: Vec<*const Join> = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node
            && is_product(join)
            && !inner.contains(&std::ptr::from_ref(join))
        {
            let mut product = Product { factors: Vec::new() };
            product.add(join, &mut inner);
            product.factors.retain(|factor| !factor.size.is_some_and(Size::is_one_row));
            let rows = product.rows();
            if product.factors.len() > 1 && rows.is_none_or(|rows| rows.rows > max_rows as f64) {
                found.push(product);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

impl Product {
    /// Adds the sides of a join, and those of products right below it.
    fn add(&mut self, join: &Join, inner: &mut Vec<*const Join>) {
        for side in [&join.left, &join.right] {
            match product_below(side).filter(|_| join.join_type == JoinType::Inner) {
                Some(below) => {
                    inner.push(std::ptr::from_ref(below));
                    self.add(below, inner);
                }
                None => self.factors.push(Factor::of(side)),
            }
        }
    }

    fn rows(&self) -> Option<Size> {
        // Nothing at all on one side is nothing altogether, whatever the others are.
        if self.factors.iter().any(|factor| factor.size == Some(Size::exact(0.0))) {
            return Some(Size::exact(0.0));
        }
        self.factors.iter().try_fold(Size::ONE, |rows, factor| Some(rows.times(factor.size?)))
    }

    /// `users (3.2M) × orders (12.4M) = 39.7 trillion rows`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for factor in &self.factors {
            if !text.is_empty() {
                text.push_str(" × ");
            }
            text.push_str(&self.name(factor));
            match factor.size {
                Some(size) => {
                    let _ = write!(text, " ({size})");
                }
                None => text.push_str(" (size not known)"),
            }
        }
        if let Some(rows) = self.rows() {
            let _ = write!(text, " = {}{} rows", rows.how.word(), long(rows.rows));
        }
        text
    }

    /// The factors by their names alone: `users and orders`.
    fn names(&self) -> String {
        let names: Vec<String> = self.factors.iter().map(|factor| self.name(factor)).collect();
        names.join(" and ")
    }

    /// A factor's name: the last part of each, or all where two factors would be called alike.
    fn name(&self, factor: &Factor) -> String {
        const SHOWN: usize = 3;
        let all: Vec<&TableReference> = self.factors.iter().flat_map(|factor| &factor.names).collect();
        let mut names: Vec<String> = Vec::new();
        for name in &factor.names {
            let alike = all.iter().filter(|other| other.table() == name.table()).count();
            let name = if alike > 1 { name.to_string() } else { name.table().to_owned() };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.len() {
            0 => "a sub-select".to_owned(),
            1..=SHOWN => names.join(" ⋈ "),
            count => format!("{} and {} more", names[..SHOWN - 1].join(" ⋈ "), count + 1 - SHOWN),
        }
    }
}

impl Factor {
    fn of(plan: &LogicalPlan) -> Self {
        let mut factor = Self { names: Vec::new(), relations: Vec::new(), size: estimate(plan) };
        factor.read(plan, true);
        factor
    }

    /// Takes down what a plan reads. `kept`: no outer join fills it up with nulls, and it is in the scope of the join.
    fn read(&mut self, plan: &LogicalPlan, kept: bool) {
        let mut named = |reference: &TableReference| {
            self.names.push(reference.clone());
            if kept {
                self.relations.push((reference.clone(), tables_read(plan)));
            }
        };
        match plan {
            LogicalPlan::SubqueryAlias(alias) if !is_made_up(&alias.alias) => named(&alias.alias),
            LogicalPlan::TableScan(scan) => named(&scan.table_name),
            LogicalPlan::Join(join) => {
                let (left, right) = match join.join_type {
                    JoinType::Inner => (Some(kept), Some(kept)),
                    JoinType::Left => (Some(kept), Some(false)),
                    JoinType::Right => (Some(false), Some(kept)),
                    JoinType::Full => (Some(false), Some(false)),
                    JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (Some(kept), None),
                    JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (None, Some(kept)),
                };
                for (side, kept) in [(&join.left, left), (&join.right, right)] {
                    if let Some(kept) = kept {
                        self.read(side, kept);
                    }
                }
            }
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => {
                plan.inputs().into_iter().for_each(|input| self.read(input, kept));
            }
            // What is below is not what the joins of a statement name.
            _ => plan.inputs().into_iter().for_each(|input| self.read(input, false)),
        }
    }
}

/// A name that the optimizer made up.
fn is_made_up(reference: &TableReference) -> bool {
    reference.table().starts_with("__")
}

fn product_below(plan: &LogicalPlan) -> Option<&Join> {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner && is_product(join) => Some(join),
        LogicalPlan::Projection(projection) => product_below(&projection.input),
        _ => None,
    }
}

/// Whether a join pairs each row of its sides with each. One that looks for a partner only, as EXISTS does, is none.
fn is_product(join: &Join) -> bool {
    let pairs = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    pairs && join.on.is_empty() && !relates(join)
}

#[cfg(test)]
mod tests;
