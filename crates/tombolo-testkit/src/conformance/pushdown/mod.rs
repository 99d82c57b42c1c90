//! Work that is offered to the source: done there or here, but always with the same rows.

mod aggregate;
mod compute;
mod filter;
mod join;
mod keys;
mod order;
mod place;
mod used;
mod window;

use futures::future::BoxFuture;

use super::{Bench, Group, Outcome, Run, Trial};
use crate::compare::{self, Rules};
use crate::harness::{Evidence, Harness};
use crate::{Answer, ask};

pub use place::Place;
pub(super) use place::{Operator, place_of};

/// Statements that one trial runs, and the operator that the source is offered in each.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    operator: Operator,
    templates: Vec<String>,
}

pub(super) fn trials(harness: &dyn Harness) -> Vec<Trial> {
    [
        used::trials(),
        filter::trials(harness),
        compute::trials(),
        join::trials(),
        aggregate::trials(),
        window::trials(),
        order::trials(),
        keys::trials(),
    ]
    .concat()
}

/// A trial of statements; `{s}` in them stands for the source.
fn statements<T: AsRef<str>>(operator: Operator, name: &str, templates: &[T]) -> Trial {
    let proves = format!("rows are the same wherever this runs: {name}");
    let templates = templates.iter().map(|template| template.as_ref().to_owned()).collect();
    let run = Run::Statements(Statements { operator, templates });
    Trial::new(Group::Pushdown, &format!("{}/{name}", operator.name()), &proves, run)
}

fn plain(name: &str, proves: &str, run: for<'a> fn(&'a Bench) -> BoxFuture<'a, Outcome>) -> Trial {
    Trial::plain(Group::Pushdown, name, proves, run)
}

impl Statements {
    pub(super) async fn run(&self, bench: &Bench) -> Outcome {
        let (mut places, mut failures) = (Vec::new(), Vec::new());
        for template in self.templates.iter().filter(|template| bench.holds_all_of(template)) {
            match self.one(bench, template).await {
                Ok(place) => places.push(place),
                Err(reason) => failures.push(format!("{reason}\n      in {template}")),
            }
        }
        if !failures.is_empty() {
            let more = failures.len().saturating_sub(3);
            failures.truncate(3);
            if more > 0 {
                failures.push(format!("and {more} more"));
            }
            return Outcome::Failed(failures.join("\n      "));
        }
        match Place::of_all(places) {
            None => Outcome::Declined("the source holds none of the tables".to_owned()),
            Some(Place::Here(reason)) => Outcome::Declined(reason),
            Some(place) => Outcome::Passed(Some(place)),
        }
    }

    /// Runs one statement in every way, and finds out where the operator was done.
    async fn one(&self, bench: &Bench, template: &str) -> Result<Place, String> {
        let sql = bench.statement(template);
        let (place, anything) = place_of(bench, &sql, self.operator).await?;
        let log = bench.log();
        let pushed = ask(&bench.engine, &sql).await;
        let events = bench.site.remote_log(&log).await;
        same_as_reference(bench, &sql, pushed, "pushed").await?;
        // Where nothing at all is pushed, the plan without push-down is the same one.
        if anything {
            same_as_reference(bench, &sql, ask(&bench.unpushed, &sql).await, "with push-down off").await?;
        }
        let declared = self.operator.is_declared(&bench.capabilities);
        match &place {
            Place::There | Place::Partly(_) if !declared => {
                return Err(format!("the source does the {}, though it does not declare it", self.operator.name()));
            }
            Place::There => bench.site.shows(&events, &Evidence::Operator(self.operator.pushed()))?,
            Place::Again if !bench.capabilities.pruning => {
                return Err("the source uses the filter to read less, though it does not declare it".to_owned());
            }
            _ => {}
        }
        Ok(place)
    }
}

/// Whether an engine's answer is the reference's; where the reference fails, the engine must fail too.
pub(super) async fn same_as_reference(
    bench: &Bench,
    sql: &str,
    answer: tombolo_connector::Result<Answer>,
    way: &str,
) -> Result<(), String> {
    match (answer, bench.reference.ask(sql).await) {
        (Ok(answer), Ok((schema, batches))) => {
            let given = (answer.schema.as_ref(), answer.batches.as_slice());
            compare::same(sql, given, (schema.as_ref(), batches.as_slice()), Rules::default())
                .map_err(|difference| format!("{way}: {difference}"))
        }
        (Err(error), Ok(_)) => Err(format!("{way}: {}: {error}: {:?}", error.code().name(), error.detail())),
        (Ok(answer), Err(error)) => Err(format!("{way}: {} rows in place of an error: {error}", answer.rows())),
        (Err(_), Err(_)) => Ok(()),
    }
}
