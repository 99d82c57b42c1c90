use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Writes `x IN (a, b)` as `x = a OR x = b` where an item of the list is computed from columns.
///
/// DataFusion finds out whether a list is constant by computing it for no rows at all. A CASE gives a constant then, and is taken
/// for one: null in every row.
#[derive(Debug)]
pub struct InListRule;

impl AnalyzerRule for InListRule {
    fn name(&self) -> &str {
        "in_list"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let written = expr.transform_up(|expr| Ok(as_comparisons(expr)))?;
                Ok(written.update_data(|expr| name.restore(expr)))
            })
        })
        .data()
    }
}

fn as_comparisons(expr: Expr) -> Transformed<Expr> {
    let Expr::InList(InList { expr, list, negated }) = expr else { return Transformed::no(expr) };
    let is_computed = |item: &Expr| {
        !matches!(item, Expr::Column(_) | Expr::OuterReferenceColumn(..))
            && (item.any_column_refs() || item.contains_outer())
    };
    if !list.iter().any(is_computed) {
        return Transformed::no(Expr::InList(InList { expr, list, negated }));
    }
    let comparisons = list.iter().map(|item| expr.as_ref().clone().eq(item.clone()));
    match disjunction(comparisons) {
        Some(any) if negated => Transformed::yes(Expr::Not(Box::new(any))),
        Some(any) => Transformed::yes(any),
        None => Transformed::no(Expr::InList(InList { expr, list, negated })),
    }
}
