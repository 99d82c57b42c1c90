use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::rule::each_expression;

/// Writes `x LIKE '50!%' ESCAPE '!'` as `x LIKE '50\%'`: DataFusion knows the backslash alone.
#[derive(Debug)]
pub(in crate::plan) struct LikeEscapeRule;

impl AnalyzerRule for LikeEscapeRule {
    fn name(&self) -> &str {
        "like_escape"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| each_expression(plan, |expr| Ok(by_backslash(expr)))).data()
    }
}

fn by_backslash(expr: Expr) -> Transformed<Expr> {
    let Expr::Like(like) = expr else { return Transformed::no(expr) };
    let pattern = like.escape_char.filter(|escape| *escape != '\\').and_then(|escape| escaped(&like.pattern, escape));
    match pattern {
        Some(pattern) => Transformed::yes(Expr::Like(Like { pattern: Box::new(pattern), escape_char: None, ..like })),
        None => Transformed::no(Expr::Like(like)),
    }
}

/// A literal pattern with backslashes in place of another escape character; none where it is no literal.
fn escaped(pattern: &Expr, escape: char) -> Option<Expr> {
    match pattern {
        Expr::Cast(cast) => {
            let inner = escaped(&cast.expr, escape)?;
            Some(Expr::Cast(datafusion::logical_expr::Cast { expr: Box::new(inner), ..cast.clone() }))
        }
        Expr::Literal(value, metadata) => {
            let text = |text: &Option<String>| text.as_ref().map(|text| with_backslashes(text, escape));
            let value = match value {
                ScalarValue::Utf8(pattern) => ScalarValue::Utf8(text(pattern)),
                ScalarValue::LargeUtf8(pattern) => ScalarValue::LargeUtf8(text(pattern)),
                ScalarValue::Utf8View(pattern) => ScalarValue::Utf8View(text(pattern)),
                _ => return None,
            };
            Some(Expr::Literal(value, metadata.clone()))
        }
        _ => None,
    }
}

fn with_backslashes(pattern: &str, escape: char) -> String {
    let mut text = String::with_capacity(pattern.len());
    let plain = |text: &mut String, c: char| {
        if matches!(c, '%' | '_' | '\\') {
            text.push('\\');
        }
        text.push(c);
    };
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            // At the end it is itself.
            c if c == escape => plain(&mut text, chars.next().unwrap_or(escape)),
            '%' | '_' => text.push(c),
            c => plain(&mut text, c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_backslashes;

    #[test]
    fn a_pattern_means_the_same_with_backslashes() {
        for (pattern, escape, wanted) in [
            ("50!% off", '!', r"50\% off"),
            ("a!!b_%", '!', "a!b_%"),
            (r"a\%!_", '!', r"a\\%\_"),
            ("%%_", '%', r"\%_"),
            ("a!", '!', "a!"),
            (r"!\", '!', r"\\"),
            ("äöé%", 'é', r"äö\%"),
        ] {
            assert_eq!(with_backslashes(pattern, escape), wanted, "{pattern} by {escape}");
        }
    }
}
