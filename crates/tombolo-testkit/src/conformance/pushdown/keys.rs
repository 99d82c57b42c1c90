//! Keys that arrive at run time.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::execution::TaskContext;
use datafusion::prelude::SessionConfig;
use futures::{FutureExt, TryStreamExt};
use tombolo_connector::{Answer, KeyBatch, KeySupport, QueryContext, QueryState, Scan, ScanInput, ScanTable};

use super::plain;
use crate::conformance::{Bench, Outcome, Place, Trial};
use crate::harness::Evidence;

macro_rules! keys {
    ($($name:literal: $table:literal, [$($column:literal),+];)+) => {
        vec![$(plain(
            concat!("keys/", $name),
            "only rows whose key is one of those that were shipped come back; a null is nobody's key",
            |bench| async move { shipped(bench, $table, &[$($column),+]).await }.boxed(),
        )),+]
    };
}

pub(super) fn trials() -> Vec<Trial> {
    keys! {
        "of integers": "orders", ["customer_id"];
        "of text": "texts", ["t"];
        "of decimals": "people", ["pay"];
        "of dates": "visits", ["day"];
        "of floats": "floats", ["plain"];
        "of two columns": "items", ["order_id", "line"];
    }
}

async fn shipped(bench: &Bench, table: &str, columns: &[&str]) -> Outcome {
    let connector = bench.connector().await;
    let described = match bench.described(table).await {
        Ok(described) => described,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let schema = described.arrow_schema();
    let qualified = Arc::new(DFSchema::try_from_qualified_schema("t", &schema).unwrap());
    let scan = Scan::Table(ScanTable {
        columns: (0..schema.fields().len()).collect(),
        description: Arc::new(described),
        schema: qualified,
    });
    let at: Vec<usize> = columns.iter().map(|column| schema.index_of(column).unwrap()).collect();
    match (bench.capabilities.keys, connector.offer_keys(&scan, &at)) {
        (KeySupport::None, Answer::Refused(reason)) => return Outcome::Declined(reason),
        (KeySupport::None, _) => return Outcome::Failed("keys are taken, though that is not declared".to_owned()),
        (KeySupport::Exact { .. }, Answer::Refused(reason)) if columns == ["customer_id"] => {
            return Outcome::Failed(format!("keys are declared, and not even integers are taken: {reason}"));
        }
        (KeySupport::Exact { .. }, Answer::Refused(reason)) => return Outcome::Declined(reason),
        (KeySupport::Exact { .. }, _) => {}
    }
    match read(bench, &scan, &at, table, columns).await {
        Ok(()) => Outcome::Passed(Some(Place::There)),
        Err(reason) => Outcome::Failed(reason),
    }
}

async fn read(bench: &Bench, scan: &Scan, at: &[usize], table: &str, columns: &[&str]) -> Result<(), String> {
    let list = columns.join(", ");
    let keys_sql = bench.statement(&format!("SELECT DISTINCT {list} FROM {{s}}.{table} ORDER BY {list} LIMIT 5"));
    let (_, keys) = bench.reference.ask(&keys_sql).await?;
    let keys = arrow::compute::concat_batches(&keys[0].schema(), &keys).unwrap();
    let fields: Vec<_> = at.iter().map(|at| scan.schema().field(*at).as_ref().clone().with_nullable(true)).collect();
    let arrays: Vec<ArrayRef> = fields
        .iter()
        .zip(keys.columns())
        .map(|(field, keys)| arrow::compute::cast(keys, field.data_type()).unwrap())
        .collect();
    let keys =
        KeyBatch { columns: at.to_vec(), keys: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap() };
    let log = bench.log();
    let context = QueryContext {
        query_id: "keys".to_owned(),
        user: "tests".to_owned(),
        deadline: None,
        batch_size: 1024,
        target_partitions: 1,
        reads_first_rows: false,
        runtime: Arc::default(),
        session: SessionConfig::new(),
        state: QueryState::default(),
    };
    let planned = bench.connector().await.plan_scan(scan, &context).await.map_err(|error| error.to_string())?;
    let ScanInput::Reader(reader) = planned.input else { return Err("keys need a reader".to_owned()) };
    let stream = reader.open(0, Some(&keys), &Arc::new(TaskContext::default())).map_err(|error| error.to_string())?;
    let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| error.to_string())?;
    let on: Vec<String> = columns.iter().map(|column| format!("t.{column} = k.{column}")).collect();
    let wanted = format!(
        "SELECT t.* FROM {{s}}.{table} t JOIN ({}) k ON {}",
        keys_sql.replace(&bench.source, "{s}"),
        on.join(" AND ")
    );
    let (schema, wanted) = bench.reference.ask(&bench.statement(&wanted)).await?;
    let given = (scan.schema().as_arrow(), batches.as_slice());
    crate::compare::same("", given, (schema.as_ref(), wanted.as_slice()), Default::default())?;
    let events = bench.site.remote_log(&log).await;
    bench.site.shows(&events, &Evidence::Operator("keys"))
}
