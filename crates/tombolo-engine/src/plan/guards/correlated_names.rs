use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::rule::each_expression;

/// Gives the columns that conditions of a sub-select compare with the outer query names that no other column of it has.
///
/// DataFusion makes a join of the sub-select, under one new name, and calls each such column by its own name there. Of two
/// tables' columns of one name, both conditions then are of the first: `EXISTS (SELECT 1 FROM a JOIN b ON … WHERE a.id = o.x AND b.id = o.y)`
/// compared `a.id` with both, and `SELECT 9 AS k FROM t WHERE t.k = o.k` failed.
///
/// Done once: conditions that cannot become those of a join are later moved to where tables have other names.
#[derive(Debug)]
pub struct CorrelatedNamesRule;

impl AnalyzerRule for CorrelatedNamesRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite)?.data)
    }

    fn name(&self) -> &'static str {
        "correlated_names"
    }
}

fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Subquery(subquery) = &plan {
        return Ok(match named_apart(subquery)? {
            Some(subquery) => Transformed::yes(LogicalPlan::Subquery(subquery)),
            None => Transformed::no(plan),
        });
    }
    each_expression(plan, |expr| {
        let subquery = match &expr {
            Expr::Exists(Exists { subquery, .. })
            | Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::SetComparison(SetComparison { subquery, .. })
            | Expr::ScalarSubquery(subquery) => subquery,
            _ => return Ok(Transformed::no(expr)),
        };
        let Some(subquery) = named_apart(subquery)? else { return Ok(Transformed::no(expr)) };
        Ok(Transformed::yes(match expr {
            Expr::Exists(exists) => Expr::Exists(Exists { subquery, ..exists }),
            Expr::InSubquery(within) => Expr::InSubquery(InSubquery { subquery, ..within }),
            Expr::SetComparison(compared) => Expr::SetComparison(SetComparison { subquery, ..compared }),
            _ => Expr::ScalarSubquery(subquery),
        }))
    })
}

/// The sub-select with its correlated columns under names of their own, where two columns of it would be taken for one.
fn named_apart(subquery: &Subquery) -> Result<Option<Subquery>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let plan = &subquery.subquery;
    let mut correlated = BTreeSet::new();
    let mut named = BTreeSet::new();
    plan.apply(|node| {
        match node {
            LogicalPlan::Filter(filter) => {
                for condition in split_conjunction(&filter.predicate).into_iter().filter(|part| part.contains_outer()) {
                    correlated.extend(condition.column_refs().into_iter().cloned());
                }
            }
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => named.extend(node.schema().columns()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    named.extend(correlated.iter().cloned());
    let is_taken = |column: &&Column| named.iter().any(|other| other != *column && other.name == column.name);
    let taken: BTreeSet<Column> = correlated.iter().filter(is_taken).cloned().collect();
    if taken.is_empty() {
        return Ok(None);
    }
    let width = plan.schema().fields().len();
    let renamed = with_renamed(plan.as_ref().clone(), &taken)?;
    // What its readers count the columns of keeps their names.
    let is_shielded = renamed.data.schema().fields().len() == width;
    Ok(is_shielded.then(|| Subquery { subquery: Arc::new(renamed.data), ..subquery.clone() }))
}

fn with_renamed(plan: LogicalPlan, taken: &BTreeSet<Column>) -> Result<Transformed<LogicalPlan>> {
    let below = plan.map_children(|input| with_renamed(input, taken))?;
    if let LogicalPlan::Filter(filter) = &below.data
        && let Some(renamed) = over_renamed(filter, taken)?
    {
        return Ok(Transformed::yes(renamed));
    }
    if below.transformed { below.map_data(LogicalPlan::recompute_schema) } else { Ok(below) }
}

/// The filter over its input with further columns, which its correlated conditions are of.
fn over_renamed(filter: &Filter, taken: &BTreeSet<Column>) -> Result<Option<LogicalPlan>> {
    let (correlated, others): (Vec<_>, Vec<_>) =
        split_conjunction(&filter.predicate).into_iter().cloned().partition(Expr::contains_outer);
    let own: BTreeSet<&Column> =
        correlated.iter().flat_map(Expr::column_refs).filter(|column| taken.contains(*column)).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let columns = filter.input.schema().columns().into_iter().map(Expr::Column);
    let further = own.iter().map(|column| Expr::Column((*column).clone()).alias(own_name(column)));
    let input = LogicalPlanBuilder::from(filter.input.as_ref().clone()).project(columns.chain(further))?.build()?;
    let correlated = correlated.iter().cloned().map(|condition| {
        let renamed = condition.transform_up(|expr| {
            Ok(match expr {
                Expr::Column(column) if own.contains(&column) => {
                    Transformed::yes(Expr::Column(Column::new_unqualified(own_name(&column))))
                }
                other => Transformed::no(other),
            })
        });
        renamed.map(|renamed| renamed.data)
    });
    let predicates = others.into_iter().map(Ok).chain(correlated).collect::<Result<Vec<_>>>()?;
    let Some(predicate) = conjunction(predicates) else { return Ok(None) };
    Ok(Some(LogicalPlanBuilder::from(input).filter(predicate)?.build()?))
}

fn own_name(column: &Column) -> String {
    match &column.relation {
        Some(relation) => format!("{} of {relation}", column.name),
        None => format!("{} of the sub-select", column.name),
    }
}
