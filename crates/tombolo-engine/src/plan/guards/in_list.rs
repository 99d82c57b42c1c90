use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::rule::each_expression;

/// Writes `x IN (a, b)` as `x = a OR x = b` where an item of the list is computed, and `x IN (a, NULL)` as `x IN (a) OR NULL`.
///
/// DataFusion finds out whether a list is constant by computing it for no rows at all. A CASE gives a constant then, and is taken
/// for one: null in every row. And where two lists of one column meet in a condition it makes one list of them, as if a null
/// among the items were a value like others: `x IN (1, 2) AND x NOT IN (3, NULL)`, which is never true, becomes `x IN (1, 2)`.
#[derive(Debug)]
pub struct InListRule;

impl AnalyzerRule for InListRule {
    fn name(&self) -> &str {
        "in_list"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| each_expression(plan, |expr| Ok(as_comparisons(expr)))).data()
    }
}

fn as_comparisons(expr: Expr) -> Transformed<Expr> {
    let Expr::InList(InList { expr, list, negated }) = expr else { return Transformed::no(expr) };
    let (nulls, items): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_null);
    let is_computed = |item: &Expr| {
        !matches!(without_casts(item), Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::Literal(..))
    };
    if nulls.is_empty() && !items.iter().any(is_computed) {
        return Transformed::no(Expr::InList(InList { expr, list: items, negated }));
    }
    let any = if items.iter().any(is_computed) {
        disjunction(items.into_iter().map(|item| expr.as_ref().clone().eq(item)))
    } else {
        Some(Expr::InList(InList { expr, list: items, negated: false })).filter(has_items)
    };
    let null = (!nulls.is_empty()).then(|| Expr::Literal(ScalarValue::Boolean(None), None));
    // The list had an item, so that one of both is there.
    let found =
        disjunction(any.into_iter().chain(null)).unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None));
    Transformed::yes(if negated { Expr::Not(Box::new(found)) } else { found })
}

fn has_items(expr: &Expr) -> bool {
    matches!(expr, Expr::InList(list) if !list.list.is_empty())
}

fn is_null(item: &Expr) -> bool {
    matches!(without_casts(item), Expr::Literal(value, _) if value.is_null())
}

fn without_casts(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => without_casts(&cast.expr),
        other => other,
    }
}
