//! A shop that somebody else has made: a folder with all rows in `oracle.sqlite` and questions with their SQL in
//! `questions_tune.jsonl`. Not part of the project; `TOMBOLO_SHOP` names the folder.

use std::path::{Path, PathBuf};

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tombolo_connector::Options;
use tombolo_engine::QueryOptions;
use tombolo_testkit::harness::{MysqlHarness, PostgresHarness};
use tombolo_testkit::samples::{Column, Kind, Reference, Sample, Table, Value};
use tombolo_testkit::{Answer, Lab, ask_with};

use super::{Loaded, catalog};

/// The tables that the shop has in PostgreSQL and in MySQL, and those that it has elsewhere.
const POSTGRES: &[&str] = &["users", "addresses"];
const MYSQL: &[&str] = &["manufacturers", "products"];
const ELSEWHERE: [&[&str]; 2] = [&["orders", "order_items"], &["page_views", "sessions"]];

/// What no row would be a table's without.
const KEYS: &[(&str, &str, &str, &str)] =
    &[("addresses", "user_id", "users", "id"), ("products", "manufacturer_id", "manufacturers", "id")];

/// A question: its SQL, and whether the rows have an order.
struct Question {
    id: String,
    gold: String,
    is_ordered: bool,
}

struct Shop {
    folder: PathBuf,
    oracle: Connection,
}

impl Shop {
    fn open(folder: &Path) -> Self {
        let path = folder.join("oracle.sqlite");
        let oracle = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { folder: folder.to_owned(), oracle }
    }

    fn questions(&self) -> Vec<Question> {
        let text = std::fs::read_to_string(self.folder.join("questions_tune.jsonl")).unwrap();
        let sql = "SELECT ?1 ->> '$.id', ?1 ->> '$.gold', ?1 ->> '$.ordered'";
        let mut read = self.oracle.prepare(sql).unwrap();
        let question = |line: &str| {
            let question = |row: &rusqlite::Row<'_>| {
                let (id, gold): (String, Option<String>) = (row.get(0)?, row.get(1)?);
                Ok::<_, rusqlite::Error>(Question { id, gold: gold.unwrap_or_default(), is_ordered: row.get(2)? })
            };
            read.query_row([line], question).unwrap()
        };
        text.lines().map(question).filter(|question| !question.gold.is_empty()).collect()
    }

    /// Some of the tables, with their rows.
    fn sample(&self, tables: &[&str]) -> Sample {
        let tables = tables.iter().map(|table| self.table(table.to_string().leak())).collect();
        Sample { name: "shop", tables, views: Vec::new() }
    }

    fn table(&self, name: &'static str) -> Table {
        let sql = format!("SELECT name, lower(type), \"notnull\", pk FROM pragma_table_info('{name}') ORDER BY cid");
        let mut read = self.oracle.prepare(&sql).unwrap();
        let described = read.query_map([], |row| {
            let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
            let is_key = row.get::<_, i64>(3)? > 0;
            let kind = match declared.as_str() {
                "integer" => Kind::Int,
                "boolean" => Kind::Flag,
                "timestamp" => Kind::Local,
                // All are amounts of money.
                "real" => Kind::Decimal(12, 4),
                "text" => Kind::Varchar(if is_key { 64 } else { 500 }),
                other => panic!("{name}.{column} is {other}"),
            };
            Ok((Column { name: column.leak(), kind, is_nullable: !is_key, is_by_bytes: false, comment: None }, is_key))
        });
        let described: Vec<(Column, bool)> = described.unwrap().map(Result::unwrap).collect();
        let mut primary_key: Vec<&'static str> =
            described.iter().filter(|(_, is_key)| *is_key).map(|(column, _)| column.name).collect();
        let mut columns: Vec<Column> = described.into_iter().map(|(column, _)| column).collect();
        if primary_key.is_empty() {
            // The lines of an order are numbered.
            primary_key = vec![columns[0].name, columns[1].name];
            columns.iter_mut().take(2).for_each(|column| column.is_nullable = false);
        }
        let mut read = self.oracle.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<Value>> {
            let cell = |(at, column): (usize, &Column)| row.get_ref(at).map(|cell| value(cell, column.kind));
            columns.iter().enumerate().map(cell).collect()
        };
        let rows = read.query_map([], row).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        let foreign =
            KEYS.iter().filter(|(table, ..)| *table == name).map(|&(_, column, table, referenced)| Reference {
                name: format!("{name}_{column}").leak(),
                columns: vec![column],
                table,
                referenced: vec![referenced],
            });
        let foreign_keys = foreign.collect();
        let (comment, unique_keys, indexes) = (Some("from the folder"), Vec::new(), Vec::new());
        Table { name, comment, columns, primary_key, unique_keys, indexes, foreign_keys, rows }
    }

    /// The rows that SQLite has for a question.
    fn gold(&self, sql: &str) -> Vec<Vec<String>> {
        let mut read = self.oracle.prepare(sql).unwrap();
        let columns = read.column_count();
        let cell = |cell: ValueRef<'_>| match cell {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(_) => panic!("a blob"),
        };
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<String>> {
            (0..columns).map(|at| row.get_ref(at).map(cell)).collect()
        };
        let rows = read.query_map([], row).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }
}

