//! A whole table of PostgreSQL and of MariaDB into Arrow, beside the servers' own bytes thrown away and other readers.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::java::{self, Engine, Form, Trino};
use super::measure::{Spread, milliseconds};
use super::only::Only;
use super::peers;
use super::server::Server;
use crate::interrupt::Interrupt;
use crate::output::complain;
use crate::{cargo, workspace};

/// Contenders take turns, so that what else the machine does meets all of them.
const ROUNDS: u32 = 3;

const ROWS: [u64; 2] = [1_000_000, 10_000_000];

/// What takes so many times as long as the first contender with the smaller table is run once with the larger.
const SLOW: f64 = 2.0;

const TABLE: &str = "bench_rows";

/// A server with the table in it, and its contenders: the first is what the others are measured by.
struct Place {
    server: &'static str,
    title: &'static str,
    load: fn(u64) -> String,
    contenders: &'static [Contender],
}

struct Contender {
    /// What `--only` calls it; the forms of a reader share it.
    name: &'static str,
    title: &'static str,
    /// Runs it so often, and prints milliseconds, a line for each run.
    how: How,
}

enum How {
    /// psql's own copy, into nothing.
    Copy,
    /// Tombolo as a library, with this behind the URL.
    Tombolo(&'static str),
    /// A peer of `benches/scan.py`.
    Peer(&'static str),
    /// The same, but one that runs when the others have ended.
    Java(Engine),
}

static PLACES: [Place; 2] = [
    Place {
        server: "postgres",
        title: "PostgreSQL",
        load: postgres_rows,
        contenders: &[
            Contender { name: "copy", title: "COPY … (FORMAT binary), thrown away by psql", how: How::Copy },
            Contender { name: "tombolo", title: "Tombolo, one connection", how: How::Tombolo("?max_connections=1") },
            Contender { name: "tombolo", title: "Tombolo", how: How::Tombolo("") },
            Contender { name: "duckdb", title: "DuckDB's postgres scanner", how: How::Peer("duckdb-postgres") },
            Contender { name: "connectorx", title: "ConnectorX", how: How::Peer("connectorx") },
            Contender { name: "connectorx", title: "ConnectorX, two partitions", how: How::Peer("connectorx-2") },
            Contender {
                name: "trino",
                title: "Trino's client in Python, rows without Arrow",
                how: How::Java(Engine::Trino(Form::Default)),
            },
        ],
    },
    Place {
        server: "mariadb",
        title: "MariaDB",
        load: mariadb_rows,
        contenders: &[
            Contender { name: "raw", title: "rows in binary, thrown away", how: How::Peer("raw-binary") },
            Contender { name: "raw", title: "rows as text, thrown away", how: How::Peer("raw-text") },
            Contender { name: "tombolo", title: "Tombolo, one connection", how: How::Tombolo("?max_connections=1") },
            Contender { name: "tombolo", title: "Tombolo", how: How::Tombolo("") },
            Contender { name: "duckdb", title: "DuckDB's mysql scanner", how: How::Peer("duckdb-mysql") },
            Contender { name: "connectorx", title: "ConnectorX", how: How::Peer("connectorx") },
            Contender { name: "connectorx", title: "ConnectorX, two partitions", how: How::Peer("connectorx-2") },
        ],
    },
];

/// What one contender did with one table.
#[derive(Default)]
struct Taken {
    times: Vec<Duration>,
    peak_kib: Option<u64>,
}

/// What `--only` may name.
pub(super) fn names() -> Vec<&'static str> {
    PLACES.iter().flat_map(|place| place.contenders).map(|contender| contender.name).collect()
}

pub(super) fn run(runs: u32, only: &Only) -> Result<String> {
    if only.has("tombolo") {
        let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "scan"]).status();
        if !built.context("cannot run cargo")?.success() {
            bail!("the release build failed");
        }
    }
    let interrupt = Interrupt::install()?;
    let mut report = format!(
        "# A whole table into Arrow\n\n`SELECT *` of ten mixed columns (bigint key, integer, smallint with nulls, decimal, double, \
         timestamp, date with nulls, boolean,\nshort text, text with nulls), over the loopback interface, from the question to the \
         last row; connecting and loading of\nmodules are not in it. The readers take turns, in {ROUNDS} rounds. Milliseconds; \
         peak memory of the reading process in MB.\nReaders in Python: {}.\n\nTrino is a server that runs on Java, with a heap \
         of 2 GB, and comes when the others have ended: as often as they, after {} scans\nof 100,000 rows that do not count. \
         Its client makes rows of Python.\n",
        peers::READERS.packages.join(", "),
        java::WARM_UP_RUNS
    );
    for place in &PLACES {
        let contenders = place.contenders.iter().filter(|contender| only.has(contender.name));
        let contenders: Vec<&'static Contender> = contenders.collect();
        if contenders.is_empty() {
            continue;
        }
        let mut is_slow = vec![false; contenders.len()];
        for rows in ROWS {
            let each = if rows == ROWS[0] { runs.div_ceil(ROUNDS).max(1) } else { 1 };
            report.push_str(&measured(place, &contenders, rows, each, &mut is_slow, &interrupt)?);
        }
    }
    report.push('\n');
    Ok(report)
}

