//! Customers in MariaDB joined with their orders in PostgreSQL, beside two native queries by hand and other engines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

use super::java::{self, Engine, Form, Trino};
use super::measure::{Spread, milliseconds};
use super::only::Only;
use super::peers::{CHDB, GLAREDB, READERS, Venv};
use super::runner::{Answer, Runner};
use super::server::Servers;
use crate::interrupt::Interrupt;
use crate::output::complain;
use crate::servers::debian;
use crate::{cargo, workspace};

/// Runs before the measured ones, of each contender and for each selectivity.
const WARM_UP_RUNS: u32 = 2;

const ORDERS: u64 = 1_000_000;

const CUSTOMERS: u64 = 100_000;

/// So many customers of 10,000 are asked for.
const PICKS: [u32; 4] = [1, 200, 2000, 10_000];

/// Made anew in both servers, and dropped at the end.
const DATABASE: &str = "bench_join";

static DRIVERS: Venv =
    Venv { name: "bench-drivers", version: "1", packages: &["psycopg[binary]==3.3.9", "asyncmy==0.2.18"] };

static POLARS: Venv =
    Venv { name: "bench-polars", version: "1", packages: &["polars==2.1.0", "connectorx==0.4.6", "pyarrow==26.0.1"] };

struct Contender {
    /// What `--only` calls it; the forms of an engine share it.
    name: &'static str,
    title: &'static str,
    how: How,
}

enum How {
    /// Tombolo as a library.
    Tombolo,
    /// The one whose answers are right, and whose time is what the others are measured by.
    Floor,
    /// A peer of `benches/join.py`, with what it needs.
    Peer(&'static str, &'static Venv),
    /// The same, in the PostgreSQL that has the orders.
    Hub,
    /// A peer of `benches/join.py` that runs when the others have ended.
    Java(Engine),
}

static CONTENDERS: [Contender; 10] = [
    Contender { name: "tombolo", title: "Tombolo", how: How::Tombolo },
    Contender { name: "floor", title: "the floor, by hand", how: How::Floor },
    Contender { name: "duckdb", title: "DuckDB's scanners", how: How::Peer("duckdb", &READERS) },
    Contender { name: "hub", title: "PostgreSQL with mysql_fdw, beside its own orders", how: How::Hub },
    Contender { name: "chdb", title: "chDB's table functions", how: How::Peer("chdb", &CHDB) },
    Contender { name: "glaredb", title: "GlareDB", how: How::Peer("glaredb", &GLAREDB) },
    Contender { name: "polars", title: "Polars with ConnectorX", how: How::Peer("polars", &POLARS) },
    Contender { name: "trino", title: "Trino", how: How::Java(Engine::Trino(Form::Default)) },
    Contender { name: "trino", title: "Trino, tuned", how: How::Java(Engine::Trino(Form::Tuned)) },
    Contender { name: "spark", title: "Spark", how: How::Java(Engine::Spark) },
];

/// A contender that runs, and what it did at one selectivity.
struct Entry {
    contender: &'static Contender,
    runner: Runner,
    times: Vec<Duration>,
    last: Option<Answer>,
}

/// What is known of the contenders so far.
struct Comparison<'a> {
    servers: &'a Servers,
    runs: u32,
    interrupt: &'a Interrupt,
    /// What they call themselves.
    names: Vec<String>,
    /// The floor's answer at each of [`PICKS`].
    right: [Option<Answer>; PICKS.len()],
    lines: [Vec<Line>; PICKS.len()],
    /// A line for each that is not there.
    skipped: String,
}

/// What one contender took at one selectivity.
struct Line {
    contender: &'static Contender,
    runs: usize,
    spread: Spread,
    moved: String,
}

/// What `--only` may name.
pub(super) fn names() -> Vec<&'static str> {
    CONTENDERS.iter().map(|contender| contender.name).collect()
}

pub(super) fn run(runs: u32, only: &Only) -> Result<String> {
    if only.has("tombolo") {
        let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "join"]).status();
        if !built.context("cannot run cargo")?.success() {
            bail!("the release build failed");
        }
    }
    let interrupt = Interrupt::install()?;
    let servers = Servers::start(DATABASE, &interrupt)?;
    complain!("making {ORDERS} orders and {CUSTOMERS} customers …");
    let report = servers.fill(&orders(), &customers()).and_then(|()| compare(&servers, runs, only, &interrupt));
    let ended = [servers.empty(), servers.end()];
    let report = report?;
    ended.into_iter().collect::<Result<()>>()?;
    Ok(report)
}

