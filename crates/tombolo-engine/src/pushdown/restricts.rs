//! Which columns a condition restricts to chosen values or to a range of them.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, Like, Operator};

/// The columns, as positions in the schema, that must have a value out of a list, out of a range or null for the condition to be
/// true.
///
/// What leaves all values but some (`<>`, `NOT IN`, `IS NOT NULL`, `LIKE '%x'`) restricts none, nor does a condition on what is
/// computed from a column, or a comparison with another column. Of two conditions joined by OR both must restrict it.
pub(super) fn restricted(condition: &Expr, schema: &DFSchema) -> BTreeSet<usize> {
    let column = |expr: &Expr| column(expr, schema).into_iter().collect();
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            restricted(left, schema).union(&restricted(right, schema)).copied().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if is_never(left) => restricted(right, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if is_never(right) => restricted(left, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            restricted(left, schema).intersection(&restricted(right, schema)).copied().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if bounds(*op) => {
            match (is_constant(left), is_constant(right)) {
                (false, true) => column(left),
                (true, false) => column(right),
                _ => BTreeSet::new(),
            }
        }
        Expr::InList(InList { expr, list, negated: false }) if list.iter().all(is_constant) => column(expr),
        Expr::Between(Between { expr, negated: false, low, high }) if is_constant(low) && is_constant(high) => {
            column(expr)
        }
        Expr::Like(Like { negated: false, expr, pattern, case_insensitive: false, .. }) if begins_with(pattern) => {
            column(expr)
        }
        Expr::ScalarFunction(call) if call.func.name() == "starts_with" => match call.args.as_slice() {
            [text, start] if is_text(start) => column(text),
            _ => BTreeSet::new(),
        },
        Expr::IsNull(expr) | Expr::IsTrue(expr) | Expr::IsFalse(expr) | Expr::IsUnknown(expr) => column(expr),
        Expr::Not(expr) if matches!(expr.as_ref(), Expr::Column(_)) => column(expr),
        Expr::Column(_) => column(condition),
        _ => BTreeSet::new(),
    }
}

/// Whether a condition is true of no row: a list with a null in it is the list without, or null.
fn is_never(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(value, _) if value.is_null() || *value == ScalarValue::Boolean(Some(false)))
}

fn bounds(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::IsNotDistinctFrom
    )
}

/// The position of a bare column. One that holds times counts in another type of time too: a day is a range of instants.
fn column(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Cast(Cast { expr: inner, .. }) => {
            let is_time = |expr: &Expr| {
                matches!(expr.get_type(schema), Ok(DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)))
            };
            (is_time(expr) && is_time(inner)).then(|| column(inner, schema)).flatten()
        }
        _ => None,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(Cast { expr, .. }) | Expr::Negative(expr) => is_constant(expr),
        _ => false,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

fn is_text(expr: &Expr) -> bool {
    text(expr).is_some_and(|text| !text.is_empty())
}

/// Whether a pattern begins with what every matching text begins with.
fn begins_with(pattern: &Expr) -> bool {
    text(pattern).is_some_and(|pattern| !pattern.is_empty() && !pattern.starts_with(['%', '_']))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    /// Restricted columns of `a` (0, integer), `b` (1, text), `t` (2, timestamp) and `f` (3, boolean).
    fn of(condition: &Expr) -> Vec<usize> {
        let fields = [
            ("a", DataType::Int64),
            ("b", DataType::Utf8),
            ("t", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("f", DataType::Boolean),
        ];
        let fields: Vec<Field> = fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec();
        let schema = DFSchema::from_unqualified_fields(Schema::new(fields).fields, HashMap::new()).unwrap();
        restricted(condition, &schema).into_iter().collect()
    }

    #[test]
    fn a_column_is_restricted_by_values_and_ranges() {
        let day = cast(col("t"), DataType::Date32);
        for (condition, wanted) in [
            (col("a").eq(lit(1_i64)), vec![0]),
            (lit(1_i64).lt(col("a")), vec![0]),
            (col("a").in_list(vec![lit(1_i64), lit(2_i64)], false), vec![0]),
            (col("a").between(lit(1_i64), lit(2_i64)), vec![0]),
            (col("a").is_null(), vec![0]),
            (col("b").like(lit("x%")), vec![1]),
            (day.eq(lit(ScalarValue::Date32(Some(1)))), vec![2]),
            (col("f"), vec![3]),
            (Expr::Not(Box::new(col("f"))), vec![3]),
            (col("a").eq(lit(1_i64)).and(col("b").eq(lit("x"))), vec![0, 1]),
            (col("a").eq(lit(1_i64)).or(col("a").gt(lit(5_i64))), vec![0]),
            (col("a").eq(lit(1_i64)).or(lit(ScalarValue::Boolean(None))), vec![0]),
            (lit(false).or(col("a").eq(lit(1_i64))), vec![0]),
            (col("a").eq(lit(1_i64)).and(col("b").eq(lit("x"))).or(col("b").is_null()), vec![1]),
        ] {
            assert_eq!(of(&condition), wanted, "{condition}");
        }
    }

    #[test]
    fn what_leaves_nearly_all_values_restricts_nothing() {
        for condition in [
            col("a").not_eq(lit(1_i64)),
            col("a").in_list(vec![lit(1_i64)], true),
            col("a").in_list(vec![lit(1_i64), col("a")], false),
            col("a").not_between(lit(1_i64), lit(2_i64)),
            col("a").is_not_null(),
            col("b").like(lit("%x")),
            col("b").like(lit("_x")),
            col("b").like(lit("")),
            col("b").not_like(lit("x%")),
            col("b").ilike(lit("x%")),
            (col("a") + lit(1_i64)).eq(lit(1_i64)),
            col("a").eq(col("a")),
            cast(col("b"), DataType::Int64).eq(lit(1_i64)),
            col("a").eq(lit(1_i64)).or(col("b").eq(lit("x"))),
            col("a").eq(lit(1_i64)).or(lit(true)),
            lit(true),
        ] {
            assert_eq!(of(&condition), Vec::<usize>::new(), "{condition}");
        }
    }
}