fn value(cell: ValueRef<'_>, kind: Kind) -> Value {
    let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
    match (cell, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), Kind::Flag) => Value::Flag(number != 0),
        (ValueRef::Integer(number), Kind::Decimal(_, 4)) => Value::Number(number * 10_000),
        (ValueRef::Integer(number), _) => Value::Number(number),
        (ValueRef::Real(number), Kind::Decimal(_, 4)) => {
            let scaled = (number * 10_000.0).round();
            assert!((scaled - number * 10_000.0).abs() < 1e-6, "{number} has more than four places");
            Value::Number(scaled as i64)
        }
        (ValueRef::Text(moment), Kind::Local) => {
            Value::Micros(string_to_timestamp_nanos(&text(moment)).unwrap() / 1_000)
        }
        (ValueRef::Text(letters), _) => Value::Text(text(letters)),
        (other, kind) => panic!("{other:?} is no {kind:?}"),
    }
}

/// Rows that are equal in what they are sorted by come in any order, unless told.
fn with_ties_broken(gold: &str) -> String {
    match gold.strip_suffix(" desc") {
        Some(before) => format!("{before} desc, 1"),
        None => gold.replace(" desc limit", " desc, 1 limit"),
    }
}

/// An answer's rows, as SQLite would write their values.
fn cells(answer: &Answer) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"));
    let mut rows = Vec::new();
    for batch in &answer.batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|values| ArrayFormatter::try_new(values, &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let cell = |column: &ArrayFormatter<'_>| column.value(row).to_string();
            columns.iter().map(cell).collect::<Vec<_>>()
        }));
    }
    rows
}

/// Numbers to three places, since sums and averages of binary numbers are not those of decimals.
fn rounded(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let cell = |cell: String| match cell.parse::<f64>() {
        Ok(number) if cell.contains('.') || !cell.starts_with('0') => format!("{number:.3}"),
        _ => cell,
    };
    rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_a_shop_have_their_gold_answers() {
    let Ok(folder) = std::env::var("TOMBOLO_SHOP") else {
        println!("skipped: TOMBOLO_SHOP names no shop's folder");
        return;
    };
    let shop = Shop::open(Path::new(&folder));
    let questions = shop.questions();
    assert!(!questions.is_empty());
    let mut wrong = Vec::new();
    // As the shop is, with what is in no relational database left in SQLite; and all of it in the two servers.
    for (way, more) in [("its own tables", [&[][..], &[][..]]), ("all tables", ELSEWHERE)] {
        let on_postgres = shop.sample(&[POSTGRES, more[0]].concat());
        let on_mysql = shop.sample(&[MYSQL, more[1]].concat());
        let Some(postgres) = Loaded::postgres(PostgresHarness::DEBIAN, &on_postgres).await else { return };
        let Some(maria) = Loaded::mysql(MysqlHarness::MARIADB, &on_mysql).await else { return };
        for (loaded, sample) in [(&postgres, &on_postgres), (&maria, &on_mysql)] {
            wrong.extend(catalog::differences(&catalog::engine(loaded).1, loaded, sample).await);
        }
        let mut lab = Lab::new();
        lab.source("pg", postgres.kind(), postgres.options());
        lab.source("maria", maria.kind(), maria.options());
        let path = shop.folder.join("oracle.sqlite");
        lab.source("rest", "sqlite", Options::default().with("path", path.to_str().unwrap()));
        let engine = lab.engine();
        for question in &questions {
            let search_path = ["pg", "maria", "rest"].map(str::to_owned).to_vec();
            let options = QueryOptions { search_path, ..QueryOptions::default() };
            let sql = with_ties_broken(&question.gold);
            let begun = std::time::Instant::now();
            // A function that SQLite alone has.
            let asked = sql.replace("date(created_at)", "cast(created_at as date)");
            let answer = ask_with(&engine, &asked, options).await;
            let took = begun.elapsed().as_millis();
            match answer {
                Err(error) => wrong.push(format!("{way}, {}: {sql}: {error} {:?}", question.id, error.detail())),
                Ok(answer) => {
                    let (mut told, mut gold) = (rounded(cells(&answer)), rounded(shop.gold(&sql)));
                    let parts: Vec<&str> = answer.receipt.sub_queries.iter().map(|part| part.source.as_str()).collect();
                    eprintln!("{way}, {}: {} rows from {parts:?}, {took} ms", question.id, told.len());
                    if !question.is_ordered {
                        told.sort();
                        gold.sort();
                    }
                    if let Some(at) = (0..told.len().max(gold.len())).find(|&at| told.get(at) != gold.get(at)) {
                        let (told, gold) = (told.get(at), gold.get(at));
                        wrong.push(format!("{way}, {}: {sql}: row {at} is {told:?} in place of {gold:?}", question.id));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} questions, each asked twice:\n{}",
        wrong.len(),
        questions.len(),
        wrong.join("\n")
    );
}