fn compare(servers: &Servers, runs: u32, only: &Only, interrupt: &Interrupt) -> Result<String> {
    let mut comparison = Comparison {
        servers,
        runs,
        interrupt,
        names: Vec::new(),
        right: Default::default(),
        lines: Default::default(),
        skipped: String::new(),
    };
    // Nothing is right without the floor.
    let is_chosen = |contender: &&Contender| matches!(contender.how, How::Floor) || only.has(contender.name);
    let (alone, together): (Vec<_>, Vec<_>) = CONTENDERS.iter().filter(is_chosen).partition(|one| one.is_alone());
    comparison.measure(&together, WARM_UP_RUNS)?;
    for contender in alone {
        comparison.measure(&[contender], java::WARM_UP_RUNS)?;
    }
    comparison.report()
}

impl Comparison<'_> {
    /// Starts these contenders, has them take turns, and ends them.
    fn measure(&mut self, contenders: &[&'static Contender], warm_up_runs: u32) -> Result<()> {
        let mut entries = Vec::new();
        for &contender in contenders {
            complain!("starting {}", contender.title);
            let started = contender.command(self.servers);
            match started.and_then(|(command, server)| Runner::start(command, server, self.interrupt)) {
                Ok(runner) => {
                    if !self.names.contains(&runner.name) {
                        self.names.push(runner.name.clone());
                    }
                    entries.push(Entry { contender, runner, times: Vec::new(), last: None });
                }
                Err(error) => self.skipped.push_str(&contender.skip(&error, self.interrupt, "")?),
            }
        }
        for (index, pick) in PICKS.into_iter().enumerate() {
            let rounds = warm_up_runs + self.runs;
            for round in 0..rounds {
                let first = entries.first().map(|entry| entry.contender.title).unwrap_or_default();
                complain!("{first} …: {} of the customers, round {} of {rounds}", share(pick), round + 1);
                self.take_turns(&mut entries, pick, round >= warm_up_runs)?;
                self.check(&entries, index)?;
            }
            for entry in &mut entries {
                let times = std::mem::take(&mut entry.times);
                let moved = entry.last.as_ref().map(moved).unwrap_or_default();
                let line = Line { contender: entry.contender, runs: times.len(), spread: Spread::of(times)?, moved };
                self.lines.get_mut(index).context("no such selectivity")?.push(line);
            }
        }
        Ok(())
    }

    /// Asks each of them once. Those that fail are left out from then on.
    fn take_turns(&mut self, entries: &mut Vec<Entry>, pick: u32, counts: bool) -> Result<()> {
        let mut is_well = Vec::new();
        for entry in entries.iter_mut() {
            let asked = entry.runner.ask(&pick.to_string());
            is_well.push(asked.is_ok());
            match asked {
                Ok(answer) => {
                    if counts {
                        entry.times.push(answer.time());
                    }
                    entry.last = Some(answer);
                }
                Err(error) => {
                    let since = format!(", from {} on", share(pick));
                    self.skipped.push_str(&entry.contender.skip(&error, self.interrupt, &since)?);
                }
            }
        }
        let mut is_well = is_well.into_iter();
        entries.retain(|_| is_well.next().unwrap_or(false));
        Ok(())
    }

    /// Fails unless all have answered as the floor has.
    fn check(&mut self, entries: &[Entry], index: usize) -> Result<()> {
        let right = self.right.get_mut(index).context("no such selectivity")?;
        if let Some(floor) = entries.iter().find(|entry| matches!(entry.contender.how, How::Floor)) {
            right.clone_from(&floor.last);
        }
        let right = right.as_ref().context("the floor gave no answer")?;
        for entry in entries {
            let rows = entry.last.as_ref().map(|answer| plain(&answer.rows)).unwrap_or_default();
            if rows.is_empty() || rows != plain(&right.rows) {
                bail!(
                    "{} answers otherwise at {} of the customers:\n{rows:?}\ninstead of\n{:?}",
                    entry.contender.title,
                    PICKS.get(index).map(|pick| share(*pick)).unwrap_or_default(),
                    plain(&right.rows)
                );
            }
        }
        Ok(())
    }

    fn report(self) -> Result<String> {
        let mut text = introduction(self.servers, self.runs, &self.names);
        for (pick, lines) in PICKS.into_iter().zip(&self.lines) {
            text.push_str(&table(lines, &share(pick))?);
        }
        if !self.skipped.is_empty() {
            text.push_str(&format!("\n{}", self.skipped));
        }
        Ok(text)
    }
}

