//! What is declared is used, at least where it is plainest.

use futures::FutureExt;

use super::{Operator, Place, place_of, plain};
use crate::ask;
use crate::conformance::{Bench, Outcome, Trial};
use crate::harness::{Evidence, RemoteEvent};

/// Statements in which a source that declares an operator is sure to do it; one of them is enough.
fn plainest(operator: Operator) -> &'static [&'static str] {
    match operator {
        // Files do it for columns that are in the names of their folders.
        Operator::Filter => {
            &["SELECT id FROM {s}.customers WHERE id = 7", "SELECT id FROM {s}.visits WHERE page = 'home'"]
        }
        Operator::Compute => &["SELECT id + 1 AS next FROM {s}.customers"],
        Operator::Join => &["SELECT c.id, o.id AS o FROM {s}.customers c JOIN {s}.orders o ON o.customer_id = c.id"],
        Operator::Aggregate => &["SELECT customer_id, count(*) AS n FROM {s}.orders GROUP BY customer_id"],
        Operator::Window => &["SELECT id, row_number() OVER (ORDER BY id) AS n FROM {s}.customers"],
        Operator::Sort => &["SELECT id FROM {s}.orders ORDER BY id DESC"],
        Operator::Limit => &["SELECT id FROM {s}.orders LIMIT 3"],
        Operator::Union => &["SELECT id FROM {s}.customers UNION ALL SELECT id FROM {s}.orders"],
    }
}

macro_rules! used {
    ($($operator:ident),+) => {
        vec![$(plain(
            &format!("{}/is used where it is declared", Operator::$operator.name()),
            &format!("a source that declares {} does at least the plainest", Operator::$operator.name()),
            |bench| used(bench, Operator::$operator).boxed(),
        )),+]
    };
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = used![Filter, Compute, Join, Aggregate, Window, Sort, Limit, Union];
    trials.push(plain(
        "projection/only the columns that are asked for are read",
        "columns that no part of the statement names do not leave the source",
        |bench| async move { Outcome::from(projection(bench).await) }.boxed(),
    ));
    trials.push(plain(
        "filter/prunes where pruning is declared",
        "a filter that is checked again here has made the source read less",
        |bench| pruning(bench).boxed(),
    ));
    trials
}

async fn used(bench: &Bench, operator: Operator) -> Outcome {
    let declared = operator.is_declared(&bench.capabilities);
    let mut reasons = Vec::new();
    for template in plainest(operator) {
        match place_of(bench, &bench.statement(template), operator).await {
            Ok((Place::There, _)) if declared => return Outcome::PASSED,
            Ok((Place::There, _)) => return Outcome::Failed("it is done, though it is not declared".to_owned()),
            Ok((Place::Again, _)) => reasons.push("it is used to read less, and done again here".to_owned()),
            Ok((Place::Partly(reason) | Place::Here(reason), _)) => reasons.push(reason),
            Err(reason) => return Outcome::Failed(reason),
        }
    }
    reasons.dedup();
    let reasons = reasons.join("; ");
    if declared {
        Outcome::Failed(format!("it is declared, and never done: {reasons}"))
    } else {
        Outcome::Declined(reasons)
    }
}

async fn projection(bench: &Bench) -> Result<(), String> {
    let sql = bench.statement("SELECT id, region FROM {s}.customers");
    let log = bench.log();
    let answer = ask(&bench.engine, &sql).await;
    let events = bench.site.remote_log(&log).await;
    super::same_as_reference(bench, &sql, answer, "pushed").await?;
    for column in ["id", "region"] {
        bench.site.shows(&events, &Evidence::Column { table: "customers", column })?;
    }
    let apart = bench.site.shows(&events, &Evidence::Column { table: "customers", column: "credit" }).is_err();
    let reads_whole_rows = !bench.site.keeps_columns_apart();
    if bench.capabilities.projection && !apart && !reads_whole_rows {
        return Err("a column that nobody asked for was read".to_owned());
    }
    Ok(())
}

async fn pruning(bench: &Bench) -> Outcome {
    let declined = || Outcome::Declined("the source does not read to check again".to_owned());
    match pruned(bench).await {
        Err(reason) => Outcome::Failed(reason),
        Ok(None) => declined(),
        Ok(Some((few, all))) if bench.capabilities.pruning && few * 2 > all => {
            Outcome::Failed(format!("{few} bytes were read for ten rows, {all} for all"))
        }
        Ok(Some(_)) if bench.capabilities.pruning => Outcome::Passed(Some(Place::Again)),
        Ok(Some(_)) => Outcome::Failed("a filter is checked again here, though pruning is not declared".to_owned()),
    }
}

/// The bytes that were read for ten rows of many, and for all; `None` where the filter is not used to read less.
async fn pruned(bench: &Bench) -> Result<Option<(u64, u64)>, String> {
    let few = bench.statement("SELECT id, value FROM {s}.big WHERE id > 19990");
    let (place, _) = place_of(bench, &few, Operator::Filter).await?;
    if place != Place::Again {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for sql in [few, bench.statement("SELECT id, value FROM {s}.big")] {
        let log = bench.log();
        let answer = ask(&bench.engine, &sql).await;
        let events = bench.site.remote_log(&log).await;
        super::same_as_reference(bench, &sql, answer, "pushed").await?;
        bytes.push(events.iter().filter_map(RemoteEvent::bytes).sum::<u64>());
    }
    Ok(Some((bytes[0], bytes[1])))
}
