//! What goes wrong is said with the right code, the source's name, a hint and no secret.

use futures::FutureExt;
use tombolo_connector::{Error, ErrorCode, Retry};

use super::bench::engine_over;
use super::{Bench, Group, Trial};
use crate::ask;

pub(super) fn trials() -> Vec<Trial> {
    trials! { Group::Errors;
        "a source that is not as it should be", "each way in which it can be broken has its code, a hint, the source's name, and says whether to try again", outages;
        "a table that there is not", "its error names the nearest table", no_table;
        "a column that there is not", "its error names the nearest column", no_column;
        "a division by zero", "it is an error wherever it is computed", division;
        "a secret is in no error", "no error shows what the options keep secret", secret;
    }
}

async fn outages(bench: &Bench) -> Result<(), String> {
    let folder = tempfile::TempDir::new().unwrap();
    for outage in bench.harness.outages(folder.path()).await {
        let engine = engine_over(&outage.registry, bench.harness.connector(), outage.options.clone());
        let name = outage.name;
        let Err(error) = ask(&engine, outage.statement).await else { return Err(format!("{name}: it answers")) };
        if error.code() != outage.code {
            let (given, wanted) = (error.code().name(), outage.code.name());
            return Err(format!("{name}: {given} in place of {wanted}: {error}: {:?}", error.detail()));
        }
        if (error.retry() == Retry::Safe) != outage.is_retryable {
            return Err(format!("{name}: {:?} is not what to do: {error}", error.retry()));
        }
        complete(&error, name, "broken")?;
    }
    Ok(())
}

/// Whether an error names its source and says what to do next.
fn complete(error: &Error, what: &str, source: &str) -> Result<(), String> {
    if error.hint().is_none() {
        return Err(format!("{what}: {error} comes without a hint"));
    }
    let named = error.source_name() == Some(source)
        || error.hint().is_some_and(|hint| hint.contains(source))
        || error.message().contains(source);
    if named { Ok(()) } else { Err(format!("{what}: {error} does not name the source: {:?}", error.source_name())) }
}

async fn expect(bench: &Bench, template: &str, code: ErrorCode, near: &str) -> Result<(), String> {
    let Err(error) = bench.rows(template).await else { return Err(format!("{template} is answered")) };
    if error.code() != code {
        return Err(format!("{} in place of {}: {error}", error.code().name(), code.name()));
    }
    match error.hint() {
        Some(hint) if hint.contains(near) => Ok(()),
        other => Err(format!("{error}: the hint {other:?} does not name {near}")),
    }
}

async fn no_table(bench: &Bench) -> Result<(), String> {
    expect(bench, "SELECT * FROM {s}.custmers", ErrorCode::TableNotFound, "customers").await
}

async fn no_column(bench: &Bench) -> Result<(), String> {
    expect(bench, "SELECT regoin FROM {s}.customers", ErrorCode::ColumnNotFound, "region").await
}

async fn division(bench: &Bench) -> Result<(), String> {
    for template in
        ["SELECT id / (id - id) AS x FROM {s}.customers", "SELECT id FROM {s}.customers WHERE id / (id - 3) = 1"]
    {
        for engine in [&bench.engine, &bench.unpushed] {
            match ask(engine, &bench.statement(template)).await {
                Err(error) if error.code() == ErrorCode::ComputationFailed => {}
                Err(error) => return Err(format!("{}: {error}", error.code().name())),
                Ok(answer) => return Err(format!("{} rows", answer.rows())),
            }
        }
    }
    Ok(())
}

async fn secret(bench: &Bench) -> Result<(), String> {
    let Some(secret) = bench.site.secret() else { return Ok(()) };
    let folder = tempfile::TempDir::new().unwrap();
    for outage in bench.harness.outages(folder.path()).await {
        let engine = engine_over(&outage.registry, bench.harness.connector(), outage.options);
        let Err(error) = ask(&engine, outage.statement).await else { continue };
        if format!("{error} {error:?}").contains(&secret) {
            return Err(format!("{}: the error shows the secret", outage.name));
        }
    }
    Ok(())
}