fn measured(
    place: &Place,
    contenders: &[&'static Contender],
    rows: u64,
    each: u32,
    is_slow: &mut [bool],
    interrupt: &Interrupt,
) -> Result<String> {
    let server = Server::start(place.server, interrupt)?;
    complain!("{}: making {rows} rows …", place.title);
    server.run_sql(&(place.load)(rows))?;
    let mut taken: Vec<Taken> = contenders.iter().map(|_| Taken::default()).collect();
    for round in 1..=ROUNDS {
        for ((contender, taken), is_slow) in contenders.iter().zip(&mut taken).zip(is_slow.iter()) {
            if (*is_slow && round > 1) || contender.is_alone() {
                continue;
            }
            complain!("{}, {rows} rows, round {round} of {ROUNDS}: {}", place.title, contender.title);
            contender.read(&server, each, rows, taken)?;
        }
    }
    let mut skipped = String::new();
    for ((contender, taken), is_slow) in contenders.iter().zip(&mut taken).zip(is_slow.iter()) {
        if !contender.is_alone() {
            continue;
        }
        complain!("{}, {rows} rows: {}", place.title, contender.title);
        let runs = if *is_slow { each } else { each * ROUNDS };
        if let Err(error) = contender.read(&server, runs, rows, taken) {
            if interrupt.is_requested() {
                return Err(error);
            }
            let error = format!("{error:#}");
            let line = error.lines().next().unwrap_or_default();
            complain!("left out: {line}");
            skipped.push_str(&format!("- left out: {}: {line}\n", contender.title));
        }
    }
    server.run_sql(&format!("DROP TABLE {TABLE};"))?;
    let mut text = format!(
        "\n## {} {}, {rows} rows\n\n| | runs | min | median | max | of the first | peak MB |\n|---|---:|---:|---:|---:|---:|---:|\n",
        place.title, server.version,
    );
    server.end()?;
    let mut first = None;
    for ((contender, taken), is_slow) in contenders.iter().zip(taken).zip(is_slow) {
        let runs = taken.times.len();
        if runs == 0 && contender.is_alone() {
            continue;
        }
        let spread = Spread::of(taken.times).with_context(|| format!("{} said nothing", contender.title))?;
        let first = *first.get_or_insert(spread.median);
        let cells = [spread.min, spread.median, spread.max].map(milliseconds).join(" | ");
        let ratio = spread.median.as_secs_f64() / first.as_secs_f64();
        let peak = taken.peak_kib.map_or_else(|| "–".to_owned(), |kib| (kib / 1024).to_string());
        *is_slow = ratio > SLOW;
        text.push_str(&format!("| {} | {runs} | {cells} | {ratio:.2} | {peak} |\n", contender.title));
    }
    if !skipped.is_empty() {
        text.push_str(&format!("\n{skipped}"));
    }
    Ok(text)
}

impl Contender {
    fn is_alone(&self) -> bool {
        matches!(self.how, How::Java(_))
    }

    /// Reads the table so often.
    fn read(&self, server: &Server, runs: u32, rows: u64, taken: &mut Taken) -> Result<()> {
        // What it asks lives as long as it.
        let (mut command, _beside) = self.command(server, runs)?;
        let output = command.stdin(Stdio::null()).output().context("cannot run a reader")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            // In the report there is room for one line, and Python's last one tells most.
            let last = complaint.trim().lines().next_back().unwrap_or_default();
            let told = if self.is_alone() { last } else { complaint.trim() };
            bail!("{} failed ({}): {told}", self.title, output.status);
        }
        for line in text.lines() {
            match line.strip_prefix("peak ") {
                Some(peak) => taken.peak_kib = taken.peak_kib.max(peak.trim().parse().ok()),
                None => taken.times.extend(self.milliseconds(line, rows)?),
            }
        }
        Ok(())
    }

    /// Returns its command, with the server that it asks where that is not `server` itself.
    fn command(&self, server: &Server, runs: u32) -> Result<(Command, Option<Trino>)> {
        let runs = runs.to_string();
        let mut beside = None;
        let command = match &self.how {
            How::Copy => {
                let mut command = Command::new(&server.client);
                command.arg(&server.url).args(["-q", "-c", "\\timing on"]);
                for _ in 0..runs.parse::<u32>()? {
                    command.args(["-c", &format!("\\copy {TABLE} to '/dev/null' (format binary)")]);
                }
                command
            }
            How::Tombolo(options) => {
                let mut command = Command::new(workspace::target_dir()?.join("release/examples/scan"));
                command.args([&format!("{}{options}", server.url), &format!("SELECT * FROM s.{TABLE}"), &runs]);
                command
            }
            How::Peer(peer) => {
                let mut command = Command::new(peers::READERS.python()?);
                command.arg(workspace::root()?.join("benches/scan.py")).args([*peer, &server.url, TABLE, &runs]);
                command
            }
            How::Java(engine) => {
                let (mut command, started) = engine.client("scan.py", &[&server.url])?;
                beside = started;
                command.args([&server.url, TABLE, &runs]);
                command
            }
        };
        Ok((command, beside))
    }

    /// The time that a line tells; none where it tells of something else.
    fn milliseconds(&self, line: &str, rows: u64) -> Result<Option<Duration>> {
        let number = match &self.how {
            How::Copy => line.strip_prefix("Time: ").and_then(|rest| rest.split_whitespace().next()),
            How::Tombolo(_) => {
                let told: serde_json::Value = serde_json::from_str(line)?;
                if told["rows"].as_u64() != Some(rows) {
                    bail!("{} gave other rows: {line}", self.title);
                }
                return Ok(told["ms"].as_f64().map(|ms| Duration::from_secs_f64(ms / 1000.0)));
            }
            How::Peer(_) | How::Java(_) => Some(line.trim()),
        };
        Ok(number.and_then(|number| number.parse::<f64>().ok()).map(|ms| Duration::from_secs_f64(ms / 1000.0)))
    }
}

