use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::OptimizerConfig;

use super::rule::EachNode;

/// Makes a column of the value in `5 NOT IN (SELECT …)` and `nullif(a, 0) NOT IN (SELECT …)`.
///
/// DataFusion makes an anti join of it. Its operator knows that one null among the sub-select's values leaves no row, but only
/// where the value is a key of the join, and a constant is none. And whether the value can be null DataFusion asks of the columns
/// in it alone; where they cannot, it keeps the rows for which what is computed of them is.
pub(super) const RULE: EachNode = EachNode { name: "computed_not_in", rewrite };

fn rewrite(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(Filter { predicate, input, .. }) = &plan else { return Ok(Transformed::no(plan)) };
    let mut computed = Vec::new();
    let conjuncts: Vec<Expr> = split_conjunction_owned(predicate.clone())
        .into_iter()
        .map(|conjunct| match not_in(conjunct) {
            Ok(InSubquery { expr, subquery, negated })
                if !matches!(*expr, Expr::Column(_)) && !expr.contains_outer() =>
            {
                let name = config.alias_generator().next("__not_in");
                computed.push(expr.alias(name.clone()));
                Expr::InSubquery(InSubquery {
                    expr: Box::new(Expr::Column(Column::from_name(name))),
                    subquery,
                    negated,
                })
            }
            Ok(subquery) => Expr::InSubquery(subquery),
            Err(other) => other,
        })
        .collect();
    if computed.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let columns = || input.schema().columns().into_iter().map(Expr::Column);
    let with_computed = columns().chain(computed);
    let rewritten = LogicalPlanBuilder::from(input.as_ref().clone())
        .project(with_computed.collect::<Vec<_>>())?
        .filter(conjunction(conjuncts).unwrap_or_else(|| predicate.clone()))?
        .project(columns().collect::<Vec<_>>())?
        .build()?;
    Ok(Transformed::yes(rewritten))
}

/// A condition as `NOT IN`, if it is one.
fn not_in(conjunct: Expr) -> std::result::Result<InSubquery, Expr> {
    match conjunct {
        Expr::InSubquery(subquery) if subquery.negated => Ok(subquery),
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(subquery) if !subquery.negated => Ok(InSubquery { negated: true, ..subquery }),
            other => Err(Expr::Not(Box::new(other))),
        },
        other => Err(other),
    }
}
