//! Size, number and end of sub-queries.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tombolo_engine::{QueryOptions, Settings};

use super::pushdown::same_as_reference;
use super::{Bench, Group, Trial};
use crate::ask;

pub(super) fn trials() -> Vec<Trial> {
    trials! { Group::Limits;
        "three hundred columns", "a wide table is read whole, also by one query over all of its columns", wide;
        "a list of many literals", "a filter with five thousand values has the same rows", literals;
        "more rows than a batch", "every row of a larger table comes once, whatever the size of a batch", batches;
        "many queries at once", "sixty queries at once are all right, and no more run in the source than it takes", at_once;
        "a dropped stream ends the work", "after a stream is dropped nothing goes on in the source", dropped;
    }
}

async fn check(bench: &Bench, sql: &str) -> Result<(), String> {
    same_as_reference(bench, sql, ask(&bench.engine, sql).await, "pushed").await
}

async fn wide(bench: &Bench) -> Result<(), String> {
    let columns: Vec<String> = (1..300).map(|at| format!("c{at}")).collect();
    check(bench, &bench.statement("SELECT * FROM {s}.wide")).await?;
    let counts: Vec<String> = columns.iter().map(|column| format!("count({column}) AS {column}")).collect();
    check(bench, &bench.statement(&format!("SELECT {} FROM {{s}}.wide", counts.join(", ")))).await?;
    check(bench, &bench.statement(&format!("SELECT {} FROM {{s}}.wide ORDER BY id DESC", columns.join(", ")))).await
}

async fn literals(bench: &Bench) -> Result<(), String> {
    let list: Vec<String> = (0..5_000).map(|at| (at * 3 + 1).to_string()).collect();
    check(bench, &bench.statement(&format!("SELECT id, label FROM {{s}}.big WHERE id IN ({})", list.join(", ")))).await
}

async fn batches(bench: &Bench) -> Result<(), String> {
    let sql = bench.statement("SELECT * FROM {s}.big");
    for batch_size in [1_000, 8_191, 100_000] {
        let engine = bench.engine_with(|settings| Settings { batch_size, ..settings });
        same_as_reference(bench, &sql, ask(&engine, &sql).await, &format!("batches of {batch_size}")).await?;
    }
    Ok(())
}

async fn at_once(bench: &Bench) -> Result<(), String> {
    let log = bench.log();
    let sql = bench.statement("SELECT grp, count(*) AS n FROM {s}.big GROUP BY grp");
    let mut running: FuturesUnordered<_> = (0..60).map(|_| ask(&bench.engine, &sql)).collect();
    let (_, wanted) = bench.reference.ask(&sql).await?;
    let wanted: usize = wanted.iter().map(|batch| batch.num_rows()).sum();
    while let Some(answer) = running.next().await {
        match answer {
            Ok(answer) if answer.rows() == wanted => {}
            Ok(answer) => return Err(format!("{} rows in place of {wanted}", answer.rows())),
            Err(error) => return Err(format!("{}: {error}", error.code().name())),
        }
    }
    match (bench.capabilities.max_concurrency, log.most_at_once()) {
        (Some(most), seen) if seen > most => Err(format!("{seen} ran at once, and {most} are declared")),
        _ => Ok(()),
    }
}

async fn dropped(bench: &Bench) -> Result<(), String> {
    let log = bench.log();
    let engine = bench.engine_with(|settings| Settings { batch_size: 100, ..settings });
    let sql = bench.statement("SELECT a.id, b.label FROM {s}.big a JOIN {s}.big b ON a.grp = b.grp");
    let mut running = engine.query(&sql, QueryOptions::default()).await.map_err(|error| error.to_string())?;
    if running.next_batch().await.map_err(|error| error.to_string())?.is_none() {
        return Err("the query has no rows".to_owned());
    }
    drop(running);
    let begun = Instant::now();
    loop {
        let running = bench.site.running(&log).await;
        if running == 0 {
            break;
        }
        if begun.elapsed() > Duration::from_secs(1) {
            return Err(format!("{running} statements still run"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = bench.site.remote_log(&log).await.len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = bench.site.remote_log(&log).await.len();
    if before == after { Ok(()) } else { Err(format!("{} more reads after it was dropped", after - before)) }
}
