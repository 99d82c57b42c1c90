//! The queries of TPC-H over tables in PostgreSQL, in MariaDB and in Parquet files, beside other engines.

mod answers;
mod data;
mod plan;
mod report;

use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use self::data::Data;
pub(super) use self::plan::run as run_plan;
use self::report::{Line, Outcome};
use super::measure::Spread;
use super::peers::{CHDB, GLAREDB, READERS, Venv};
use super::runner::{Answer, Runner};
use super::server::Servers;
use crate::interrupt::Interrupt;
use crate::output::{complain, say};
use crate::{cargo, workspace};

/// The scale, unless it is said.
const WHOLE: f64 = 1.0;

const ALL: RangeInclusive<u8> = 1..=22;

/// What takes longer is stopped.
const LIMIT: Duration = Duration::from_secs(120);

/// What takes longer at first is measured once.
const SLOW: Duration = Duration::from_secs(20);

#[derive(Args)]
#[command(next_help_heading = "Options of tpch")]
pub(super) struct Options {
    /// The size of the tables; at 1, lineitem has six million rows
    #[arg(long, default_value_t = WHOLE, value_parser = scale_argument)]
    scale: f64,
    /// The queries to run, such as 3,5 [default: all 22]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=22))]
    queries: Vec<u8>,
    /// Leave the files and the tables to the next run, and say where they are
    ///
    /// Tables stay as long as their servers do: start these before, with `cargo xtask servers start postgres mariadb`.
    #[arg(long)]
    keep: bool,
}

impl Options {
    pub(super) fn is_given(&self) -> bool {
        self.scale != WHOLE || !self.queries.is_empty() || self.keep
    }
}

fn scale_argument(text: &str) -> Result<f64> {
    let scale = text.parse::<f64>().ok().filter(|scale| (0.01..=100.0).contains(scale));
    scale.context("a scale is a number from 0.01 to 100")
}

struct Contender {
    title: &'static str,
    how: How,
}

enum How {
    /// Tombolo as a library.
    Tombolo,
    /// A peer of `benches/tpch.py`, with what it needs.
    Peer(&'static str, &'static Venv),
}

/// Whose answers are right.
static REFERENCE: Contender = Contender { title: "DuckDB over files", how: How::Peer("reference", &READERS) };

static TOMBOLO: Contender = Contender { title: "Tombolo", how: How::Tombolo };

static PEERS: [Contender; 3] = [
    Contender { title: "DuckDB", how: How::Peer("duckdb", &READERS) },
    Contender { title: "chDB", how: How::Peer("chdb", &CHDB) },
    Contender { title: "GlareDB", how: How::Peer("glaredb", &GLAREDB) },
];

/// Where the tables are.
struct Place<'a> {
    data: &'a Data,
    servers: &'a Servers,
    interrupt: &'a Interrupt,
}

struct Entry {
    contender: &'static Contender,
    /// None when it could not be started again.
    runner: Option<Runner>,
}

/// One contender's runs of one query.
#[derive(Default)]
struct Course {
    times: Vec<Duration>,
    moved: Vec<(String, u64)>,
    is_slow: bool,
    /// How it has ended, unless well.
    end: Option<Outcome>,
}

pub(super) fn run(runs: u32, options: &Options) -> Result<String> {
    over(options.scale, options.keep, |place| place.compare(runs, options))
}

/// Measures something where the tables are.
fn over(scale: f64, keep: bool, measure: impl FnOnce(&Place<'_>) -> Result<String>) -> Result<String> {
    let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "tpch"]).status();
    if !built.context("cannot run cargo")?.success() {
        bail!("the release build failed");
    }
    let interrupt = Interrupt::install()?;
    let data = Data::make(scale)?;
    let servers = Servers::start(&data::database(scale), &interrupt)?;
    let place = Place { data: &data, servers: &servers, interrupt: &interrupt };
    let report = data.load(&servers).and_then(|()| measure(&place));
    let left = if keep { place.tell() } else { [servers.empty(), data.remove()].into_iter().collect() };
    let ended = servers.end();
    let report = report?;
    left?;
    ended?;
    Ok(report)
}

