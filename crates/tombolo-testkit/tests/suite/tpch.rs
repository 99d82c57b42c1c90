use std::time::{Duration, Instant};

use tombolo_engine::{Engine, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::fixtures::Fixture;
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness, Site};
use tombolo_testkit::tpch::{QUERIES, TpchTable, tables};
use tombolo_testkit::{Lab, Reference, ask, outline};

/// Rows in a row group; the larger tables get several.
const ROW_GROUP: usize = 20_000;

/// The scale at which answers are compared: 0.1, or what the environment says.
fn scale() -> f64 {
    std::env::var("TOMBOLO_TPCH_SCALE").map_or(0.1, |scale| scale.parse().expect("TOMBOLO_TPCH_SCALE is a number"))
}

/// The tables of `shop` in SQLite and those of `lake` in Parquet.
fn split(tables: &[TpchTable]) -> Lab {
    let mut lab = Lab::new();
    let (shop, lake) = (lab.sqlite("shop"), lab.files("lake"));
    for table in tables {
        if table.source == "shop" {
            shop.table(table.name, table.primary_key, &table.batches);
        } else {
            lake.parquet(table.name, ROW_GROUP, &table.batches);
        }
    }
    lab
}

/// All tables in one SQLite file.
fn together(tables: &[TpchTable]) -> Lab {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    for table in tables {
        shop.table(table.name, table.primary_key, &table.batches);
    }
    lab
}

/// A way to run the benchmark: its name, the engine, and how its tables are named.
struct Way {
    name: &'static str,
    engine: Engine,
    one_source: bool,
    took: Duration,
}

