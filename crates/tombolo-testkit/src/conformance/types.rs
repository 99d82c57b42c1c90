//! Values there and back: every column of every fixture is carried exactly, or refused by name.

use futures::FutureExt;

use super::exact;
use super::{Bench, Group, Outcome, Run, Trial};
use crate::ask;
use crate::fixtures;
use crate::harness::Harness;

pub(super) fn trials(_harness: &dyn Harness) -> Vec<Trial> {
    let trial = |fixture: &'static fixtures::Fixture| {
        let run = Run::Table(fixture.name, |bench, table| table_comes_back(bench, table).boxed());
        Trial::new(
            Group::Types,
            fixture.name,
            &format!("every value comes back or is refused by name: {}", fixture.purpose),
            run,
        )
    };
    fixtures::all().iter().map(trial).collect()
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn table_comes_back(bench: &Bench, table: &str) -> Outcome {
    let Some(expected) = bench.table(table) else {
        let reason = bench.harness.refuses_table(fixtures::named(table)).unwrap_or("it is not loaded");
        return Outcome::Declined(reason.to_owned());
    };
    let name = format!("{}.{}", bench.source, quoted(table));
    let columns: Vec<String> = expected.batch.schema().fields().iter().map(|field| quoted(field.name())).collect();
    let every = format!("SELECT {} FROM {name}", columns.join(", "));
    let star = format!("SELECT * FROM {name}");
    let statements = if expected.refused.is_empty() { vec![every, star] } else { vec![every] };
    for sql in statements {
        let answer = match ask(&bench.engine, &sql).await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed(format!("{}: {error}: {:?}", error.code().name(), error.detail())),
        };
        if let Err(difference) = exact::same(&answer.schema, &answer.batches, &expected.batch, expected.primary_key) {
            return Outcome::Failed(difference);
        }
    }
    for (column, code) in &expected.refused {
        match ask(&bench.engine, &format!("SELECT {} FROM {name}", quoted(column))).await {
            Ok(_) => return Outcome::Failed(format!("{column} was to be refused, and came back")),
            Err(error) if error.code() != *code => {
                return Outcome::Failed(format!(
                    "{column}: {} in place of {}: {error}",
                    error.code().name(),
                    code.name()
                ));
            }
            Err(error) if !error.message().contains(column.as_str()) || error.hint().is_none() => {
                return Outcome::Failed(format!(
                    "{column}: the error does not name the column or gives no hint: {error}"
                ));
            }
            Err(_) => {}
        }
    }
    Outcome::PASSED
}
