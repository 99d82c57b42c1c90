//! What a source does that fails in the midst of its work: an error, never fewer rows, and the next query works.

use std::time::{Duration, Instant};

use futures::FutureExt;
use tombolo_connector::layer::{Call, ChaosPlan, ChaosSwitch, Fault, RowPoint};
use tombolo_connector::{ErrorCode, Retry};
use tombolo_engine::{Engine, QueryOptions, Settings};

use super::pushdown::same_as_reference;
use super::{Bench, Group, Trial};
use crate::ask;

pub(super) fn trials() -> Vec<Trial> {
    trials! { Group::Faults;
        "an error at any row", "a query whose source fails at a row, or in place of the end, fails with what the source said, and the next is right", at_rows;
        "an error of any call", "a call that fails is the query's error with its advice, and the next query is right", at_calls;
        "a source that falls silent", "a time limit ends a query that waits for the source, before its first row and amid its rows", silence;
        "batches of any size", "rows are the same, however a stream cuts them into batches", resliced;
    }
}

/// Queries that read all of a table, or leave most of the work to the source where it does such work.
const SHAPES: [&str; 4] = [
    "SELECT * FROM {s}.big",
    "SELECT grp, count(*) AS n FROM {s}.big GROUP BY grp",
    "SELECT a.id, b.label FROM {s}.customers a LEFT JOIN {s}.big b ON a.id = b.id",
    "SELECT label FROM {s}.big ORDER BY id DESC LIMIT 2000",
];

const FAILED: ErrorCode = ErrorCode::SourceFailed;

fn chaotic(bench: &Bench) -> (Engine, ChaosSwitch) {
    let switch = ChaosSwitch::default();
    let engine = bench.chaotic_engine(&switch, |settings| Settings { batch_size: 500, ..settings });
    (engine, switch)
}

/// Asks while something goes wrong: where it has come about, the answer must be this error, and else the right rows. Gives
/// whether it has.
async fn fails(
    bench: &Bench,
    (engine, switch): &(Engine, ChaosSwitch),
    sql: &str,
    plan: &ChaosPlan,
    retry: Retry,
) -> Result<bool, String> {
    switch.set(plan.clone());
    let answer = ask(engine, sql).await;
    let has_happened = switch.fired() > 0;
    switch.clear();
    match answer {
        Err(error) if error.code() == FAILED && has_happened => {
            if error.source_name() != Some(&bench.source) {
                return Err(format!("{error} names {:?} as its source, at {plan:?}", error.source_name()));
            }
            if error.retry() != retry {
                return Err(format!("{error} says {:?} in place of {retry:?}, at {plan:?}", error.retry()));
            }
        }
        Ok(answer) if has_happened => return Err(format!("{} rows in place of an error, at {plan:?}", answer.rows())),
        answer => same_as_reference(bench, sql, answer, &format!("{plan:?}")).await?,
    }
    same_as_reference(bench, sql, ask(engine, sql).await, &format!("the query after {plan:?}")).await?;
    Ok(has_happened)
}

async fn at_rows(bench: &Bench) -> Result<(), String> {
    let chaos = chaotic(bench);
    let fault = Fault::Error(FAILED, Retry::Never);
    for template in SHAPES {
        let sql = bench.statement(template);
        let mut happened = 0;
        for point in [0, 1, 2, 499, 500, 1_999].map(RowPoint::Row).into_iter().chain([RowPoint::End]) {
            let plan = ChaosPlan::default().at_row(point, fault);
            happened += usize::from(fails(bench, &chaos, &sql, &plan, Retry::Never).await?);
        }
        // A point beyond the rows that a source gives is no failure; the first row and the end are always there.
        if happened < 2 {
            return Err(format!("only {happened} faults came about in {template}"));
        }
    }
    Ok(())
}

async fn at_calls(bench: &Bench) -> Result<(), String> {
    let sql = bench.statement(SHAPES[0]);
    for call in [Call::Connect, Call::DescribeTable, Call::PlanScan] {
        for retry in [Retry::Never, Retry::Safe] {
            // A new engine, which has not connected yet and knows no table.
            let chaos = chaotic(bench);
            let plan =
                (1..=3).fold(ChaosPlan::default(), |plan, nth| plan.on_call(call, nth, Fault::Error(FAILED, retry)));
            if !fails(bench, &chaos, &sql, &plan, retry).await? {
                return Err(format!("{call:?} is not called"));
            }
        }
    }
    Ok(())
}

async fn silence(bench: &Bench) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_millis(500);
    let (engine, switch) = chaotic(bench);
    let sql = bench.statement(SHAPES[0]);
    for point in [RowPoint::Row(0), RowPoint::Row(700), RowPoint::End] {
        switch.set(ChaosPlan::default().at_row(point, Fault::Stall(None)));
        let options = QueryOptions { timeout: Some(LIMIT), ..QueryOptions::default() };
        let begun = Instant::now();
        let error = async {
            let mut running = engine.query(&sql, options).await?;
            while running.next_batch().await?.is_some() {}
            Ok::<(), tombolo_engine::Error>(())
        };
        match error.await {
            Err(error) if error.code() == ErrorCode::Timeout => {}
            Err(error) => return Err(format!("{} in place of a timeout: {error}, at {point:?}", error.code().name())),
            Ok(()) => return Err(format!("it is answered, at {point:?}")),
        }
        if begun.elapsed() > LIMIT * 10 {
            return Err(format!("it took {:?}, at {point:?}", begun.elapsed()));
        }
        switch.clear();
        same_as_reference(bench, &sql, ask(&engine, &sql).await, "the query after silence").await?;
    }
    Ok(())
}

async fn resliced(bench: &Bench) -> Result<(), String> {
    let (engine, switch) = chaotic(bench);
    for template in SHAPES {
        for seed in 1..=3 {
            switch.set(ChaosPlan::default().resliced(seed));
            let sql = bench.statement(template);
            same_as_reference(bench, &sql, ask(&engine, &sql).await, &format!("in other batches ({seed})")).await?;
        }
    }
    Ok(())
}
