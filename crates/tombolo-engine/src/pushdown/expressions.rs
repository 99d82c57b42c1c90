use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::Expr;

/// Whether it does not matter for which rows, and how often, an expression is computed.
pub(super) fn is_movable(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)));
    !expr.is_volatile() && !expr.exists(is_subquery).unwrap_or(true)
}

/// An expression over the columns below; none where one of its columns is not there.
pub(super) fn renamed(expr: &Expr, below: impl Fn(&Column) -> Option<Expr>) -> Result<Option<Expr>> {
    if expr.column_refs().into_iter().any(|column| below(column).is_none()) {
        return Ok(None);
    }
    let renamed = expr.clone().transform(|expr| {
        Ok(match &expr {
            Expr::Column(column) => match below(column) {
                Some(other) if other != expr => Transformed::yes(other),
                _ => Transformed::no(expr),
            },
            _ => Transformed::no(expr),
        })
    })?;
    Ok(Some(renamed.data))
}
