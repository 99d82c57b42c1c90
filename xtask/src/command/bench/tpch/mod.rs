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
use super::java::{self, Engine, Form};
use super::measure::Spread;
use super::only::Only;
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
    /// What `--only` calls it.
    name: &'static str,
    title: &'static str,
    how: How,
}

enum How {
    /// Tombolo as a library.
    Tombolo,
    /// A peer of `benches/tpch.py`, with what it needs.
    Peer(&'static str, &'static Venv),
    /// A peer of `benches/tpch.py` that runs when the others have ended.
    Java(Engine),
}

/// Whose answers are right.
static REFERENCE: Contender =
    Contender { name: "reference", title: "DuckDB over files", how: How::Peer("reference", &READERS) };

static TOMBOLO: Contender = Contender { name: "tombolo", title: report::TOMBOLO, how: How::Tombolo };

static PEERS: [Contender; 5] = [
    Contender { name: "duckdb", title: "DuckDB", how: How::Peer("duckdb", &READERS) },
    Contender { name: "chdb", title: "chDB", how: How::Peer("chdb", &CHDB) },
    Contender { name: "glaredb", title: "GlareDB", how: How::Peer("glaredb", &GLAREDB) },
    Contender { name: "trino", title: "Trino", how: How::Java(Engine::Trino(Form::Tuned)) },
    Contender { name: "spark", title: "Spark", how: How::Java(Engine::Spark) },
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

/// What is known of the contenders so far.
#[derive(Default)]
struct Comparison {
    /// Of those that run.
    titles: Vec<&'static str>,
    /// What they call themselves.
    names: Vec<String>,
    lines: Vec<Line>,
    notes: Vec<String>,
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

/// What `--only` may name.
pub(super) fn names() -> Vec<&'static str> {
    [&TOMBOLO].into_iter().chain(&PEERS).map(|contender| contender.name).collect()
}

pub(super) fn run(runs: u32, only: &Only, options: &Options) -> Result<String> {
    over(options.scale, options.keep, only.has(TOMBOLO.name), |place| place.compare(runs, only, options))
}

/// Measures something where the tables are, with Tombolo built or without.
fn over(
    scale: f64,
    keep: bool,
    with_tombolo: bool,
    measure: impl FnOnce(&Place<'_>) -> Result<String>,
) -> Result<String> {
    if with_tombolo {
        let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "tpch"]).status();
        if !built.context("cannot run cargo")?.success() {
            bail!("the release build failed");
        }
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
        let urls = self.servers.urls()?;
        let mut server = None;
        let mut command = match &contender.how {
            How::Tombolo => Command::new(workspace::target_dir()?.join("release/examples/tpch")),
            How::Peer(name, venv) => {
                let mut command = Command::new(venv.python()?);
                command.arg(workspace::root()?.join("benches/tpch.py")).arg(name);
                command
            }
            How::Java(engine) => {
                let (command, started) = engine.client("tpch.py", &urls.each_ref().map(String::as_str))?;
                server = started;
                command
            }
        };
        command.args(urls).arg(&self.data.folder);
        Runner::start(command, server, self.interrupt)
    }

    /// Says where the tables are.
    fn tell(&self) -> Result<()> {
        let [postgres, mariadb] = self.servers.urls()?;
        complain!("pg: {postgres}\nmaria: {mariadb}\nlake and queries: {}", self.data.folder.display());
        Ok(())
    }

    fn compare(&self, runs: u32, only: &Only, options: &Options) -> Result<String> {
        let queries = if options.queries.is_empty() { ALL.collect() } else { options.queries.clone() };
        let right = self.right_answers(&queries)?;
        let lines = queries.iter().map(|query| Line { query: *query, outcomes: Vec::new(), moved: Vec::new() });
        let mut comparison = Comparison { lines: lines.collect(), ..Comparison::default() };
        let chosen = [&TOMBOLO].into_iter().chain(&PEERS).filter(|contender| only.has(contender.name));
        let (alone, together): (Vec<_>, Vec<_>) = chosen.partition(|contender| contender.is_alone());
        self.measure(&together, &right, runs, &mut comparison)?;
        for contender in alone {
            self.measure(&[contender], &right, runs, &mut comparison)?;
        }
        let Comparison { titles, names, lines, notes } = comparison;
        let mut text = report::introduction(self.servers, options, runs, &names);
        text.push_str(&report::table(&titles, &lines));
        if !notes.is_empty() {
            text.push_str(&format!("\n{}\n", notes.join("\n")));
        }
        let wrong = lines.iter().find(|line| {
            matches!(line.outcomes.first(), Some(Outcome::Failed | Outcome::Differs | Outcome::Gone) | None)
        });
        if let Some(line) = wrong
            && only.has(TOMBOLO.name)
        {
            say!("{text}");
            bail!("Tombolo does not answer query {} as it should", line.query);
        }
        Ok(text)
    }

    /// Starts these contenders, has them take turns, and ends them.
    fn measure(
        &self,
        contenders: &[&'static Contender],
        right: &[Answer],
        runs: u32,
        comparison: &mut Comparison,
    ) -> Result<()> {
        let Comparison { titles, names, lines, notes } = comparison;
        let mut entries = Vec::new();
        for &contender in contenders {
            complain!("starting {}", contender.title);
            match self.start(contender) {
                Ok(runner) => {
                    names.push(runner.name.clone());
                    titles.push(contender.title);
                    entries.push(Entry { contender, runner: Some(runner) });
                }
                Err(error) if contender.is_peer() && !self.interrupt.is_requested() => {
                    complain!("{} is left out: {error:#}", contender.title);
                    notes.push(format!("- left out: {}: {}", contender.title, first_line(&error)));
                }
                Err(error) => return Err(error.context(contender.title)),
            }
        }
        for entry in entries.iter_mut().filter(|entry| entry.contender.is_alone()) {
            self.warm_up(entry, lines, notes)?;
        }
        for (line, right) in lines.iter_mut().zip(right) {
            let courses = self.courses(line.query, &mut entries, &right.rows, runs, notes)?;
            for (entry, course) in entries.iter().zip(courses) {
                if matches!(entry.contender.how, How::Tombolo) {
                    line.moved.clone_from(&course.moved);
                }
                line.outcomes.push(course.outcome()?);
            }
        }
        Ok(())
    }

    /// Asks the queries of these lines in turn, as often as an engine has to be asked before it is measured. What fails does so
    /// once more when it is measured, and is told then.
    fn warm_up(&self, entry: &mut Entry, lines: &[Line], notes: &mut Vec<String>) -> Result<()> {
        complain!("warming up {}", entry.contender.title);
        for line in lines.iter().cycle().take(java::WARM_UP_RUNS as usize) {
            let asked = entry.runner.as_mut().map(|runner| runner.ask_within(&line.query.to_string(), LIMIT));
            if self.interrupt.is_requested() {
                bail!("interrupted");
            }
            if !matches!(asked, Some(Ok(Some(_)))) {
                self.restart(entry, notes);
            }
        }
        Ok(())
    }

    fn right_answers(&self, queries: &[u8]) -> Result<Vec<Answer>> {
        complain!("getting the right answers from {}", REFERENCE.title);
        let mut runner = self.start(&REFERENCE)?;
        let ask = |query: &u8| runner.ask(&query.to_string()).with_context(|| format!("the answer to query {query}"));
        queries.iter().map(ask).collect()
    }

    /// Runs one query by all of them, in turns.
    fn courses(
        &self,
        query: u8,
        entries: &mut [Entry],
        right: &[Vec<String>],
        runs: u32,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Course>> {
        let mut courses: Vec<Course> = entries.iter().map(|_| Course::default()).collect();
        for round in 0..=runs {
            complain!("query {query}, round {} of {}", round + 1, runs + 1);
            for (entry, course) in entries.iter_mut().zip(&mut courses) {
                if course.end.is_none() && !(course.is_slow && round > 1) {
                    self.turn(query, entry, course, right, round == 0, notes)?;
                }
            }
        }
        Ok(courses)
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
        if !is_answered {
            self.restart(entry, notes);
        }
        Ok(())
    }

    /// What goes on in it, or what is left of that, would be in the way of the next query.
    fn restart(&self, entry: &mut Entry, notes: &mut Vec<String>) {
        let Some(runner) = entry.runner.take() else { return };
        runner.kill();
        match self.start(entry.contender) {
            Ok(runner) => entry.runner = Some(runner),
            Err(error) => {
                notes.push(format!("- {} does not start again: {}", entry.contender.title, first_line(&error)));
            }
        }
    }
}

impl Contender {
    fn is_peer(&self) -> bool {
        !matches!(self.how, How::Tombolo)
    }

    fn is_alone(&self) -> bool {
        matches!(self.how, How::Java(_))
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