fn share(pick: u32) -> String {
    format!("{} %", f64::from(pick) / 100.0)
}

/// Returns the rows with decimal numbers written in one way.
fn plain(rows: &[Vec<String>]) -> Vec<Vec<&str>> {
    let cell = |cell: &'_ String| -> usize {
        let is_decimal = cell.contains('.') && cell.parse::<f64>().is_ok();
        if is_decimal { cell.trim_end_matches('0').trim_end_matches('.').len() } else { cell.len() }
    };
    rows.iter().map(|row| row.iter().map(|text| text.get(..cell(text)).unwrap_or(text)).collect()).collect()
}

/// Returns the figures at one selectivity.
fn table(lines: &[Line], share: &str) -> Result<String> {
    let floor = lines.iter().find(|line| matches!(line.contender.how, How::Floor));
    let floor = floor.map(|line| line.spread.median).context("the floor was not measured")?;
    let mut text = format!(
        "\n## {share} of the customers\n\n| | runs | min | median | max | of the floor | rows moved |\n|---|---:|---:|---:|---:|---:|---|\n"
    );
    for Line { contender, runs, spread, moved } in lines {
        let cells = [spread.min, spread.median, spread.max].map(milliseconds).join(" | ");
        let ratio = spread.median.as_secs_f64() / floor.as_secs_f64();
        text.push_str(&format!("| {} | {runs} | {cells} | {ratio:.2} | {moved} |\n", contender.title));
    }
    Ok(text)
}

fn moved(answer: &Answer) -> String {
    if answer.moved.is_empty() {
        return "–".to_owned();
    }
    // Schemas are called differently in each of them.
    let part = |(table, rows): &(String, u64)| format!("{rows} {}", table.rsplit('.').next().unwrap_or(table));
    answer.moved.iter().map(part).collect::<Vec<String>>().join(", ")
}

fn introduction(servers: &Servers, runs: u32, names: &[String]) -> String {
    let Servers { postgres, mariadb, .. } = servers;
    format!(
        "# A join of two servers\n\n\
         {ORDERS} orders in {} {} and {CUSTOMERS} customers in {} {}, over the loopback interface:\n\n\
         ```sql\n\
         SELECT c.region, count(*) AS orders, sum(o.amount) AS amount\n\
         FROM customers c JOIN orders o ON o.customer_id = c.id\n\
         WHERE c.pick < N GROUP BY c.region ORDER BY c.region\n\
         ```\n\n\
         `pick < N` is true of N customers in 10,000. `orders.customer_id` has an index, `customers.pick` has none; both tables are\n\
         analysed. Each contender is a process that stays, with its connections and what it knows of the tables where it keeps such\n\
         things. After {WARM_UP_RUNS} runs that do not count they take turns, {runs} times. Milliseconds from the question to \
         the last row.\n\n\
         The floor is what a person would write who knows where the rows are: one native query for the customers, one for their\n\
         orders in groups, with the keys of the first, and a hash map; for all customers both queries at once, without keys. It is in\n\
         Python, with drivers in C, and sets `work_mem` to 64 MB. All answers are checked against its answers. Rows moved are those\n\
         that came to where they were joined, by Tombolo's receipt, by `EXPLAIN ANALYZE` of DuckDB, PostgreSQL and Trino, and by\n\
         the counts in Spark's plan; – where it is not told. For all customers the floor is no lower bound: PostgreSQL takes longer to group all orders than to send them.\n\n\
         Engines that run on Java come when the others have ended, each in a block of its own and with {} runs that do not count\n\
         at each selectivity: their background work slows whoever runs beside them. Trino is a server with a heap of 2 GB, asked\n\
         by its client in Python. As it comes it takes the tables in the order of the text, since it knows nothing of `pick`, and\n\
         sends no keys to the orders. Tuned it has `optimizer.default-filter-factor-enabled` to order them, sends up to 10,000 keys\n\
         (`domain-compaction-threshold`; 256 by default, then a range), and keeps what the servers tell of their tables\n\
         (`metadata.cache-ttl`). Spark has two cores, 2 GB and two shuffle partitions, and reads each table by JDBC in one\n\
         partition.\n\n\
         Measured: {}.\n",
        postgres.title,
        postgres.version,
        mariadb.title,
        mariadb.version,
        java::WARM_UP_RUNS,
        names.join("; ")
    )
}

impl Contender {
    fn is_alone(&self) -> bool {
        matches!(self.how, How::Java(_))
    }

