//! The figures of the queries as a table.

use std::time::Duration;

use super::super::java::WARM_UP_RUNS;
use super::super::measure::milliseconds;
use super::super::server::Servers;
use super::{LIMIT, Options, SLOW};

/// Whose column is the first, where it is there.
pub(super) const TOMBOLO: &str = "Tombolo";

/// What became of one query with one contender.
pub(super) enum Outcome {
    /// The median of its runs.
    Took(Duration),
    TooSlow,
    Failed,
    /// It answered otherwise than it should.
    Differs,
    /// It does not run any more.
    Gone,
}

impl Outcome {
    pub(super) fn time(&self) -> Option<Duration> {
        match self {
            Self::Took(time) => Some(*time),
            _ => None,
        }
    }

    fn cell(&self) -> String {
        match self {
            Self::Took(time) => milliseconds(*time),
            Self::TooSlow => format!("> {} s", LIMIT.as_secs()),
            Self::Failed => "failed".to_owned(),
            Self::Differs => "differs".to_owned(),
            Self::Gone => "–".to_owned(),
        }
    }
}

/// What all contenders did with one query, Tombolo first.
pub(super) struct Line {
    pub(super) query: u8,
    pub(super) outcomes: Vec<Outcome>,
    /// The rows that came to Tombolo, by source.
    pub(super) moved: Vec<(String, u64)>,
}

pub(super) fn table(titles: &[&str], lines: &[Line]) -> String {
    // Alone the others are measured by nothing.
    let has_tombolo = titles.first() == Some(&TOMBOLO);
    let mut text = format!("\n| query | {} |", titles.join(" | "));
    text.push_str(if has_tombolo { " of the best peer | rows to Tombolo |\n" } else { "\n" });
    text.push_str(&"|---:".repeat(titles.len() + 1 + usize::from(has_tombolo)));
    text.push_str(if has_tombolo { "|---|\n" } else { "|\n" });
    for line in lines {
        let cells: Vec<String> = line.outcomes.iter().map(Outcome::cell).collect();
        text.push_str(&format!("| {} | {} |", line.query, cells.join(" | ")));
        text.push_str(&if has_tombolo { line.beside() } else { "\n".to_owned() });
    }
    let end = if has_tombolo { " |  |  |\n" } else { " |\n" };
    text.push_str(&format!("| {}{end}", summary("sum", lines, titles.len(), sum)));
    if has_tombolo {
        text.push_str(&format!("| {}{end}", summary("Tombolo of it", lines, titles.len(), mean)));
    }
    text
}

impl Line {
    /// Tombolo beside the others.
    fn beside(&self) -> String {
        let best = self.outcomes.iter().skip(1).filter_map(Outcome::time).min();
        let ratio = self.outcomes.first().and_then(Outcome::time).zip(best).map(|(time, best)| quotient(time, best));
        let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let moved: Vec<String> = self.moved.iter().map(|(source, rows)| format!("{rows} {source}")).collect();
        format!(" {ratio} | {} |\n", moved.join(", "))
    }
}

