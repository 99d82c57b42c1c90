use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Statement, VisitMut, VisitorMut,
};
use tombolo_connector::{Error, ErrorCode, Result};

/// Stands for `IS DISTINCT FROM` between the text and the tree.
pub(super) const DISTINCT: &str = "is_distinct_from";
/// Stands for `IS NOT DISTINCT FROM`.
pub(super) const NOT_DISTINCT: &str = "is_not_distinct_from";
/// The schema of the operators that stand for others.
pub(super) const OPERATORS: &str = "tombolo";

/// Mends what the parser makes of a statement, and refuses what would be planned to a wrong answer.
///
/// The parser takes all that follows `IS DISTINCT FROM` for its right side, `AND` and `OR` with it; so the text carries an
/// operator in its place, which has the right precedence, and is turned back here. DataFusion plans `EXCEPT ALL` and `INTERSECT
/// ALL` as if a row counted once.
pub(super) fn repair(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Repair) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Repair;

impl VisitorMut for Repair {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        match refused_set_operation(&query.body) {
            Some(name) => ControlFlow::Break(
                Error::new(ErrorCode::Unsupported, format!("{name} ALL is not supported")).with_hint(format!(
                    "Write {name}, which gives each row once; or number equal rows with row_number()."
                )),
            ),
            None => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::PGCustomBinaryOperator(name), right } => {
                let [schema, name] = name.as_slice() else { return ControlFlow::Continue(()) };
                let make = match name.as_str() {
                    DISTINCT if schema == OPERATORS => Expr::IsDistinctFrom,
                    NOT_DISTINCT if schema == OPERATORS => Expr::IsNotDistinctFrom,
                    _ => return ControlFlow::Continue(()),
                };
                *expr = make(left.clone(), right.clone());
            }
            Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
                let swallowed = matches!(
                    right.as_ref(),
                    Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor, .. }
                );
                if swallowed {
                    return ControlFlow::Break(
                        Error::new(ErrorCode::Unsupported, "what follows IS DISTINCT FROM is not clear")
                            .with_hint("Put brackets around the comparison: (a IS DISTINCT FROM b) AND …"),
                    );
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn refused_set_operation(body: &SetExpr) -> Option<&'static str> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return None };
    let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    match op {
        SetOperator::Except | SetOperator::Minus if all => Some("EXCEPT"),
        SetOperator::Intersect if all => Some("INTERSECT"),
        _ => refused_set_operation(left).or_else(|| refused_set_operation(right)),
    }
}
