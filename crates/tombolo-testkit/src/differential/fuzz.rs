use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::judge::{AloneVerdict, Difference, Verdict};
use super::shrink::{shrunk, with_fewer_rows};
use super::statement::Statement;
use super::world::{Databases, Placement, World};
use crate::generate::tables::{Collection, tables};
use crate::generate::tree::Query;
use crate::generate::{Generator, Random, Reader};

/// Queries over one placement of the tables.
const BATCH: usize = 150;
/// Queries that run at a time.
const SIDE_BY_SIDE: usize = 2;
/// After so many differences a run ends: what follows is mostly the same again.
const MOST_DIFFERENCES: usize = 8;

/// How long a run goes on.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    pub time: Duration,
    pub queries: usize,
}

/// What a run counted.
#[derive(Debug, Default)]
pub struct Counts {
    pub queries: usize,
    /// Queries that all ways answered alike, and their rows.
    pub answered: usize,
    pub rows: usize,
    pub empty: usize,
    /// Answers that SQLite alone gave too, and those that it was not asked for or gave up.
    pub alone: usize,
    pub given_up: usize,
    /// Answers that SQLite alone gave too, and plain DataFusion did not.
    pub against_reference: usize,
    pub refused: BTreeMap<&'static str, usize>,
    /// Failures of all ways alike.
    pub failed: BTreeMap<String, usize>,
    pub differences: Vec<Found>,
}

/// A query that not all ways answer alike.
#[derive(Debug)]
pub struct Found {
    /// The seed with which it is in the first batch, and its number there.
    pub seed: u64,
    pub number: usize,
    /// The query as it was made, and as small as it could be made.
    pub whole: String,
    pub sql: String,
    pub alone: Option<String>,
    pub placement: String,
    /// The rows that are left of the tables that the query names.
    pub rows: String,
    pub difference: Difference,
}

/// The tables, placed, of a seed.
async fn world(seed: u64, databases: Databases) -> World {
    let mut random = Random::new(seed);
    let collection = random.weighted(&[(45, Collection::Rows), (35, Collection::Fixtures), (20, Collection::Tpch)]);
    let data = tables(collection, random.bits());
    let placement = Placement::random(&mut random, &data);
    World::new(&data, &placement, databases).await
}

/// Runs made queries, the first batch of them with this seed, the next with the next.
///
/// Each is asked as it is, with nothing pushed, on one stream with small batches, with one rule of push-down off, which
/// changes from query to query, and of plain DataFusion; and of SQLite where it means the same there.
pub async fn fuzz(seed: u64, until: Until, databases: Databases, progress: &mut dyn FnMut(&Counts)) -> Counts {
    let begun = Instant::now();
    // For a query that ends the whole program.
    let is_shown = std::env::var_os("TOMBOLO_FUZZ_SHOW").is_some();
    let mut counts = Counts::default();
    for batch in 0.. {
        let seed = seed.wrapping_add(batch);
        let world = Arc::new(world(seed, databases).await);
        let tables = world.tables.clone();
        let mut generator = Generator::new(seed, &tables);
        let mut running: JoinSet<(usize, Query, Verdict)> = JoinSet::new();
        let mut different = Vec::new();
        for number in 0..BATCH {
            let is_over = begun.elapsed() >= until.time || counts.queries + running.len() >= until.queries;
            if is_over || counts.differences.len() + different.len() >= MOST_DIFFERENCES {
                break;
            }
            let (query, world) = (generator.next_query(), Arc::clone(&world));
            if is_shown {
                #[expect(
                    clippy::print_stderr,
                    reason = "whoever looks for a query that ends the program has nothing else"
                )]
                let () = eprintln!("seed {seed}, query {number}: {}", query.sql());
            }
            running.spawn(async move {
                let ways = ways(&world, number);
                let alone = query.print(Reader::Sqlite).ok();
                let verdict = world.judge(&Statement::new(&query.sql()), &ways, alone.as_deref()).await;
                (number, query, verdict)
            });
            if running.len() == SIDE_BY_SIDE
                && let Some(judged) = running.join_next().await
            {
                different.extend(counts.add(judged.expect("judging does not panic")));
            }
        }
        while let Some(judged) = running.join_next().await {
            different.extend(counts.add(judged.expect("judging does not panic")));
        }
        for (number, query, difference) in different {
            let (query, difference, smaller) = smallest(&world, seed, query, difference).await;
            counts.differences.push(Found {
                seed,
                number,
                whole: query.0,
                alone: query.1.print(Reader::Sqlite).ok(),
                sql: query.1.sql(),
                placement: placement_of(&smaller, &query.1.sql()),
                rows: rows_of(&smaller, &query.1.sql()),
                difference,
            });
        }
        progress(&counts);
        let is_over = begun.elapsed() >= until.time || counts.queries >= until.queries;
        if is_over || counts.differences.len() >= MOST_DIFFERENCES {
            break;
        }
    }
    counts
}