fn postgres_rows(rows: u64) -> String {
    format!(
        "DROP TABLE IF EXISTS {TABLE};\
         CREATE TABLE {TABLE} (id bigint PRIMARY KEY, customer integer NOT NULL, quantity smallint, amount numeric(12, 2) NOT NULL, \
         price double precision NOT NULL, placed timestamp NOT NULL, day date, paid boolean NOT NULL, code varchar(12) NOT NULL, \
         note text);\
         INSERT INTO {TABLE} SELECT n, (n * 7919) % 100000, CASE WHEN n % 10 <> 0 THEN (n % 100)::smallint END, \
         (n * 31 % 1000000) / 100.0, n / 7.0, timestamp '2020-01-01' + n * interval '7 seconds', \
         CASE WHEN n % 20 <> 0 THEN date '2020-01-01' + (n % 1500)::int END, n % 3 = 0, 'code-' || n % 5000, \
         CASE WHEN n % 5 <> 0 THEN 'a note of some words on order ' || n END FROM generate_series(1::bigint, {rows}) n;\
         VACUUM (FREEZE, ANALYZE) {TABLE};"
    )
}

fn mariadb_rows(rows: u64) -> String {
    format!(
        "DROP TABLE IF EXISTS {TABLE};\
         CREATE TABLE {TABLE} (id bigint PRIMARY KEY, customer integer NOT NULL, quantity smallint, amount decimal(12, 2) NOT NULL, \
         price double NOT NULL, placed datetime(6) NOT NULL, day date, paid boolean NOT NULL, code varchar(12) NOT NULL, \
         note text) CHARACTER SET utf8mb4;\
         INSERT INTO {TABLE} SELECT seq, (seq * 7919) % 100000, CASE WHEN seq % 10 <> 0 THEN seq % 100 END, \
         (seq * 31 % 1000000) / 100.0, seq / 7.0, timestamp '2020-01-01 00:00:00' + INTERVAL (seq * 7) SECOND, \
         CASE WHEN seq % 20 <> 0 THEN date '2020-01-01' + INTERVAL (seq % 1500) DAY END, seq % 3 = 0, \
         concat('code-', seq % 5000), CASE WHEN seq % 5 <> 0 THEN concat('a note of some words on order ', seq) END \
         FROM seq_1_to_{rows};\
         ANALYZE TABLE {TABLE};"
    )
}
