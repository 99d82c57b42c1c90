//! Whole numbers that do not wrap. DataFusion's `+`, `-`, `*` and `sum` on integers go on from the other end where a result does
//! not fit its type, which is a wrong answer without a word; here it is an error that names the operation.
//!
//! After the analyzer has typed a plan, [`CheckedArithmeticRule`] puts a function in place of each such operation, which the
//! optimizer moves about and folds like any other. Sources are offered the operation itself again, by [`plain`].

mod arithmetic;
mod distinct;
mod groups;
mod sum;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, expressions as physical};

pub(crate) use sum::checked_sum;

use super::guards::without_plus_zero;
use arithmetic::{CheckedArithmetic, Operation};

/// Puts checked functions in place of the integer operations of a typed plan.
#[derive(Debug)]
pub(super) struct CheckedArithmeticRule;

impl AnalyzerRule for CheckedArithmeticRule {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                schema.merge(&scan.projected_schema);
            }
            let names = NamePreserver::new(&plan);
            let rewritten = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                // From the top, so that types are asked of DataFusion's own operations: of a function that costs a name at each level.
                let rewritten = expr.transform_down(|expr| checked(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            rewritten.map_data(LogicalPlan::recompute_schema)
        })
        .data()
    }
}

fn checked(expr: Expr, schema: &datafusion::common::DFSchema) -> Result<Transformed<Expr>> {
    let (operation, args) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let operation = match op {
                Operator::Plus => Operation::Add,
                Operator::Minus => Operation::Subtract,
                Operator::Multiply => Operation::Multiply,
                op => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            };
            let data_type = left.get_type(schema)?;
            if !data_type.is_integer() || right.get_type(schema)? != data_type {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
            (operation, vec![*left, *right])
        }
        Expr::Negative(inner) if inner.get_type(schema)?.is_integer() => (Operation::Negate, vec![*inner]),
        other => return Ok(Transformed::no(other)),
    };
    let func = Arc::new(ScalarUDF::new_from_impl(CheckedArithmetic::new(operation)));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
}

/// An expression with its operations in place of the functions that check them: what a source is offered, and what a person
/// reads.
pub(crate) fn plain(expr: &Expr) -> Expr {
    let plain = expr.clone().transform_up(|expr| {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return Ok(Transformed::no(expr)) };
        Ok(match func.inner().downcast_ref::<CheckedArithmetic>() {
            Some(function) => Transformed::yes(function.operation().over(args)),
            None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        })
    });
    plain.map_or_else(|_| expr.clone(), |plain| plain.data)
}

/// As [`plain`], for a person who reads a physical plan.
pub(crate) fn plain_physical(expr: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let plain = Arc::clone(expr).transform_up(|expr| {
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        let checked = function.and_then(|function| function.fun().inner().downcast_ref::<CheckedArithmetic>());
        Ok(match (checked.map(CheckedArithmetic::operation), function.map(ScalarFunctionExpr::args)) {
            (Some(operation), Some([left, right])) => Transformed::yes(Arc::new(physical::BinaryExpr::new(
                Arc::clone(left),
                operation.operator(),
                Arc::clone(right),
            ))),
            (Some(_), Some([inner])) => Transformed::yes(Arc::new(physical::NegativeExpr::new(Arc::clone(inner)))),
            _ => without_plus_zero(&expr).map_or_else(|| Transformed::no(expr), Transformed::yes),
        })
    });
    plain.map_or_else(|_| Arc::clone(expr), |plain| plain.data)
}
