//! Queries made at random: a few in each run of the suite, as many as are wished for by `cargo xtask fuzz`.

use std::time::Duration;

use tombolo_testkit::differential::{Counts, Databases, Until, fuzz};
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness};

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // Short enough to be typed.
    now.as_millis() as u64 % 1_000_000_007
}

async fn asked(databases: Databases) {
    let seed = number("TOMBOLO_FUZZ_SEED").unwrap_or_else(fresh_seed);
    let until = match number("TOMBOLO_FUZZ_MINUTES") {
        Some(minutes) => Until { time: Duration::from_secs(minutes * 60), queries: usize::MAX },
        // What the suite has time for.
        None => Until { time: Duration::from_secs(45), queries: 100 },
    };
    let until =
        Until { queries: number("TOMBOLO_FUZZ_QUERIES").map_or(until.queries, |count| count as usize), ..until };
    eprintln!("seed {seed}");
    let begun = std::time::Instant::now();
    let mut shown = 0;
    let mut progress = |counts: &Counts| {
        for found in &counts.differences[shown..] {
            eprintln!("\n{found}\n");
        }
        shown = counts.differences.len();
        eprintln!("{:.0} s: {} queries, {shown} differences", begun.elapsed().as_secs_f64(), counts.queries);
    };
    let counts = fuzz(seed, until, databases, &mut progress).await;
    eprintln!("seed {seed}, {:.0} s\n{counts}", begun.elapsed().as_secs_f64());
    assert!(counts.differences.is_empty(), "repeat with TOMBOLO_FUZZ_SEED={}", counts.differences[0].seed);
    assert!(counts.queries > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_made_at_random_are_answered_alike_in_all_ways() {
    asked(Databases::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_made_at_random_over_postgres_are_answered_alike_in_all_ways() {
    let harness = PostgresHarness::DEBIAN;
    match harness.missing() {
        Some(missing) => println!("skipped: {missing}"),
        None => asked(Databases::Postgres(harness)).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_made_at_random_over_mysql57_are_answered_alike_in_all_ways() {
    over_mysql(MysqlHarness::MYSQL57).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_made_at_random_over_mariadb_are_answered_alike_in_all_ways() {
    over_mysql(MysqlHarness::MARIADB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_made_at_random_over_mysql9_are_answered_alike_in_all_ways() {
    over_mysql(MysqlHarness::MYSQL9).await;
}

async fn over_mysql(harness: MysqlHarness) {
    match harness.missing() {
        Some(missing) => println!("skipped: {missing}"),
        None => asked(Databases::Mysql(MysqlHarness { is_logged: false, ..harness })).await,
    }
}
