use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use tombolo_connector::{ColumnStatistics, Scan};

/// The share of rows that pass a condition of which nothing is known: the engine's own default.
const UNKNOWN: f64 = 0.2;

/// What a further letter of a pattern leaves of them, and the least that is expected to match one.
const LETTER: f64 = 0.7;
const LEAST_MATCHING: f64 = 0.01;

/// The most conditions that are held to be independent of each other; further ones mostly say the same again.
const INDEPENDENT: usize = 4;

/// The share of rows that pass all of these conditions, 0 to 1: the strongest of them, as if none had to do with another.
pub(super) fn shares(scan: &Scan, predicates: &[Expr]) -> f64 {
    let tables = scan.tables();
    let known = |name: &str| tables.iter().find_map(|table| table.description.statistics.columns.get(name));
    let mut shares: Vec<f64> = predicates.iter().map(|predicate| share(predicate, &known)).collect();
    shares.sort_by(f64::total_cmp);
    shares.into_iter().take(INDEPENDENT).product()
}

fn share<'a>(predicate: &Expr, known: &dyn Fn(&str) -> Option<&'a ColumnStatistics>) -> f64 {
    let of = |expr: &Expr| match expr {
        Expr::Column(column) => known(&column.name),
        _ => None,
    };
    let found = match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(share(left, known) * share(right, known))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (left, right) = (share(left, known), share(right, known));
            Some(left + right - left * right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(value, _)) => of(column).and_then(|column| compared(column, *op, value)),
            (Expr::Literal(value, _), column) => {
                op.swap().and_then(|op| of(column).and_then(|column| compared(column, op, value)))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated }) => of(expr).and_then(|column| {
            let one = |value: &Expr| match value {
                Expr::Literal(value, _) => compared(column, Operator::Eq, value),
                _ => None,
            };
            let all: f64 = list.iter().map(one).sum::<Option<f64>>()?;
            Some(if *negated { present(column) - all } else { all })
        }),
        Expr::Between(Between { expr, negated: false, low, high }) => match (low.as_ref(), high.as_ref()) {
            (Expr::Literal(low, _), Expr::Literal(high, _)) => of(expr).and_then(|column| {
                Some(compared(column, Operator::LtEq, high)? - compared(column, Operator::Lt, low)?)
            }),
            _ => None,
        },
        Expr::Like(like) if !like.case_insensitive => matching(&like.pattern).map(|share| {
            let present = of(&like.expr).map_or(1.0, present);
            if like.negated { present - share } else { share }
        }),
        Expr::IsNull(expr) => of(expr).and_then(|column| column.null_fraction),
        Expr::IsNotNull(expr) => of(expr).and_then(|column| column.null_fraction).map(|nulls| 1.0 - nulls),
        Expr::Not(expr) => Some(1.0 - share(expr, known)),
        _ => None,
    };
    found.unwrap_or(UNKNOWN).clamp(0.0, 1.0)
}

/// The share of texts that match a pattern: the fewer, the more letters it has.
fn matching(pattern: &Expr) -> Option<f64> {
    let Expr::Literal(value, _) = pattern else { return None };
    let letters = value.try_as_str()??.chars().filter(|letter| !matches!(letter, '%' | '_')).count();
    let further = i32::try_from(letters.checked_sub(1)?).unwrap_or(i32::MAX);
    Some((UNKNOWN * LETTER.powi(further)).max(LEAST_MATCHING))
}

fn present(column: &ColumnStatistics) -> f64 {
    1.0 - column.null_fraction.unwrap_or(0.0)
}

/// The share of rows whose column compares so with a value; none where nothing says so.
fn compared(column: &ColumnStatistics, operator: Operator, value: &ScalarValue) -> Option<f64> {
    if value.is_null() {
        return Some(0.0);
    }
    let parsed = |text: &String| ScalarValue::try_from_string(text.clone(), &value.data_type()).ok();
    let common: f64 = column.common.iter().map(|(_, share)| share).sum();
    let rest = (present(column) - common).max(0.0);
    match operator {
        Operator::Eq => {
            let found = column.common.iter().find(|(text, _)| parsed(text).as_ref() == Some(value));
            let others = || {
                let others = column.distinct?.saturating_sub(column.common.len() as u64).max(1);
                Some(rest / others as f64)
            };
            found.map(|(_, share)| *share).or_else(others)
        }
        Operator::NotEq => compared(column, Operator::Eq, value).map(|equal| present(column) - equal),
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
            let holds = |other: &ScalarValue| {
                let ordering = other.partial_cmp(value)?;
                Some(match operator {
                    Operator::Lt => ordering.is_lt(),
                    Operator::LtEq => ordering.is_le(),
                    Operator::Gt => ordering.is_gt(),
                    _ => ordering.is_ge(),
                })
            };
            let mut share = 0.0;
            for (text, part) in &column.common {
                if holds(&parsed(text)?)? {
                    share += part;
                }
            }
            if column.bounds.len() > 1 {
                let mut passing = 0.0;
                for text in &column.bounds {
                    passing += f64::from(u8::from(holds(&parsed(text)?)?));
                }
                share += rest * passing / column.bounds.len() as f64;
            } else if column.common.is_empty() {
                return None;
            }
            Some(share)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use datafusion::logical_expr::{Expr, col, lit};
    use tombolo_connector::ColumnStatistics;

    use super::share;

    /// A tenth is null, half is 7, and the rest is spread evenly from 0 to 100.
    fn of(predicate: &Expr) -> f64 {
        let column = ColumnStatistics {
            distinct: Some(101),
            null_fraction: Some(0.1),
            width: None,
            common: vec![("7".to_owned(), 0.5)],
            bounds: (0..=100).map(|value| value.to_string()).collect(),
        };
        let known = BTreeMap::from([("a", column)]);
        share(predicate, &|name| known.get(name))
    }

    #[test]
    fn shares_follow_from_what_is_known_of_a_column() {
        for (predicate, wanted) in [
            (col("a").eq(lit(7_i64)), 0.5),
            (lit(7_i64).eq(col("a")), 0.5),
            (col("a").eq(lit(8_i64)), 0.004),
            (col("a").not_eq(lit(7_i64)), 0.4),
            (col("a").lt(lit(50_i64)), 0.5 + 0.4 * 50.0 / 101.0),
            (col("a").gt(lit(50_i64)), 0.4 * 50.0 / 101.0),
            (col("a").between(lit(20_i64), lit(29_i64)), 0.4 * 10.0 / 101.0),
            (col("a").in_list(vec![lit(7_i64), lit(8_i64)], false), 0.504),
            (col("a").is_null(), 0.1),
            (col("a").is_not_null(), 0.9),
            (col("a").eq(lit(7_i64)).or(col("a").is_null()), 0.55),
            (col("a").eq(lit(7_i64)).and(col("a").is_not_null()), 0.45),
            (col("b").eq(lit(7_i64)), 0.2),
            (col("b").like(lit("a%")), 0.2),
            (col("b").like(lit("abc%")), 0.2 * 0.7 * 0.7),
            (col("b").like(lit("%a_b%c%")), 0.2 * 0.7 * 0.7),
            (col("b").like(lit("%a long text of which little is expected%")), 0.01),
            (col("a").not_like(lit("abc%")), 0.9 - 0.2 * 0.7 * 0.7),
            // Nothing is known of what matches all, and of another column.
            (col("b").like(lit("%")), 0.2),
            (col("b").like(col("a")), 0.2),
        ] {
            let found = of(&predicate);
            assert!((found - wanted).abs() < 1e-9, "{predicate}: {found}, not {wanted}");
        }
    }
}