impl Way {
    fn new(name: &'static str, engine: Engine, one_source: bool) -> Self {
        Self { name, engine, one_source, took: Duration::ZERO }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_is_right_wherever_its_tables_are() {
    let scale = scale();
    let tables = tables(scale);
    let (split, together) = (split(&tables), together(&tables));
    let (plain, plain_files) = (Reference::new(), tempfile_folder());
    for table in &tables {
        let path = plain_files.1.parquet(table.name, ROW_GROUP, &table.batches);
        plain.parquet(table.source, table.name, &path).await;
    }
    drop(tables);

    let unpushed = Settings { pushdown: tombolo_engine::PushdownRules::NONE, ..split.settings() };
    let mut ways = [
        Way::new("SQLite and Parquet", split.engine(), false),
        Way::new("SQLite and Parquet, nothing pushed", split.engine_with(unpushed), false),
        Way::new("SQLite alone", together.engine(), true),
    ];
    let mut wrong = Vec::new();
    for (index, sql) in QUERIES.iter().enumerate() {
        let number = index + 1;
        let (wanted_schema, wanted) = plain.ask(sql).await.unwrap();
        let rows: usize = wanted.iter().map(arrow::array::RecordBatch::num_rows).sum();
        let mut times = Vec::new();
        for way in &mut ways {
            let sql = if way.one_source { sql.replace("lake.", "shop.") } else { (*sql).to_owned() };
            let begun = Instant::now();
            let answer = ask(&way.engine, &sql).await;
            way.took += begun.elapsed();
            times.push(begun.elapsed().as_millis());
            // SQLite has one width of integers only.
            let rules = Rules { any_width: true, ..Rules::default() };
            let outcome = match &answer {
                Err(error) => Err(format!("{error} {:?} {:?}", error.detail(), error.hint())),
                Ok(answer) => same(&sql, (&answer.schema, &answer.batches), (&wanted_schema, &wanted), rules),
            };
            if let Err(difference) = outcome {
                wrong.push(format!("Q{number} over {}: {difference}", way.name));
            }
        }
        eprintln!("Q{number}: {rows} rows, {times:?} ms");
    }
    for way in &ways {
        eprintln!("scale {scale}, {}: {:.1} s", way.name, way.took.as_secs_f64());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A database on a server with these tables in it.
async fn on_server(harness: &dyn Harness, source: &str, tables: &[TpchTable]) -> Box<dyn Site> {
    let fixture = |table: &TpchTable| Fixture {
        name: table.name,
        purpose: "TPC-H",
        primary_key: table.primary_key,
        schema: table.batches[0].schema(),
        batches: table.batches.clone(),
    };
    let fixtures: Vec<Fixture> = tables.iter().map(fixture).collect();
    harness.open(source, &fixtures.iter().collect::<Vec<_>>()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The queries that a server does not do alone as one statement, each with the sub-queries that it takes. `explain` says why:
/// averages and quotients of decimals are rounded by other rules there, and sub-selects within expressions run here.
const IN_PARTS: &[(usize, usize)] = &[(11, 2), (15, 2), (20, 3), (22, 3)];

#[tokio::test(flavor = "multi_thread")]
async fn every_query_is_right_over_servers() {
    let (postgres, maria) = (PostgresHarness::DEBIAN, MysqlHarness { is_logged: false, ..MysqlHarness::MARIADB });
    if let Some(missing) = postgres.missing().or_else(|| maria.missing()) {
        println!("skipped: {missing}");
        return;
    }
    let scale = std::env::var("TOMBOLO_TPCH_SCALE").map_or(0.02, |scale| scale.parse().unwrap());
    let begun = Instant::now();
    let (all, files) = (tables(scale), tempfile_folder());
    let plain = Reference::new();
    for table in &all {
        let path = files.1.parquet(table.name, ROW_GROUP, &table.batches);
        plain.parquet(table.source, table.name, &path).await;
    }
    let sites = [on_server(&postgres, "pg", &all).await, on_server(&maria, "maria", &all).await];
    drop(all);
    eprintln!("loaded in {:.1} s", begun.elapsed().as_secs_f64());
    let mut lab = Lab::new();
    lab.source("pg", "postgres", sites[0].options());
    lab.source("maria", "mysql", sites[1].options());
    let engine = lab.engine();
    // The customers' half of the tables and the parts' half of them, each on either server, or both on one.
    let ways = [("pg.", "maria."), ("maria.", "pg."), ("pg.", "pg."), ("maria.", "maria.")];
    let mut took = [Duration::ZERO; 4];
    let (mut wrong, mut in_parts) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (index, sql) in QUERIES.iter().enumerate() {
        let number = index + 1;
        let (wanted_schema, wanted) = plain.ask(sql).await.unwrap();
        let mut times = Vec::new();
        for (way, (shop, lake)) in ways.iter().enumerate() {
            let sql = sql.replace("shop.", shop).replace("lake.", lake);
            let begun = Instant::now();
            let answer = ask(&engine, &sql).await;
            took[way] += begun.elapsed();
            times.push(begun.elapsed().as_millis());
            let outcome = match &answer {
                Err(error) => Err(format!("{error} {:?} {:?}", error.detail(), error.hint())),
                Ok(answer) => {
                    same(&sql, (&answer.schema, &answer.batches), (&wanted_schema, &wanted), Rules::default())
                }
            };
            if let Err(difference) = outcome {
                wrong.push(format!("Q{number} over {shop} and {lake}: {difference}"));
            }
            if let (Ok(answer), true) = (&answer, way > 1) {
                let parts = answer.receipt.sub_queries.len();
                if parts != 1 {
                    in_parts[way - 2].push((number, parts));
                    let reasons = answer.receipt.sub_queries.iter().flat_map(|part| &part.not_pushed);
                    assert!(reasons.count() > 0, "Q{number} over {shop} does not say why it has {parts} parts");
                }
            }
        }
        eprintln!("Q{number}: {times:?} ms");
    }
    eprintln!("scale {scale}: {took:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(in_parts, [IN_PARTS.to_vec(), IN_PARTS.to_vec()]);
}

/// A folder of files that no engine reads.
fn tempfile_folder() -> (Lab, tombolo_testkit::FileFolder) {
    let mut lab = Lab::new();
    let folder = lab.files("plain");
    (lab, folder)
}

/// The plans show for each query what was pushed, what was not, and why. They are taken at one scale, since the strategies of
/// joins follow from the sizes of their sides.
#[tokio::test(flavor = "multi_thread")]
async fn every_plan_says_what_was_pushed_and_what_was_not() {
    let lab = split(&tables(0.01));
    let engine = lab.engine();
    for (index, sql) in QUERIES.iter().enumerate() {
        let name = format!("q{:02}", index + 1);
        let (explanation, _) = engine.explain(sql, false, Default::default()).await.unwrap();
        insta::assert_snapshot!(name, lab.without_folder(&outline::outline(&explanation)), sql);
    }
}
