//! Tables, columns, keys and counts are what the source has, also when it changes.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::FutureExt;
use tombolo_connector::{ErrorCode, RowCount};

use super::types::quoted;
use super::{Bench, Group, Outcome, Trial};
use crate::ask;
use crate::fixtures;

pub(super) fn trials() -> Vec<Trial> {
    trials! { Group::Catalog;
        "every table is listed", "the tables that are listed are those that were loaded, by their exact names", lists;
        "names match whatever their case", "an unquoted name finds a table and a column of mixed case", any_case;
        "a quoted name is exact", "a quoted name of another case finds nothing", exact_case;
        "a table has a name of three parts", "source.schema.table is the same table", three_parts;
        "keys that are named are keys", "no key is claimed whose values repeat or are null", keys;
        "columns that are never null have no nulls", "nullability is what the rows show", nullability;
        "row counts are true", "an exact count is the number of rows, and a declared one is known", counts;
        "a table that was dropped is not found", "the next query after a drop says that there is no such table", dropped;
        "a column that was added is seen", "the next query after a change has the new column, and its values", added;
    }
}

async fn lists(bench: &Bench) -> Outcome {
    let listed = match bench.connector().await.list_tables(bench.site.schema()).await {
        Ok(listed) => listed,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let listed: BTreeSet<String> = listed.into_iter().map(|table| table.table).collect();
    let wanted: BTreeSet<String> = bench.expected.iter().map(|table| table.name.to_owned()).collect();
    let (missing, strange): (Vec<_>, Vec<_>) =
        (wanted.difference(&listed).collect(), listed.difference(&wanted).collect());
    if missing.is_empty() && strange.is_empty() {
        return Outcome::PASSED;
    }
    Outcome::Failed(format!("missing {missing:?}, not loaded {strange:?}"))
}

async fn any_case(bench: &Bench) -> Outcome {
    for template in ["SELECT VALUE FROM {s}.mixedcase", "SELECT Id FROM {s}.Upper", "SELECT ID FROM {s}.CUSTOMERS"] {
        if let Err(error) = bench.rows(template).await {
            return Outcome::Failed(format!("{template}: {error}"));
        }
    }
    match bench.rows("SELECT mixedcase FROM {s}.\"odd columns\"").await {
        Ok(answer) if answer.rows() == 3 => Outcome::PASSED,
        Ok(answer) => Outcome::Failed(format!("{} rows in place of 3", answer.rows())),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn exact_case(bench: &Bench) -> Outcome {
    match bench.rows("SELECT * FROM {s}.\"mixedcase\"").await {
        Err(error) if error.code() == ErrorCode::TableNotFound => Outcome::PASSED,
        Err(error) => Outcome::Failed(format!("{}: {error}", error.code().name())),
        Ok(_) => Outcome::Failed("it was found".to_owned()),
    }
}

async fn three_parts(bench: &Bench) -> Outcome {
    let sql = format!("SELECT count(*) AS n FROM {}.{}.customers", bench.source, bench.site.schema());
    Outcome::from(match ask(&bench.engine, &sql).await {
        Ok(answer) if count_in(&answer.batches) == 20 => Ok(()),
        Ok(_) => Err("it has other rows".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

async fn keys(bench: &Bench) -> Outcome {
    let mut primary = 0;
    for table in &bench.expected {
        let described = match bench.described(table.name).await {
            Ok(described) => described,
            Err(error) => return Outcome::Failed(format!("{}: {error}", table.name)),
        };
        if !described.primary_key.is_empty() {
            primary += 1;
            if described.primary_key != table.primary_key {
                return Outcome::Failed(format!("{} has the key {:?}", table.name, described.primary_key));
            }
        }
        for key in std::iter::once(&described.primary_key).chain(&described.unique_keys).filter(|key| !key.is_empty()) {
            let list: Vec<String> = key.iter().map(|column| quoted(column)).collect();
            let sql = format!(
                "SELECT count(*) AS n FROM (SELECT {0} FROM {1}.{2} GROUP BY {0} HAVING count(*) > 1) t",
                list.join(", "),
                bench.source,
                quoted(table.name)
            );
            match bench.reference.ask(&sql).await {
                Ok((_, batches)) if count_in(&batches) == 0 => {}
                other => return Outcome::Failed(format!("{} has no key {key:?}: {other:?}", table.name)),
            }
        }
    }
    match primary {
        0 => Outcome::Declined("the source keeps no keys".to_owned()),
        _ if primary < bench.expected.iter().filter(|table| !table.primary_key.is_empty()).count() => {
            Outcome::Failed("some primary keys are told, and some are not".to_owned())
        }
        _ => Outcome::PASSED,
    }
}

async fn nullability(bench: &Bench) -> Outcome {
    for table in &bench.expected {
        let Ok(described) = bench.described(table.name).await else { continue };
        for column in &described.columns {
            let nulls = table.batch.column_by_name(column.field.name()).map_or(0, |column| column.null_count());
            if !column.field.is_nullable() && nulls > 0 {
                return Outcome::Failed(format!("{}.{} has {nulls} nulls", table.name, column.field.name()));
            }
        }
    }
    Outcome::PASSED
}

async fn counts(bench: &Bench) -> Outcome {
    let mut known = 0;
    for table in &bench.expected {
        let rows = match bench.described(table.name).await {
            Ok(described) => described.statistics.rows,
            Err(error) => return Outcome::Failed(format!("{}: {error}", table.name)),
        };
        known += usize::from(rows.value().is_some());
        let wanted = table.batch.num_rows() as u64;
        if matches!(rows, RowCount::Exact(rows) if rows != wanted) {
            return Outcome::Failed(format!("{} has {rows:?}, and {wanted} rows", table.name));
        }
    }
    match (bench.capabilities.statistics, known) {
        (true, 0) => Outcome::Failed("statistics are declared, and no count is known".to_owned()),
        (false, 0) => Outcome::Declined("the source knows no counts".to_owned()),
        (false, _) => Outcome::Failed("counts are known, though that is not declared".to_owned()),
        (true, _) => Outcome::PASSED,
    }
}

async fn alone(bench: &Bench) -> Result<Bench, String> {
    let fixtures = [fixtures::named("customers"), fixtures::named("people")];
    let alone = Bench::with_fixtures(bench.harness.clone(), &fixtures).await?;
    let answer = alone.rows("SELECT * FROM {s}.people").await.map_err(|error| error.to_string())?;
    if answer.rows() == 8 { Ok(alone) } else { Err(format!("{} rows in place of 8", answer.rows())) }
}

async fn dropped(bench: &Bench) -> Outcome {
    let mut alone = match alone(bench).await {
        Ok(alone) => alone,
        Err(reason) => return Outcome::Failed(reason),
    };
    if let Err(reason) = alone.site.drop_table("people").await {
        return Outcome::Declined(reason);
    }
    match alone.rows("SELECT * FROM {s}.people").await {
        Err(error) if error.code() == ErrorCode::TableNotFound => Outcome::PASSED,
        Err(error) => Outcome::Failed(format!("{}: {error}", error.code().name())),
        Ok(answer) => Outcome::Failed(format!("{} rows of a table that is gone", answer.rows())),
    }
}

async fn added(bench: &Bench) -> Outcome {
    let mut alone = match alone(bench).await {
        Ok(alone) => alone,
        Err(reason) => return Outcome::Failed(reason),
    };
    if let Err(reason) = alone.site.add_column("people").await {
        return Outcome::Declined(reason);
    }
    Outcome::from(match alone.rows("SELECT * FROM {s}.people").await {
        Ok(answer) if answer.schema.fields().last().is_some_and(|field| field.name() == "added") => {
            let last = answer.schema.fields().len() - 1;
            let sevens = answer.batches.iter().flat_map(|batch| batch.column(last).as_primitive::<Int64Type>().iter());
            if sevens.filter(|value| *value == Some(7)).count() == 8 {
                Ok(())
            } else {
                Err("its values are others".to_owned())
            }
        }
        Ok(answer) => Err(format!("the columns are {:?}", answer.schema.fields())),
        Err(error) => Err(format!("{}: {error}", error.code().name())),
    })
}

fn count_in(batches: &[RecordBatch]) -> i64 {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter()).sum()
}
