use tombolo_connector::{Error, ErrorCode};

use super::evidence::Candidate;
use super::{Product, Suggestion};
use crate::plan::size::long;

/// The error that a product is refused with. `conditions` are those that would join it, as they would stand in the statement.
pub(crate) fn refusal(product: &Product, suggestion: &Suggestion, conditions: &[String], max_rows: u64) -> Error {
    let most = format!("the most is `max_cartesian_rows`, {} rows", long(max_rows as f64));
    let error = Error::new(ErrorCode::CartesianProduct, format!("a Cartesian product: {}", product.text()))
        .with_detail(format!("no condition is about both {}; {most}", product.names()));
    let hint = match &suggestion.either {
        _ if !conditions.is_empty() => {
            let reasons = reasons(suggestion, conditions);
            format!("Add {}; --auto-fix adds it and runs the query.", reasons.join(" and "))
        }
        Some((one, other)) => {
            let (one, other) = (text(one), text(other));
            format!("Join them ON {one} or ON {other}, of which neither is likelier.")
        }
        None => "Join them ON a condition.".to_owned(),
    };
    error.with_hint(format!("{hint} --allow-cartesian runs it as it is."))
}

/// The error that says why `--auto-fix` does not mend a product.
pub(crate) fn unmended(product: &Product, suggestion: &Suggestion) -> Error {
    let error = Error::new(ErrorCode::CartesianProduct, format!("a Cartesian product: {}", product.text()));
    match &suggestion.either {
        Some((one, other)) => error
            .with_detail(format!(
                "--auto-fix cannot choose between {} ({}) and {} ({})",
                text(one),
                one.evidence,
                text(other),
                other.evidence
            ))
            .with_hint("Write the one that is meant after ON. --allow-cartesian runs the query as it is."),
        None => error
            .with_detail(format!(
                "--auto-fix found no condition: no foreign key, name or sampled value says how {} belong together",
                product.names()
            ))
            .with_hint("Join them ON a condition. --allow-cartesian runs the query as it is."),
    }
}

/// Each condition with what it rests on.
pub(crate) fn reasons(suggestion: &Suggestion, conditions: &[String]) -> Vec<String> {
    let reason = |(text, condition): (&String, &Candidate)| format!("`{text}` ({})", condition.evidence);
    conditions.iter().zip(&suggestion.conditions).map(reason).collect()
}

fn text(condition: &Candidate) -> String {
    let pair = |(left, right): &(String, String)| {
        format!("{}.{left} = {}.{right}", condition.left.table(), condition.right.table())
    };
    condition.pairs.iter().map(pair).collect::<Vec<_>>().join(" AND ")
}

/// What the receipt says of a statement that was changed.
pub(crate) fn change_notice(product: &Product, reasons: &[String]) -> String {
    format!(
        "the statement was changed: {} was added, which it lacked between {}",
        reasons.join(" and "),
        product.names()
    )
}

/// What the receipt says of a product that was allowed.
pub(crate) fn allowed_notice(product: &Product) -> String {
    format!("a Cartesian product was allowed: {}", product.text())
}