impl Place<'_> {
    fn start(&self, contender: &Contender) -> Result<Runner> {
        let mut command = match contender.how {
            How::Tombolo => Command::new(workspace::target_dir()?.join("release/examples/tpch")),
            How::Peer(name, venv) => {
                let mut command = Command::new(venv.python()?);
                command.arg(workspace::root()?.join("benches/tpch.py")).arg(name);
                command
            }
        };
        command.args(self.servers.urls()?).arg(&self.data.folder);
        Runner::start(command, self.interrupt)
    }

    /// Says where the tables are.
    fn tell(&self) -> Result<()> {
        let [postgres, mariadb] = self.servers.urls()?;
        complain!("pg: {postgres}\nmaria: {mariadb}\nlake and queries: {}", self.data.folder.display());
        Ok(())
    }

    fn compare(&self, runs: u32, options: &Options) -> Result<String> {
        let queries = if options.queries.is_empty() { ALL.collect() } else { options.queries.clone() };
        let right = self.right_answers(&queries)?;
        let (mut entries, mut names, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for contender in [&TOMBOLO].into_iter().chain(&PEERS) {
            complain!("starting {}", contender.title);
            match self.start(contender) {
                Ok(runner) => {
                    names.push(runner.name.clone());
                    entries.push(Entry { contender, runner: Some(runner) });
                }
                Err(error) if contender.is_peer() && !self.interrupt.is_requested() => {
                    complain!("{} is left out: {error:#}", contender.title);
                    notes.push(format!("- left out: {}: {}", contender.title, first_line(&error)));
                }
                Err(error) => return Err(error.context(contender.title)),
            }
        }
        let mut lines = Vec::new();
        for (query, right) in queries.iter().zip(&right) {
            lines.push(self.line(*query, &mut entries, &right.rows, runs, &mut notes)?);
        }
        let titles: Vec<&str> = entries.iter().map(|entry| entry.contender.title).collect();
        let mut text = report::introduction(self.servers, options, runs, &names);
        text.push_str(&report::table(&titles, &lines));
        if !notes.is_empty() {
            text.push_str(&format!("\n{}\n", notes.join("\n")));
        }
        let wrong = lines.iter().find(|line| {
            matches!(line.outcomes.first(), Some(Outcome::Failed | Outcome::Differs | Outcome::Gone) | None)
        });
        if let Some(line) = wrong {
            say!("{text}");
            bail!("Tombolo does not answer query {} as it should", line.query);
        }
        Ok(text)
    }

    fn right_answers(&self, queries: &[u8]) -> Result<Vec<Answer>> {
        complain!("getting the right answers from {}", REFERENCE.title);
        let mut runner = self.start(&REFERENCE)?;
        let ask = |query: &u8| runner.ask(&query.to_string()).with_context(|| format!("the answer to query {query}"));
        queries.iter().map(ask).collect()
    }

    /// Runs one query by all of them, in turns.
    fn line(
        &self,
        query: u8,
        entries: &mut [Entry],
        right: &[Vec<String>],
        runs: u32,
        notes: &mut Vec<String>,
    ) -> Result<Line> {
        let mut courses: Vec<Course> = entries.iter().map(|_| Course::default()).collect();
        for round in 0..=runs {
            complain!("query {query}, round {} of {}", round + 1, runs + 1);
            for (entry, course) in entries.iter_mut().zip(&mut courses) {
                if course.end.is_none() && !(course.is_slow && round > 1) {
                    self.turn(query, entry, course, right, round == 0, notes)?;
                }
            }
        }
        let moved = courses.first().map(|course| course.moved.clone()).unwrap_or_default();
        let outcomes = courses.into_iter().map(Course::outcome).collect::<Result<Vec<Outcome>>>()?;
        Ok(Line { query, outcomes, moved })
    }

    fn turn(
        &self,
        query: u8,
        entry: &mut Entry,
        course: &mut Course,
        right: &[Vec<String>],
        is_first: bool,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let title = entry.contender.title;
        let Some(runner) = &mut entry.runner else {
            course.end = Some(Outcome::Gone);
            return Ok(());
        };
        let (end, why) = match runner.ask_within(&query.to_string(), LIMIT) {
            Ok(Some(answer)) => match answers::difference(&answer.rows, right) {
                None => {
                    if is_first {
                        course.is_slow = answer.time() > SLOW;
                    } else {
                        course.times.push(answer.time());
                    }
                    course.moved = answer.moved;
                    return Ok(());
                }
                Some(difference) => (Outcome::Differs, anyhow!(difference)),
            },
            Ok(None) => (Outcome::TooSlow, anyhow!("no answer within {} s", LIMIT.as_secs())),
            Err(error) => (Outcome::Failed, error),
        };
        if self.interrupt.is_requested() {
            return Err(why.context(title));
        }
        complain!("query {query}, {title}: {why:#}");
        if !matches!(end, Outcome::TooSlow) {
            notes.push(format!("- query {query}, {title}: {}", first_line(&why)));
        }
        let is_answered = matches!(end, Outcome::Differs);
        course.end = Some(end);
        if is_answered {
            return Ok(());
        }
        // What goes on in it, or what is left of that, would be in the way of the next query.
        if let Some(runner) = entry.runner.take() {
            runner.kill();
        }
        match self.start(entry.contender) {
            Ok(runner) => entry.runner = Some(runner),
            Err(error) => notes.push(format!("- {title} does not start again: {}", first_line(&error))),
        }
        Ok(())
    }
}

impl Contender {
    fn is_peer(&self) -> bool {
        matches!(self.how, How::Peer(..))
    }
}

impl Course {
    fn outcome(self) -> Result<Outcome> {
        Ok(match self.end {
            Some(end) => end,
            None => Outcome::Took(Spread::of(self.times)?.median),
        })
    }
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::scale_argument;

    #[test]
    fn a_scale_is_a_number_above_nothing() {
        assert_eq!(scale_argument("0.1").unwrap(), 0.1);
        for text in ["0", "-1", "NaN", "1000", "one"] {
            assert!(scale_argument(text).is_err(), "{text}");
        }
    }
}
