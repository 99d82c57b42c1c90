use std::fmt::Write;

use tombolo_connector::Result;

use crate::mysql::catalog::RangeKey;
use crate::mysql::client::{Connection, Row};
use crate::mysql::native::KeyRange;

/// How many ranges of equal width the keys are looked at in, for each stream.
const CELLS_A_STREAM: usize = 8;

/// How many a range with many rows is cut into.
const FINER_CELLS: usize = 16;

/// How many ranges the server is asked about before no more are cut.
const MAX_QUESTIONS: usize = 512;

/// Some of the keys, from the first on and up to the last and without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    from: i128,
    to: i128,
    /// The server's estimate.
    rows: u64,
}

/// Cuts a table into ranges of its key that have about as many rows each; `table` is as a FROM clause names it. None where it has no
/// rows.
pub(super) async fn ranges(
    connection: &mut Connection,
    table: &str,
    key: &RangeKey,
    streams: usize,
) -> Result<Option<Vec<KeyRange>>> {
    let (column, index) = (quoted(&key.column), quoted(&key.index));
    let ends = connection.query(&format!("SELECT min({column}), max({column}) FROM {table}")).await?;
    let end = |at: usize| ends.first()?.get(at)?.as_ref()?.parse::<i128>().ok();
    let (Some(least), Some(greatest)) = (end(0), end(1)) else { return Ok(None) };
    let mut cells = split(Cell { from: least, to: greatest + 1, rows: 0 }, streams * CELLS_A_STREAM);
    let mut questions = 0;
    loop {
        let mut statements = String::new();
        // What was looked at before keeps its number.
        for cell in cells.iter().filter(|cell| cell.rows == 0) {
            let range = KeyRange { column: String::new(), from: Some(cell.from), to: Some(cell.to) };
            let condition = range.condition(&column).unwrap_or_default();
            let _ =
                write!(statements, "EXPLAIN SELECT {column} FROM {table} FORCE INDEX ({index}) WHERE {condition}; ");
        }
        let plans = connection.query(statements.trim_end_matches("; ")).await?;
        for (cell, plan) in cells.iter_mut().filter(|cell| cell.rows == 0).zip(&plans) {
            cell.rows = estimated_rows(plan).max(1);
        }
        questions += plans.len();
        let Some(finer) = refined(&cells, streams).filter(|_| questions < MAX_QUESTIONS) else { break };
        cells = finer;
    }
    Ok(Some(key_ranges(&cells, &key.column, streams)))
}

