use std::time::{Duration, Instant};

use super::judge::{Difference, Kind, Verdict};
use super::statement::Statement;
use super::world::World;
use crate::generate::Reader;
use crate::generate::tree::Query;

/// How many queries may be asked to make one smaller.
const MOST_TRIES: usize = 600;
/// How long that may take, and taking rows out.
const MOST_TIME: Duration = Duration::from_secs(60);

/// Makes a query that shows a difference smaller, as long as the same way differs in the same manner.
pub async fn shrunk(world: &World, query: &Query, difference: &Difference) -> (Query, Difference) {
    let (mut query, mut difference) = (query.clone(), difference.clone());
    let (mut step, mut tries, mut since_success) = (0, 0, 0);
    let begun = Instant::now();
    while tries < MOST_TRIES && begun.elapsed() < MOST_TIME {
        let Some(smaller) = query.reduced(step) else {
            // Once more from the beginning, since each step makes room for others.
            if since_success == step {
                break;
            }
            (step, since_success) = (0, 0);
            continue;
        };
        tries += 1;
        match still(world, &smaller, &difference.way, &difference.kind).await {
            Some(found) => {
                (query, difference) = (smaller, found);
                since_success = 0;
            }
            None => {
                step += 1;
                since_success += 1;
            }
        }
    }
    (query, difference)
}

/// The difference that a query shows, if it is of this way and kind.
async fn still(world: &World, query: &Query, way: &str, kind: &Kind) -> Option<Difference> {
    let ways: Vec<usize> = (0..world.ways.len()).filter(|&index| world.ways[index].name == way).collect();
    let alone = if ways.is_empty() { Some(query.print(Reader::Sqlite).ok()?) } else { None };
    match world.judge(&Statement::new(&query.sql()), &ways, alone.as_deref()).await {
        Verdict::Different(found) if found.way == way && found.kind == *kind => Some(found),
        _ => None,
    }
}

/// Takes rows out of the tables as long as the query goes on differing, and gives what is left of them.
pub async fn with_fewer_rows(world: World, query: &Query, difference: &Difference) -> World {
    let mut world = world;
    let begun = Instant::now();
    let sql = query.sql();
    for index in 0..world.data.len() {
        let is_named = sql.contains(&world.data[index].name);
        let rows = world.data[index].rows();
        // Halves, then quarters, then eighths.
        let mut chunk = if is_named { rows.div_ceil(2) } else { rows.max(1) };
        for _ in 0..4 {
            let mut from = 0;
            while from < world.data[index].rows() && chunk > 0 && begun.elapsed() < MOST_TIME {
                let mut data = world.data.clone();
                data[index] = data[index].without(from, chunk);
                let smaller = World::new(&data, &world.placement, world.databases).await;
                match still(&smaller, query, &difference.way, &difference.kind).await {
                    Some(_) => world = smaller,
                    None => from += chunk,
                }
            }
            chunk /= 2;
        }
    }
    world
}