async fn smallest(world: &World, seed: u64, query: Query, found: Difference) -> ((String, Query), Difference, World) {
    let whole = query.sql();
    let (query, found) = shrunk(world, &query, &found).await;
    let smaller = with_fewer_rows(self::world(seed, world.databases).await, &query, &found).await;
    ((whole, query), found, smaller)
}

/// All ways that differ much, and one rule off.
fn ways(world: &World, number: usize) -> Vec<usize> {
    vec![0, 1, 2, 3 + number % (world.ways.len() - 3)]
}

fn placement_of(world: &World, sql: &str) -> String {
    let mut placement = world.placement.clone();
    placement.0.retain(|table, _| sql.contains(table));
    placement.to_string()
}

fn rows_of(world: &World, sql: &str) -> String {
    let named = world.data.iter().filter(|table| sql.contains(&table.name));
    let text = named.map(|table| {
        let rows = arrow::util::pretty::pretty_format_batches(&table.batches).unwrap();
        format!("{}\n{rows}", table.name)
    });
    text.collect::<Vec<_>>().join("\n")
}

impl Counts {
    fn add(&mut self, (number, query, verdict): (usize, Query, Verdict)) -> Option<(usize, Query, Difference)> {
        self.queries += 1;
        match verdict {
            Verdict::Same { rows, alone } => {
                self.answered += 1;
                self.rows += rows;
                self.empty += usize::from(rows == 0);
                self.alone += usize::from(alone == AloneVerdict::Same);
                self.against_reference += usize::from(alone == AloneVerdict::AgainstReference);
                self.given_up += usize::from(alone == AloneVerdict::GivenUp);
            }
            Verdict::Refused(reason) => *self.refused.entry(reason).or_default() += 1,
            Verdict::Fails(error) => *self.failed.entry(outline(&error)).or_default() += 1,
            Verdict::Different(difference) => return Some((number, query, difference)),
        }
        None
    }
}

/// An error without the names and numbers of its query.
fn outline(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let words = line.split_whitespace().map(|word| if word.chars().any(|c| c.is_ascii_digit()) { "…" } else { word });
    words.take(16).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queries, answered, rows, empty, alone, given_up, against_reference, .. } = self;
        writeln!(f, "{queries} queries: {answered} answered alike with {rows} rows, {empty} of them empty")?;
        writeln!(f, "{alone} answered by SQLite alone too; {given_up} given up there")?;
        writeln!(f, "{against_reference} answered so by all but plain DataFusion")?;
        for (reason, count) in &self.refused {
            writeln!(f, "{count} refused: {reason}")?;
        }
        for (error, count) in &self.failed {
            writeln!(f, "{count} failed in all ways: {error}")?;
        }
        write!(f, "{} differences", self.differences.len())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, number, whole, sql, alone, placement, rows, difference } = self;
        writeln!(f, "seed {seed}, query {number}\n{whole}\nis as small as\n{sql}")?;
        if let Some(alone) = alone {
            writeln!(f, "in SQLite's words\n{alone}")?;
        }
        write!(f, "{difference}\nover {placement}\n{rows}")
    }
}