/// The tenth column of MariaDB's EXPLAIN less one: `rows`, which is null where the server knows that there are none.
fn estimated_rows(plan: &Row) -> u64 {
    plan.get(8).and_then(|rows| rows.as_ref()?.parse().ok()).unwrap_or(0)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Cells of equal width in place of one, whose rows are not known yet.
fn split(cell: Cell, count: usize) -> Vec<Cell> {
    // The keys are of 64 bits, with a sign or without.
    let width = u128::try_from(cell.to - cell.from).unwrap_or_default();
    let count = (count as u128).min(width.max(1));
    let at = |number: u128| cell.from + i128::try_from(width * number / count).unwrap_or_default();
    (0..count).map(|number| Cell { from: at(number), to: at(number + 1), rows: 0 }).collect()
}

/// The cells, those with many rows split; none where there are none of these.
fn refined(cells: &[Cell], streams: usize) -> Option<Vec<Cell>> {
    // Twice what each has where keys are spread evenly.
    let most = total(cells) * 2 / (streams * CELLS_A_STREAM).max(1) as u64;
    let is_coarse = |cell: &Cell| cell.rows > most.max(1) && cell.to - cell.from > 1;
    cells.iter().any(is_coarse).then(|| {
        let finer = cells.iter().flat_map(|cell| if is_coarse(cell) { split(*cell, FINER_CELLS) } else { vec![*cell] });
        finer.collect()
    })
}

fn total(cells: &[Cell]) -> u64 {
    cells.iter().map(|cell| cell.rows).sum()
}

/// Ranges of about as many rows; the first has no begin and the last no end, so that together they have every key.
fn key_ranges(cells: &[Cell], column: &str, streams: usize) -> Vec<KeyRange> {
    let (total, streams) = (u128::from(total(cells)), streams as u128);
    let mut bounds: Vec<i128> = Vec::new();
    let mut before = 0_u128;
    for cell in cells {
        // Several bounds may fall into one cell, which cannot be cut.
        while bounds.len() as u128 + 1 < streams && before * streams >= total * (bounds.len() as u128 + 1) {
            bounds.push(cell.from);
        }
        before += u128::from(cell.rows);
    }
    bounds.dedup();
    let froms = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let tos = bounds.iter().copied().map(Some).chain([None]);
    froms.zip(tos).map(|(from, to)| KeyRange { column: column.to_owned(), from, to }).collect()
}

#[cfg(test)]
mod tests {
    use super::{CELLS_A_STREAM, Cell, key_ranges, refined, split};

    /// The ranges over keys of which so many rows have each.
    fn ranges_over(keys: &[(i128, u64)], streams: usize) -> Vec<(Option<i128>, Option<i128>)> {
        let ends = (keys[0].0, keys[keys.len() - 1].0);
        let counted = |mut cells: Vec<Cell>| {
            for cell in &mut cells {
                let rows = keys.iter().filter(|(key, _)| (cell.from..cell.to).contains(key)).map(|(_, rows)| rows);
                cell.rows = rows.sum::<u64>().max(1);
            }
            cells
        };
        let mut cells = counted(split(Cell { from: ends.0, to: ends.1 + 1, rows: 0 }, streams * CELLS_A_STREAM));
        for _ in 0..20 {
            let Some(finer) = refined(&cells, streams) else { break };
            cells = counted(finer);
        }
        let ranges = key_ranges(&cells, "k", streams);
        // Each range begins where the one before ends, and nothing is before the first or after the last.
        assert!(ranges.len() <= streams);
        assert_eq!((ranges[0].from, ranges[ranges.len() - 1].to), (None, None));
        assert!(ranges.windows(2).all(|pair| pair[0].to.is_some() && pair[0].to == pair[1].from), "{ranges:?}");
        assert!(ranges.iter().all(|range| range.from.zip(range.to).is_none_or(|(from, to)| from < to)), "{ranges:?}");
        ranges.into_iter().map(|range| (range.from, range.to)).collect()
    }

    #[test]
    fn keys_that_are_spread_evenly_are_cut_evenly() {
        let keys: Vec<(i128, u64)> = (1..=8_000).map(|key| (key, 1)).collect();
        assert_eq!(
            ranges_over(&keys, 4),
            [(None, Some(2_001)), (Some(2_001), Some(4_001)), (Some(4_001), Some(6_001)), (Some(6_001), None)]
        );
    }

    #[test]
    fn a_key_far_away_does_not_leave_all_rows_to_one_stream() {
        for far in [i128::from(i64::MAX), i128::from(u64::MAX), 100_000_000] {
            let keys: Vec<(i128, u64)> = (1..=10_000).map(|key| (key, 1)).chain([(far, 1)]).collect();
            let ranges = ranges_over(&keys, 4);
            assert_eq!(ranges.len(), 4, "{ranges:?}");
            let rows = |(from, to): &(Option<i128>, Option<i128>)| {
                let is_in = |key: i128| from.is_none_or(|from| key >= from) && to.is_none_or(|to| key < to);
                keys.iter().filter(|(key, _)| is_in(*key)).count()
            };
            assert!(ranges.iter().all(|range| (1_500..4_000).contains(&rows(range))), "{ranges:?}");
        }
    }

    #[test]
    fn few_keys_make_few_ranges() {
        assert_eq!(ranges_over(&[(7, 1_000)], 4), [(None, None)]);
        assert_eq!(ranges_over(&[(-1, 500), (0, 500)], 4), [(None, Some(0)), (Some(0), None)]);
        let all = [(i128::from(i64::MIN), 500), (i128::from(i64::MAX), 500)];
        assert_eq!(ranges_over(&all, 2).len(), 2);
    }
}
