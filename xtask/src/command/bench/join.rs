//! Customers in MariaDB joined with their orders in PostgreSQL, beside two native queries by hand and other engines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

use super::measure::{Spread, milliseconds};
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
}

static CONTENDERS: [Contender; 7] = [
    Contender { title: "Tombolo", how: How::Tombolo },
    Contender { title: "the floor, by hand", how: How::Floor },
    Contender { title: "DuckDB's scanners", how: How::Peer("duckdb", &READERS) },
    Contender { title: "PostgreSQL with mysql_fdw, beside its own orders", how: How::Hub },
    Contender { title: "chDB's table functions", how: How::Peer("chdb", &CHDB) },
    Contender { title: "GlareDB", how: How::Peer("glaredb", &GLAREDB) },
    Contender { title: "Polars with ConnectorX", how: How::Peer("polars", &POLARS) },
];

/// A contender that runs, and what it did at one selectivity.
struct Entry {
    contender: &'static Contender,
    runner: Runner,
    times: Vec<Duration>,
    last: Option<Answer>,
}

pub(super) fn run(runs: u32) -> Result<String> {
    let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "join"]).status();
    if !built.context("cannot run cargo")?.success() {
        bail!("the release build failed");
    }
    let interrupt = Interrupt::install()?;
    let servers = Servers::start(DATABASE, &interrupt)?;
    complain!("making {ORDERS} orders and {CUSTOMERS} customers …");
    let report = servers.fill(&orders(), &customers()).and_then(|()| compare(&servers, runs, &interrupt));
    let ended = [servers.empty(), servers.end()];
    let report = report?;
    ended.into_iter().collect::<Result<()>>()?;
    Ok(report)
}

fn compare(servers: &Servers, runs: u32, interrupt: &Interrupt) -> Result<String> {
    let mut entries = Vec::new();
    let mut skipped = String::new();
    for contender in &CONTENDERS {
        complain!("starting {}", contender.title);
        match contender.command(servers).and_then(|command| Runner::start(command, interrupt)) {
            Ok(runner) => entries.push(Entry { contender, runner, times: Vec::new(), last: None }),
            Err(error) => skipped.push_str(&contender.skip(&error, interrupt, "")?),
        }
    }
    let mut tables = String::new();
    for pick in PICKS {
        let share = format!("{} %", f64::from(pick) / 100.0);
        for round in 0..WARM_UP_RUNS + runs {
            complain!("{share} of the customers, round {} of {}", round + 1, WARM_UP_RUNS + runs);
            let mut is_well = Vec::new();
            for entry in &mut entries {
                let asked = entry.runner.ask(&pick.to_string());
                match asked {
                    Ok(answer) => {
                        if round >= WARM_UP_RUNS {
                            entry.times.push(answer.time());
                        }
                        entry.last = Some(answer);
                        is_well.push(true);
                    }
                    Err(error) => {
                        skipped.push_str(&entry.contender.skip(&error, interrupt, &format!(", from {share} on"))?);
                        is_well.push(false);
                    }
                }
            }
            let mut is_well = is_well.into_iter();
            entries.retain(|_| is_well.next().unwrap_or(false));
            check(&entries, &share)?;
        }
        tables.push_str(&table(&mut entries, &share)?);
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.runner.name.as_str()).collect();
    let skipped = if skipped.is_empty() { skipped } else { format!("\n{skipped}") };
    Ok(format!("{}{tables}{skipped}", introduction(servers, runs, &names)))
}

/// Fails unless all have answered as the floor has.
fn check(entries: &[Entry], share: &str) -> Result<()> {
    let floor = entries.iter().find(|entry| matches!(entry.contender.how, How::Floor));
    let right = floor.and_then(|floor| floor.last.as_ref()).context("the floor gave no answer")?;
    for entry in entries {
        let rows = entry.last.as_ref().map(|answer| plain(&answer.rows)).unwrap_or_default();
        if rows.is_empty() || rows != plain(&right.rows) {
            bail!(
                "{} answers otherwise at {share} of the customers:\n{rows:?}\ninstead of\n{:?}",
                entry.contender.title,
                plain(&right.rows)
            );
        }
    }
    Ok(())
}

/// Returns the rows with decimal numbers written in one way.
fn plain(rows: &[Vec<String>]) -> Vec<Vec<&str>> {
    let cell = |cell: &'_ String| -> usize {
        let is_decimal = cell.contains('.') && cell.parse::<f64>().is_ok();
        if is_decimal { cell.trim_end_matches('0').trim_end_matches('.').len() } else { cell.len() }
    };
    rows.iter().map(|row| row.iter().map(|text| text.get(..cell(text)).unwrap_or(text)).collect()).collect()
}

/// Returns the figures at one selectivity, and leaves none of them behind.
fn table(entries: &mut [Entry], share: &str) -> Result<String> {
    let mut spreads = Vec::new();
    for entry in entries.iter_mut() {
        let times = std::mem::take(&mut entry.times);
        spreads.push((times.len(), Spread::of(times)?));
    }
    let floor = entries.iter().zip(&spreads).find(|(entry, _)| matches!(entry.contender.how, How::Floor));
    let floor = floor.map(|(_, (_, spread))| spread.median).context("the floor was not measured")?;
    let mut text = format!(
        "\n## {share} of the customers\n\n| | runs | min | median | max | of the floor | rows moved |\n|---|---:|---:|---:|---:|---:|---|\n"
    );
    for (entry, (runs, spread)) in entries.iter().zip(spreads) {
        let cells = [spread.min, spread.median, spread.max].map(milliseconds).join(" | ");
        let ratio = spread.median.as_secs_f64() / floor.as_secs_f64();
        let moved = entry.last.as_ref().map(moved).unwrap_or_default();
        text.push_str(&format!("| {} | {runs} | {cells} | {ratio:.2} | {moved} |\n", entry.contender.title));
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

fn introduction(servers: &Servers, runs: u32, names: &[&str]) -> String {
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
         that came to where they were joined, by Tombolo's receipt and by `EXPLAIN ANALYZE` of DuckDB and PostgreSQL; – where it is\n\
         not told. For all customers the floor is no lower bound: PostgreSQL takes longer to group all orders than to send them.\n\n\
         Measured: {}. Spark and Trino are not: engines that run on Java are no part of this.\n",
        postgres.title,
        postgres.version,
        mariadb.title,
        mariadb.version,
        names.join("; ")
    )
}

impl Contender {
    fn command(&self, servers: &Servers) -> Result<Command> {
        let mut command = match &self.how {
            How::Tombolo => Command::new(workspace::target_dir()?.join("release/examples/join")),
            How::Floor => peer("floor", &DRIVERS)?,
            How::Peer(name, venv) => peer(name, venv)?,
            How::Hub => {
                install_mysql_fdw(&servers.postgres.binaries)?;
                peer("postgres-hub", &DRIVERS)?
            }
        };
        command.args(servers.urls()?);
        Ok(command)
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