fn quotient(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// Returns a cell for each contender, from its times beside those of the first, Tombolo, where both have answered.
fn summary(name: &str, lines: &[Line], contenders: usize, figure: fn(&[(Duration, Duration)]) -> String) -> String {
    let cells = (0..contenders).map(|contender| {
        let time = |line: &Line, which: usize| line.outcomes.get(which).and_then(Outcome::time);
        let both = lines.iter().filter_map(|line| time(line, 0).zip(time(line, contender)));
        figure(&both.collect::<Vec<_>>())
    });
    [name.to_owned()].into_iter().chain(cells).collect::<Vec<String>>().join(" | ")
}

fn sum(times: &[(Duration, Duration)]) -> String {
    if times.is_empty() {
        return "–".to_owned();
    }
    format!("{} ({})", milliseconds(times.iter().map(|(_, time)| time).sum()), times.len())
}

/// The geometric mean of the ratios: half of the time and twice the time together are as long.
fn mean(times: &[(Duration, Duration)]) -> String {
    if times.is_empty() {
        return "–".to_owned();
    }
    let logarithms: f64 = times.iter().map(|(tombolo, time)| quotient(*tombolo, *time).ln()).sum();
    format!("{:.2}", (logarithms / times.len() as f64).exp())
}

pub(super) fn introduction(servers: &Servers, options: &Options, runs: u32, names: &[String]) -> String {
    let Servers { postgres, mariadb, .. } = servers;
    format!(
        "# TPC-H over three sources\n\n\
         The 22 queries of TPC-H at scale {}. `customer`, `orders` and `nation` are in {} {}, `part`, `partsupp`, `supplier` and\n\
         `region` in {} {}, both over the loopback interface; `lineitem` is a folder of Parquet files, in the order of the\n\
         generator. The tables in servers have their primary keys, the foreign keys within one server and an index on the columns\n\
         of every foreign key, and are analysed; text is `varchar`, in the server's own collation. The servers have their default\n\
         128 MB of buffers each.\n\n\
         The contenders are asked the same text, with the validation parameters of the specification's section 2.4. Each is a\n\
         process that stays, with its connections and what it knows of the tables. After one run that does not count they take\n\
         turns, {runs} times; what took more than {} s in the first run is run once more only, and what takes more than {} s is\n\
         stopped. Median in milliseconds from the question to the last row. Answers are compared with those of DuckDB over files\n\
         of the same rows: numbers may differ by a millionth, or by having fewer decimal places. `sum` is over the queries that\n\
         Tombolo has answered as well, with their number; `Tombolo of it` is the geometric mean of Tombolo's time as a part of\n\
         that contender's. Rows to Tombolo are those that came from each source, by its receipt.\n\n\
         Engines that run on Java come when the others have ended, each in a block of its own and after {WARM_UP_RUNS} queries that do\n\
         not count: their background work slows whoever runs beside them. Trino is a server with a heap of 2 GB, asked by its\n\
         client in Python and tuned as in the benchmark `join`; its Hive connector reads the same files, which it has analysed.\n\
         Spark has two cores, 2 GB and two shuffle partitions, and reads the tables of servers by JDBC, each in one partition.\n\n\
         Measured: {}. Not measured: PostgreSQL as a hub, which has no Parquet.\n",
        options.scale,
        postgres.title,
        postgres.version,
        mariadb.title,
        mariadb.version,
        SLOW.as_secs(),
        LIMIT.as_secs(),
        names.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Line, Outcome, table};

    #[test]
    fn tombolo_stands_beside_the_best_of_the_others() {
        let took = |ms| Outcome::Took(Duration::from_millis(ms));
        let moved = vec![("lake".to_owned(), 7), ("pg".to_owned(), 3)];
        let lines = [
            Line { query: 1, outcomes: vec![took(100), took(200), Outcome::Failed], moved },
            Line { query: 3, outcomes: vec![took(100), took(50), took(400)], moved: Vec::new() },
            Line { query: 5, outcomes: vec![Outcome::TooSlow, took(50), Outcome::Differs], moved: Vec::new() },
        ];
        assert_eq!(
            table(&["Tombolo", "one", "two"], &lines),
            "\n| query | Tombolo | one | two | of the best peer | rows to Tombolo |\n\
             |---:|---:|---:|---:|---:|---|\n\
             | 1 | 100.0 | 200.0 | failed | 0.50 | 7 lake, 3 pg |\n\
             | 3 | 100.0 | 50.0 | 400.0 | 2.00 |  |\n\
             | 5 | > 120 s | 50.0 | differs | – |  |\n\
             | sum | 200.0 (2) | 250.0 (2) | 400.0 (1) |  |  |\n\
             | Tombolo of it | 1.00 | 1.00 | 0.25 |  |  |\n"
        );
        assert_eq!(
            table(&["one"], &[Line { query: 1, outcomes: vec![took(200)], moved: Vec::new() }]),
            "\n| query | one |\n|---:|---:|\n| 1 | 200.0 |\n| sum | 200.0 (1) |\n"
        );
        let lines = [Line { query: 1, outcomes: vec![took(100), Outcome::Gone], moved: Vec::new() }];
        assert!(table(&["Tombolo", "one"], &lines).ends_with(
            "| 1 | 100.0 | – | – |  |\n| sum | 100.0 (1) | – |  |  |\n| Tombolo of it | 1.00 | – |  |  |\n"
        ));
    }
}
