use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use tombolo_connector::{Collation, ErrorCode, RowCount, TableKind, TableRef};

use super::support::{Bench, context, lines, read, whole};
use crate::sqlite::config::parse_url;

fn decimal(precision: u8, scale: i8) -> DataType {
    DataType::Decimal128(precision, scale)
}

#[tokio::test]
async fn declared_types_become_arrow_types() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    let cases = [
        ("INTEGER", "1", DataType::Int64, true),
        ("UNSIGNED BIG INT", "-9223372036854775808", DataType::Int64, true),
        ("INTEGER", "'abc'", DataType::Int64, false),
        ("REAL", "1", DataType::Float64, true),
        ("VARCHAR(10)", "1", DataType::Utf8, true),
        ("TEXT", "X'00'", DataType::Utf8, false),
        ("BLOB", "X'00'", DataType::Binary, true),
        ("BOOLEAN", "1", DataType::Boolean, true),
        ("BOOLEAN", "2", DataType::Boolean, false),
        ("DATE", "'2024-02-29'", DataType::Date32, true),
        ("DATE", "'2024-02-30'", DataType::Date32, false),
        ("DATE", "1700000000", DataType::Int64, true),
        ("DATETIME", "'2024-02-29 10:00:00'", micros.clone(), true),
        ("DATETIME", "'2024-02-29T10:00:00.123'", micros.clone(), true),
        ("DATETIME", "'2024-02-29 10:00'", micros, false),
        ("TIMESTAMP", "'2024-02-29T10:00:00Z'", zoned.clone(), true),
        ("TIMESTAMP", "'2024-02-29 10:00:00+02:00'", zoned, false),
        ("DECIMAL(10,2)", "12.3", decimal(10, 2), true),
        ("DECIMAL(10,2)", "12.345", DataType::Float64, true),
        ("DECIMAL(10,2)", "'x'", decimal(10, 2), false),
        ("NUMERIC", "7", DataType::Int64, true),
        ("NUMERIC", "7.5", DataType::Float64, true),
        ("STRING", "'a'", DataType::Utf8, true),
        ("", "'a'", DataType::Utf8, true),
        ("", "X'61'", DataType::Binary, true),
    ];
    let mut sql = String::new();
    for (at, (declared, value, ..)) in cases.iter().enumerate() {
        sql.push_str(&format!("CREATE TABLE t{at} (v {declared}); INSERT INTO t{at} VALUES ({value}), (NULL);"));
    }
    let bench = Bench::new(&sql).await;
    for (at, (declared, value, data_type, uniform)) in cases.iter().enumerate() {
        let column = &bench.table(&format!("t{at}")).columns[0];
        assert_eq!((column.field.data_type(), column.uniform), (data_type, *uniform), "{declared} {value}");
        assert_eq!(&column.remote_type, declared);
    }
}

#[tokio::test]
async fn keys_indexes_and_statistics_are_described() {
    let bench = Bench::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, n TEXT COLLATE NOCASE, two AS (id * 2));
         CREATE TABLE b (x INTEGER, y INTEGER, a_id INTEGER REFERENCES a, PRIMARY KEY (y, x)) WITHOUT ROWID;
         CREATE INDEX b_part ON b (a_id, x) WHERE a_id > (1);
         CREATE VIEW v AS SELECT id, n FROM a;
         INSERT INTO a (id, code, n) VALUES (1, 'x', NULL), (2, 'y', 'q');
         ANALYZE;",
    )
    .await;
    let names: Vec<&str> = bench.tables.iter().map(|table| table.table.table.as_str()).collect();
    assert_eq!(names, ["a", "b", "v"]);
    let a = bench.table("a");
    assert_eq!(
        (a.kind, a.statistics.rows, &a.primary_key),
        (TableKind::Table, RowCount::Exact(2), &vec!["id".to_owned()])
    );
    assert_eq!(a.unique_keys, [["code"]]);
    assert_eq!(a.column("n").unwrap().collation, Collation::Other("NOCASE".to_owned()));
    assert_eq!(a.statistics.columns["n"].null_fraction, Some(0.5));
    assert!(!a.column("id").unwrap().field.is_nullable() && !a.column("code").unwrap().field.is_nullable());
    assert_eq!(a.columns.len(), 4, "the generated column is read");
    let b = bench.table("b");
    assert_eq!(b.primary_key, ["y", "x"]);
    let index = b.indexes.iter().find(|index| index.name == "b_part").unwrap();
    assert_eq!(
        (&index.columns, index.condition.as_deref()),
        (&vec!["a_id".to_owned(), "x".to_owned()], Some("a_id > (1)"))
    );
    let key = &b.foreign_keys[0];
    assert_eq!(
        (&key.columns, &key.references.table, &key.referenced_columns),
        (&vec!["a_id".to_owned()], &"a".to_owned(), &vec!["id".to_owned()])
    );
    assert_eq!(bench.table("v").kind, TableKind::View);
}

#[tokio::test]
async fn a_missing_table_is_not_found_and_the_nearest_is_named() {
    let bench = Bench::new("CREATE TABLE customers (id)").await;
    let error = bench.connector.describe_table(&TableRef::new("main", "custmers")).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), (ErrorCode::TableNotFound, Some("Did you mean `customers`?")));
    let error = bench.connector.list_tables("public").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaNotFound);
}

#[tokio::test]
async fn unverified_columns_are_not_compared_but_strict_ones_are() {
    let sql = "CREATE TABLE loose (id INTEGER PRIMARY KEY, v INTEGER); CREATE TABLE firm (v INTEGER) STRICT;";
    let bench = Bench::with_options(sql, &[("verify_types", "never")]).await;
    let refused = bench.native("SELECT id FROM loose WHERE v = 1").await;
    assert!(refused.contains("verify_types = \"always\""), "{refused}");
    for sql in [
        "SELECT v FROM loose",
        "SELECT id FROM loose WHERE id = 1",
        "SELECT id FROM loose WHERE v IS NULL",
        "SELECT v FROM firm WHERE v = 1",
    ] {
        let native = bench.native(sql).await;
        assert!(native.starts_with("SELECT"), "{sql}: {native}");
    }
}

#[tokio::test]
async fn a_descending_integer_key_is_no_row_id() {
    let bench = Bench::new(
        "CREATE TABLE down (id INTEGER PRIMARY KEY DESC); INSERT INTO down VALUES (NULL), (3);
         CREATE TABLE up (id INTEGER, PRIMARY KEY (id DESC));",
    )
    .await;
    assert!(bench.table("down").column("id").unwrap().field.is_nullable());
    assert!(!bench.table("up").column("id").unwrap().field.is_nullable(), "a constraint of the table is an alias");
    let rows = read(bench.connector.as_ref(), &whole(bench.table("down")), &context(), None).await.unwrap();
    assert_eq!(lines(&rows, false), ["(3)", "(NULL)"]);
}

#[test]
fn urls_of_database_files_are_known() {
    let path =
        |url: &str| parse_url(url).map(|options| options.map(|options| options.text("path").map(ToOwned::to_owned)));
    for (url, expected) in [
        ("sqlite:shop.db", Some("shop.db")),
        ("sqlite:///srv/shop.data", Some("/srv/shop.data")),
        ("data/Shop.SQLite3", Some("data/Shop.SQLite3")),
        ("shop.parquet", None),
        ("http://host/x.db", None),
        ("data/*.db", None),
    ] {
        assert_eq!(path(url).map(|path| path.unwrap().unwrap()).as_deref(), expected, "{url}");
    }
    assert!(path("sqlite::memory:").unwrap().is_err());
}
