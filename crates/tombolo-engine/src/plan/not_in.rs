use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use tombolo_connector::{Error, ErrorCode, Result};

use crate::error::from_datafusion;

/// Refuses `IN (SELECT …)` where DataFusion's rewrite would answer false for what SQL calls unknown, and the difference shows.
///
/// A condition of its own keeps three values: `x IN (…)`, and `x NOT IN (…)` without columns of the outer query. Deeper in an
/// expression the rewrite has only true and false. That is as good below AND and OR, since a filter drops unknown as it drops
/// false, but not below NOT, in CASE, in a select list or the like. Where neither side can be null, there is no unknown.
///
/// # Errors
/// [`ErrorCode::Unsupported`] with the way to write it.
pub(super) fn refuse_lost_unknowns(plan: &LogicalPlan) -> Result<()> {
    let mut lost = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            for conjunct in split_conjunction(&filter.predicate) {
                find(conjunct, Place::Conjunct, node, &mut lost)?;
            }
        } else {
            for expr in node.expressions() {
                find(&expr, Place::Value, node, &mut lost)?;
            }
        }
        Ok(if lost.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(from_datafusion)?;
    match lost {
        None => Ok(()),
        Some(text) => Err(Error::new(ErrorCode::Unsupported, format!("{text} (SELECT …) is used where a null could make its answer wrong"))
            .with_detail("with a null on either side, NOT IN is neither true nor false, which is lost in this place")
            .with_hint("Make it a condition of its own, joined by AND; or write NOT EXISTS (SELECT … WHERE …), and say with IS NOT NULL what a null means.")),
    }
}

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It is a whole condition of a filter.
    Conjunct,
    /// It is joined to others by AND and OR alone, in a filter.
    Positive,
    /// Its value itself matters.
    Value,
}

fn find(expr: &Expr, place: Place, node: &LogicalPlan, lost: &mut Option<String>) -> datafusion::common::Result<()> {
    match expr {
        Expr::InSubquery(subquery) => {
            let sound = match place {
                Place::Conjunct => !subquery.negated || subquery.subquery.outer_ref_columns.is_empty(),
                Place::Positive => !subquery.negated,
                Place::Value => false,
            };
            if !sound && can_be_unknown(subquery, node) {
                *lost = Some(format!("{} {}", subquery.expr, if subquery.negated { "NOT IN" } else { "IN" }));
            }
            Ok(())
        }
        Expr::Not(inner) if place == Place::Conjunct && matches!(inner.as_ref(), Expr::InSubquery(_)) => {
            let Expr::InSubquery(subquery) = inner.as_ref() else { return Ok(()) };
            let flipped = InSubquery { negated: !subquery.negated, ..subquery.clone() };
            find(&Expr::InSubquery(flipped), place, node, lost)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) if place != Place::Value => {
            find(left, Place::Positive, node, lost)?;
            find(right, Place::Positive, node, lost)
        }
        other => {
            other.apply_children(|child| {
                find(child, Place::Value, node, lost)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(())
        }
    }
}

fn can_be_unknown(subquery: &InSubquery, node: &LogicalPlan) -> bool {
    // A column of an outer query is not in the input's schema; what is not known may be null.
    let input = node.inputs().first().copied();
    let nullable_value = input.is_none_or(|input| subquery.expr.nullable(input.schema()).unwrap_or(true));
    let nullable_list = subquery.subquery.subquery.schema().fields().iter().any(|field| field.is_nullable());
    nullable_value || nullable_list
}
