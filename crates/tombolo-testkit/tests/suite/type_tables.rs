//! The tables of types in the reference are what the connectors' code says, and that is what they do on the servers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use tombolo_connector::{ErrorCode, Options};
use tombolo_connectors::sql::{NativeType, TypeTables};
use tombolo_engine::Engine;
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness, PostgresSite};
use tombolo_testkit::{Lab, ask, conformance};

fn tables(kind: &str) -> TypeTables {
    let tables = tombolo_connectors::type_tables().unwrap();
    tables.into_iter().find(|tables| tables.kind == kind).unwrap()
}

fn engine(kind: &str, options: Options) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("s", kind, options);
    let engine = lab.engine();
    (lab, engine)
}

#[test]
fn the_page_of_types_is_what_the_code_says() {
    let page = conformance::types_page(&tombolo_connectors::type_tables().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/types.md");
    if std::env::var_os("TOMBOLO_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == kept, "{} is not what the code says: set TOMBOLO_UPDATE_DOCS=1 and run this test", path.display());
}

/// What a table's column `v` is carried as.
async fn carried(engine: &Engine, table: &str) -> DataType {
    let (_, description) = engine.describe_table(&format!("s.{table}")).await.unwrap();
    description.column("v").unwrap().field.data_type().clone()
}

/// Tables `t0`, `t1` … have a column `v` of each type, in this order, and a row for each value that is said to be refused, numbered
/// from 0.
async fn check(engine: &Engine, types: &[(usize, &NativeType)], server: &str) {
    for (at, native) in types {
        let name = format!("{} of {server}", native.declared);
        assert_eq!(Some(&carried(engine, &format!("t{at}")).await), native.carried.first(), "{name}");
        for (row, (value, reason)) in native.refused.iter().enumerate() {
            let error = ask(engine, &format!("SELECT v FROM s.t{at} WHERE id = {row}")).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: {value} was to be refused, and came"));
            assert_eq!(error.code(), ErrorCode::InvalidValue, "{name}: {value}: {error}");
            assert!(error.message().contains(reason), "{name}: {value}: {error}");
        }
    }
}

/// The statements that make such a table.
fn made(at: usize, native: &NativeType, null: &str) -> Vec<String> {
    let create = format!("CREATE TABLE t{at} (id int, v {}{null})", native.declared);
    let rows = native.refused.iter().enumerate();
    let rows = rows.map(|(row, (value, _))| format!("INSERT INTO t{at} VALUES ({row}, {value})"));
    [native.setup.to_owned(), create].into_iter().chain(rows).filter(|statement| !statement.is_empty()).collect()
}

/// Each value that is sent is read back from what its literal gives in the source.
async fn check_sent(engine: &Engine, tables: &TypeTables, server: &str) {
    let mut sent = 0;
    for value in &tables.sent {
        for text in [&value.literal, &value.compared].into_iter().flatten() {
            // A number without a precision has only so many digits after its point.
            let text = match value.value.data_type() {
                DataType::Decimal128(digits, places) | DataType::Decimal256(digits, places)
                    if tables.kind == "postgres" =>
                {
                    format!("CAST({text} AS numeric({digits}, {places}))")
                }
                _ => text.clone(),
            };
            let sql = format!("SELECT v FROM query('s', 'SELECT {} AS v')", text.replace('\'', "''"));
            let answer = ask(engine, &sql).await.unwrap_or_else(|error| panic!("{server}: {sql}: {error}"));
            let batches = answer.batches.iter().filter(|batch| batch.num_rows() > 0);
            let found: Vec<ArrayRef> = batches.map(|batch| Arc::clone(batch.column(0))).collect();
            let [found] = found.as_slice() else { panic!("{server}: {sql}: {} batches", found.len()) };
            assert_eq!(read_as(found, &value.value), value.value, "{server}: {sql}");
            sent += 1;
        }
    }
    assert!(sent > 30, "{sent}");
}

/// The one value of an array as the type of another, without a loss. What is text here may be bytes where it is compared.
fn read_as(found: &ArrayRef, like: &ScalarValue) -> ScalarValue {
    assert_eq!(found.len(), 1);
    let options = CastOptions { safe: false, ..CastOptions::default() };
    ScalarValue::try_from_array(&cast_with_options(found, &like.data_type(), &options).unwrap(), 0).unwrap()
}

async fn databases() -> Vec<(&'static str, PostgresSite)> {
    let mut databases = Vec::new();
    for harness in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        match harness.missing() {
            Some(missing) => println!("skipped: {missing}"),
            None => databases.push((harness.title, harness.empty("types").await.unwrap())),
        }
    }
    databases
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_postgres_are_carried_as_the_page_says() {
    let tables = tables("postgres");
    for (title, database) in databases().await {
        let (_lab, engine) = engine("postgres", database.options());
        let there: Vec<_> = tables.native.iter().enumerate().filter(|(_, native)| native.only != "PostGIS").collect();
        let statements: Vec<String> = there.iter().flat_map(|(at, native)| made(*at, native, "")).collect();
        database.run(&statements.join("; ")).await;
        check(&engine, &there, title).await;
        check_sent(&engine, &tables, title).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_postgres_that_the_page_does_not_name_is_text() {
    let tables = tables("postgres");
    for (title, database) in databases().await {
        let (_lab, engine) = engine("postgres", database.options());
        // As the catalog calls the types of the table, without what is in parentheses.
        let columns =
            tables.native.iter().enumerate().filter(|(_, native)| native.setup.is_empty() && native.only != "PostGIS");
        let columns: Vec<String> = columns.map(|(at, native)| format!("c{at} {}", native.declared)).collect();
        database
            .run(&format!(
                "CREATE TABLE named ({}); \
                 DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE every (' || string_agg(format('c%s %s', t.oid, format_type(t.oid, NULL)), ', ') \
                 || ')' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'pg_catalog' \
                 AND t.typtype IN ('b', 'r', 'm') AND t.typisdefined \
                 AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typtype IN ('c', 'p'))); END $$",
                columns.join(", ")
            ))
            .await;
        let (_, named) = engine.describe_table("s.named").await.unwrap();
        let plain = |name: &str| {
            let (before, after) = name.split_once('(').unwrap_or((name, ""));
            format!("{before}{}", after.split_once(')').map_or("", |(_, after)| after))
        };
        let known: BTreeMap<String, DataType> =
            named.columns.iter().map(|column| (plain(&column.remote_type), column.field.data_type().clone())).collect();
        let (_, every) = engine.describe_table("s.every").await.unwrap();
        let mut unnamed = 0;
        for column in &every.columns {
            let name = plain(&column.remote_type);
            if !known.contains_key(&name) {
                unnamed += 1;
                let element = name.strip_suffix("[]").and_then(|element| known.get(element));
                // Arrays of what is carried by itself are lists, of whatever it is.
                match (element, column.field.data_type()) {
                    (Some(element), DataType::List(field)) => assert_eq!(field.data_type(), element, "{title}: {name}"),
                    (_, carried) => assert_eq!(*carried, DataType::Utf8, "{title}: {name}"),
                }
            }
        }
        assert!(every.columns.len() > 100 && unnamed > 50, "{title}: {} types, {unnamed}", every.columns.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_mysql_are_carried_as_the_page_says() {
    let tables = tables("mysql");
    for server in MysqlHarness::ALL {
        if let Some(missing) = server.missing() {
            println!("skipped: {missing}");
            continue;
        }
        let site = server.open("types", &[]).await.unwrap();
        let there = |native: &NativeType| native.only.is_empty() || server.title.starts_with(native.only);
        let there: Vec<_> = tables.native.iter().enumerate().filter(|(_, native)| there(native)).collect();
        // Values are taken that no strict server would take.
        let settings = ["SET sql_mode = '', time_zone = '+00:00'".to_owned(), format!("USE {}", site.schema())];
        let statements = there.iter().flat_map(|(at, native)| made(*at, native, " NULL"));
        server.run(&settings.into_iter().chain(statements).collect::<Vec<_>>()).await.unwrap();
        let (with_option, plain): (Vec<_>, Vec<_>) = there.into_iter().partition(|(_, native)| native.option.is_some());
        let (_lab, engine) = engine("mysql", site.options());
        check(&engine, &plain, server.title).await;
        check_sent(&engine, &tables, server.title).await;
        for (at, native) in with_option {
            let (name, value) = native.option.unwrap();
            let (_lab, engine) = self::engine("mysql", site.options().with(name, value.parse::<bool>().unwrap()));
            check(&engine, &[(at, native)], server.title).await;
        }
    }
}

#[tokio::test]
async fn types_of_sqlite_are_carried_as_the_page_says() {
    let tables = tables("sqlite");
    let mut lab = Lab::new();
    let file = lab.sqlite("s");
    let there: Vec<_> = tables.native.iter().enumerate().collect();
    for (at, native) in &there {
        // A table of each type that a column of this declaration may be carried as, with a value of that type and no other.
        for (turn, data_type) in native.carried.iter().enumerate() {
            let value = match data_type {
                DataType::Boolean | DataType::Int64 => "1",
                DataType::Float64 => "0.000123",
                DataType::Decimal128(..) => "1.5",
                DataType::Date32 => "'2024-02-29'",
                DataType::Timestamp(_, None) => "'2024-02-29 01:30:00'",
                DataType::Timestamp(_, Some(_)) => "'2024-02-29 01:30:00Z'",
                DataType::Binary => "x'01'",
                _ => "'x'",
            };
            file.execute(&format!(
                "CREATE TABLE t{at}_{turn} (v {}); INSERT INTO t{at}_{turn} VALUES ({value})",
                native.declared
            ));
        }
        file.execute(&made(*at, native, "").join("; "));
    }
    let engine = lab.engine();
    for (at, native) in &there {
        for (turn, data_type) in native.carried.iter().enumerate() {
            assert_eq!(carried(&engine, &format!("t{at}_{turn}")).await, *data_type, "{}", native.declared);
        }
    }
    check(&engine, &there, "SQLite").await;
}
