//! Decimals that are added at one scale.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::guards::each_expression;

/// Gives a constant that a decimal is added to or taken from the decimal's scale: `1 - discount` is `1.00 - discount`. The result is of the
/// same type; Arrow multiplies every value on both sides by a power of ten, with a check, where the scales differ.
pub(crate) fn equal_scales(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !has_sums_with_decimals(&plan)? {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    each_expression(plan, |expr| rescaled(expr, &schema))
}

fn has_sums_with_decimals(plan: &LogicalPlan) -> Result<bool> {
    let is_decimal = |side: &Expr| matches!(side, Expr::Literal(ScalarValue::Decimal128(Some(_), ..), _));
    let mut found = false;
    plan.apply_expressions(|expr| {
        found |= expr.exists(|expr| {
            Ok(match expr {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) => {
                    is_decimal(left) || is_decimal(right)
                }
                _ => false,
            })
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn rescaled(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let rewritten = match (left.as_ref(), right.as_ref()) {
        (Expr::Literal(..), _) => at_scale_of(&left, &right, schema)?.map(|left| (Box::new(left), right.clone())),
        (_, Expr::Literal(..)) => at_scale_of(&right, &left, schema)?.map(|right| (left.clone(), Box::new(right))),
        _ => None,
    };
    Ok(match rewritten {
        Some((left, right)) => Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    })
}

/// A decimal constant at the larger scale of another expression; `None` where it has no smaller one or does not fit.
fn at_scale_of(constant: &Expr, other: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), metadata) = constant else {
        return Ok(None);
    };
    let DataType::Decimal128(_, wanted) = other.get_type(schema)? else { return Ok(None) };
    let Some(more) = wanted.checked_sub(*scale).filter(|more| *more > 0) else { return Ok(None) };
    let precision = precision.saturating_add(more.unsigned_abs());
    let value = 10_i128.checked_pow(more.unsigned_abs().into()).and_then(|power| value.checked_mul(power));
    let constant = value.filter(|_| precision <= DECIMAL128_MAX_PRECISION);
    Ok(constant.map(|value| Expr::Literal(ScalarValue::Decimal128(Some(value), precision, wanted), metadata.clone())))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn decimal(value: i128, precision: u8, scale: i8) -> Expr {
        lit(ScalarValue::Decimal128(Some(value), precision, scale))
    }

    fn schema() -> DFSchema {
        let field = Field::new("d", DataType::Decimal128(15, 2), true);
        DFSchema::from_unqualified_fields(vec![field].into(), Default::default()).unwrap()
    }

    fn changed(expr: Expr) -> Option<Expr> {
        let before = expr.get_type(&schema()).unwrap();
        let rewritten = rescaled(expr, &schema()).unwrap();
        assert_eq!(rewritten.data.get_type(&schema()).unwrap(), before);
        rewritten.transformed.then_some(rewritten.data)
    }

    #[test]
    fn a_constant_is_taken_to_the_scale_of_a_decimal_where_it_fits() {
        assert_eq!(changed(decimal(1, 20, 0) - col("d")), Some(decimal(100, 22, 2) - col("d")));
        assert_eq!(changed(col("d") + decimal(-15, 3, 1)), Some(col("d") + decimal(-150, 4, 2)));
        // At its scale, at a larger one, not added, a null, too long.
        for kept in [
            col("d") - decimal(100, 5, 2),
            col("d") - decimal(1, 5, 4),
            col("d") * decimal(1, 20, 0),
            col("d") + lit(ScalarValue::Decimal128(None, 20, 0)),
            col("d") + decimal(1, 37, 0),
            col("d") + decimal(i128::MAX / 10, 36, 0),
        ] {
            assert_eq!(changed(kept.clone()), None, "{kept}");
        }
    }
}