    /// Returns its command, with the server that it asks where that is not one of `servers`.
    fn command(&self, servers: &Servers) -> Result<(Command, Option<Trino>)> {
        let urls = servers.urls()?;
        let mut server = None;
        let mut command = match &self.how {
            How::Tombolo => Command::new(workspace::target_dir()?.join("release/examples/join")),
            How::Floor => peer("floor", &DRIVERS)?,
            How::Peer(name, venv) => peer(name, venv)?,
            How::Hub => {
                install_mysql_fdw(&servers.postgres.binaries)?;
                peer("postgres-hub", &DRIVERS)?
            }
            How::Java(engine) => {
                let (command, started) = engine.client("join.py", &urls.each_ref().map(String::as_str))?;
                server = started;
                command
            }
        };
        command.args(urls);
        Ok((command, server))
    }

    /// Returns the line that says why there is nothing of this contender; an error when it may not be missing.
    fn skip(&self, error: &Error, interrupt: &Interrupt, since: &str) -> Result<String> {
        let text = format!("{error:#}");
        if matches!(self.how, How::Tombolo | How::Floor) || interrupt.is_requested() {
            bail!("{}: {text}", self.title);
        }
        let line = text.lines().next().unwrap_or_default();
        complain!("{} is left out: {line}", self.title);
        Ok(format!("- left out: {}{since}: {line}\n", self.title))
    }
}

fn peer(name: &str, venv: &Venv) -> Result<Command> {
    let mut command = Command::new(venv.python()?);
    command.arg(workspace::root()?.join("benches/join.py")).arg(name);
    Ok(command)
}

/// Installs mysql_fdw for the PostgreSQL with its programs in this folder, which is Debian's.
fn install_mysql_fdw(binaries: &Path) -> Result<()> {
    let installation = binaries.parent().context("PostgreSQL is not in a folder of its own")?;
    if installation.join("lib/mysql_fdw.so").exists() {
        return Ok(());
    }
    if !installation.starts_with("/usr/lib/postgresql") {
        bail!("Debian has mysql_fdw for its own PostgreSQL only");
    }
    let version = installation.file_name().unwrap_or_default().to_string_lossy();
    debian::install(&[&format!("postgresql-{version}-mysql-fdw")])
}

/// Knuth's multiplicative hash spreads both the customers over the orders and the regions over the customers: "The Art of
/// Computer Programming", volume 3, 6.4.
fn orders() -> String {
    format!(
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, amount numeric(12, 2) NOT NULL, \
         quantity integer NOT NULL, placed timestamp NOT NULL, note text NOT NULL);\
         INSERT INTO orders SELECT n, 1 + n * 2654435761 % 4294967296 % {CUSTOMERS}, (n * 7919 % 100000) / 100.0, 1 + n % 9, \
         timestamp '2020-01-01' + n * interval '7 seconds', 'note on order ' || n FROM generate_series(1::bigint, {ORDERS}) n;\
         CREATE INDEX orders_customer_id ON orders (customer_id);\
         VACUUM (FREEZE, ANALYZE) orders;"
    )
}

/// 7919 has no factor in common with 10,000, so that each `pick` is that of as many customers.
fn customers() -> String {
    format!(
        "CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(40) NOT NULL, segment varchar(10) NOT NULL, \
         region varchar(12) NOT NULL, pick integer NOT NULL);\
         INSERT INTO customers SELECT seq, concat('customer number ', seq), \
         elt(1 + seq % 4, 'consumer', 'business', 'public', 'partner'), \
         elt(1 + seq * 2654435761 % 4294967296 DIV 65536 % 10, 'centre', 'east', 'islands', 'north', 'north-east', \
         'north-west', 'south', 'south-east', 'south-west', 'west'), seq * 7919 % 10000 FROM seq_1_to_{CUSTOMERS};\
         ANALYZE TABLE customers;"
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn decimal_numbers_are_compared_by_what_they_say() {
        let row = |cells: [&str; 3]| vec![cells.map(str::to_owned).to_vec()];
        assert_eq!(plain(&row(["east", "10", "4628.400000"])), plain(&row(["east", "10", "4628.4"])));
        assert_eq!(plain(&row(["east", "10", "4628.00"])), plain(&row(["east", "10", "4628."])));
        assert_ne!(plain(&row(["east", "10", "4628.40"])), plain(&row(["east", "1", "4628.4"])));
        assert_ne!(plain(&row(["v1.0", "10", "1.5"])), plain(&row(["v1.", "10", "1.5"])));
    }
}
