//! How long the queries of TPC-H, and one over four sources, are planned.

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::measure::{Spread, milliseconds};
use super::super::runner::Runner;
use super::{ALL, Place, TOMBOLO, over};
use crate::output::complain;

/// Plans before the measured ones: they connect, and read what the sources say of their tables.
const WARM_UP_RUNS: u32 = 3;

/// How large the tables are does not matter.
const SCALE: f64 = 0.01;

const OVER_FOUR: &str = "SELECT n.n_name, sum(l.l_extendedprice * (1 - l.l_discount)) AS revenue \
     FROM pg.orders o JOIN lake.lineitem l ON l.l_orderkey = o.o_orderkey \
     JOIN maria.supplier s ON s.s_suppkey = l.l_suppkey JOIN tables.nation n ON n.n_nationkey = s.s_nationkey \
     WHERE o.o_orderdate >= DATE '1994-01-01' AND n.n_name = 'FRANCE' GROUP BY n.n_name ORDER BY revenue DESC";

pub(in super::super) fn run(runs: u32) -> Result<String> {
    over(SCALE, false, true, |place| measure(place, runs))
}

fn measure(place: &Place<'_>, runs: u32) -> Result<String> {
    let mut runner = place.start(&TOMBOLO)?;
    let mut text = format!(
        "# Planning\n\nFrom the text of a statement to the plan that runs, with what the sources say of their tables at hand; the \
         release build,\n{runs} plans after {WARM_UP_RUNS} that do not count. `four` joins a table of each of four sources: \
         {} {}, {} {}, and two folders\nof Parquet files. The numbers are those of the queries of TPC-H over the first three. \
         Milliseconds.\n\n\
         | query | min | median | max |\n|---:|---:|---:|---:|\n",
        place.servers.postgres.title,
        place.servers.postgres.version,
        place.servers.mariadb.title,
        place.servers.mariadb.version
    );
    let queries = ALL.map(|number| (number.to_string(), number.to_string()));
    for (name, question) in [("four".to_owned(), OVER_FOUR.to_owned())].into_iter().chain(queries) {
        complain!("planning {name}");
        let Spread { min, median, max } = planned(&mut runner, &question, runs).with_context(|| name.clone())?;
        let cells = [min, median, max].map(milliseconds).join(" | ");
        text.push_str(&format!("| {name} | {cells} |\n"));
    }
    Ok(text)
}

fn planned(runner: &mut Runner, question: &str, runs: u32) -> Result<Spread> {
    let question = format!("plan {question}");
    let mut times: Vec<Duration> = Vec::new();
    for run in 0..WARM_UP_RUNS + runs {
        let time = runner.ask(&question)?.time();
        if run >= WARM_UP_RUNS {
            times.push(time);
        }
    }
    Spread::of(times)
}
