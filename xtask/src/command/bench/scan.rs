//! A whole table of PostgreSQL and of MariaDB into Arrow, beside the servers' own bytes thrown away and other readers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::measure::{Spread, milliseconds};
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
}

static PLACES: [Place; 2] = [
    Place {
        server: "postgres",
        title: "PostgreSQL",
        load: postgres_rows,
        contenders: &[
            Contender { title: "COPY … (FORMAT binary), thrown away by psql", how: How::Copy },
            Contender { title: "Tombolo, one connection", how: How::Tombolo("?max_connections=1") },
            Contender { title: "Tombolo", how: How::Tombolo("") },
            Contender { title: "DuckDB's postgres scanner", how: How::Peer("duckdb-postgres") },
            Contender { title: "ConnectorX", how: How::Peer("connectorx") },
            Contender { title: "ConnectorX, two partitions", how: How::Peer("connectorx-2") },
        ],
    },
    Place {
        server: "mariadb",
        title: "MariaDB",
        load: mariadb_rows,
        contenders: &[
            Contender { title: "rows in binary, thrown away", how: How::Peer("raw-binary") },
            Contender { title: "rows as text, thrown away", how: How::Peer("raw-text") },
            Contender { title: "Tombolo, one connection", how: How::Tombolo("?max_connections=1") },
            Contender { title: "Tombolo", how: How::Tombolo("") },
            Contender { title: "DuckDB's mysql scanner", how: How::Peer("duckdb-mysql") },
            Contender { title: "ConnectorX", how: How::Peer("connectorx") },
            Contender { title: "ConnectorX, two partitions", how: How::Peer("connectorx-2") },
        ],
    },
];

/// What one contender did with one table.
#[derive(Default)]
struct Taken {
    times: Vec<Duration>,
    peak_kib: Option<u64>,
}

pub(super) fn run(runs: u32) -> Result<String> {
    let built = cargo::command()?.args(["build", "--release", "-p", "tombolo", "--example", "scan"]).status();
    if !built.context("cannot run cargo")?.success() {
        bail!("the release build failed");
    }
    let tombolo = workspace::target_dir()?.join("release/examples/scan");
    let python = peers::READERS.python()?;
    let interrupt = Interrupt::install()?;
    let mut report = format!(
        "# A whole table into Arrow\n\n`SELECT *` of ten mixed columns (bigint key, integer, smallint with nulls, decimal, double, \
         timestamp, date with nulls, boolean,\nshort text, text with nulls), over the loopback interface, from the question to the \
         last row; connecting and loading of\nmodules are not in it. The readers take turns, in {ROUNDS} rounds. Milliseconds; \
         peak memory of the reading process in MB.\nReaders in Python: {}.\n",
        peers::READERS.packages.join(", ")
    );
    for place in &PLACES {
        let mut is_slow = vec![false; place.contenders.len()];
        for rows in ROWS {
            let each = if rows == ROWS[0] { runs.div_ceil(ROUNDS).max(1) } else { 1 };
            report.push_str(&measured(place, rows, each, &mut is_slow, &tombolo, &python, &interrupt)?);
        }
    }
    report.push('\n');
    Ok(report)
}

fn measured(
    place: &Place,
    rows: u64,
    each: u32,
    is_slow: &mut [bool],
    tombolo: &Path,
    python: &Path,
    interrupt: &Interrupt,
) -> Result<String> {
    let server = Server::start(place.server, interrupt)?;
    complain!("{}: making {rows} rows …", place.title);
    server.run_sql(&(place.load)(rows))?;
    let mut taken: Vec<Taken> = place.contenders.iter().map(|_| Taken::default()).collect();
    for round in 1..=ROUNDS {
        for ((contender, taken), is_slow) in place.contenders.iter().zip(&mut taken).zip(is_slow.iter()) {
            if *is_slow && round > 1 {
                continue;
            }
            complain!("{}, {rows} rows, round {round} of {ROUNDS}: {}", place.title, contender.title);
            let mut command = contender.command(&server, each, tombolo, python)?;
            let output = command.stdin(Stdio::null()).output().context("cannot run a reader")?;
            let text = String::from_utf8_lossy(&output.stdout);
            if !output.status.success() {
                bail!("{} failed: {}", contender.title, String::from_utf8_lossy(&output.stderr).trim());
            }
            for line in text.lines() {
                match line.strip_prefix("peak ") {
                    Some(peak) => taken.peak_kib = taken.peak_kib.max(peak.trim().parse().ok()),
                    None => taken.times.extend(contender.milliseconds(line, rows)?),
                }
            }
        }
    }
    server.run_sql(&format!("DROP TABLE {TABLE};"))?;
    let mut text = format!(
        "\n## {} {}, {rows} rows\n\n| | runs | min | median | max | of the first | peak MB |\n|---|---:|---:|---:|---:|---:|---:|\n",
        place.title, server.version,
    );
    server.end()?;
    let mut first = None;
    for ((contender, taken), is_slow) in place.contenders.iter().zip(taken).zip(is_slow) {
        let runs = taken.times.len();
        let spread = Spread::of(taken.times).with_context(|| format!("{} said nothing", contender.title))?;
        let first = *first.get_or_insert(spread.median);
        let cells = [spread.min, spread.median, spread.max].map(milliseconds).join(" | ");
        let ratio = spread.median.as_secs_f64() / first.as_secs_f64();
        let peak = taken.peak_kib.map_or_else(|| "–".to_owned(), |kib| (kib / 1024).to_string());
        *is_slow = ratio > SLOW;
        text.push_str(&format!("| {} | {runs} | {cells} | {ratio:.2} | {peak} |\n", contender.title));
    }
    Ok(text)
}

impl Contender {
    fn command(&self, server: &Server, runs: u32, tombolo: &Path, python: &Path) -> Result<Command> {
        let runs = runs.to_string();
        Ok(match &self.how {
            How::Copy => {
                let mut command = Command::new(&server.client);
                command.arg(&server.url).args(["-q", "-c", "\\timing on"]);
                for _ in 0..runs.parse::<u32>()? {
                    command.args(["-c", &format!("\\copy {TABLE} to '/dev/null' (format binary)")]);
                }
                command
            }
            How::Tombolo(options) => {
                let mut command = Command::new(tombolo);
                command.args([&format!("{}{options}", server.url), &format!("SELECT * FROM s.{TABLE}"), &runs]);
                command
            }
            How::Peer(peer) => {
                let mut command = Command::new(python);
                command.arg(workspace::root()?.join("benches/scan.py")).args([
                    *peer,
                    server.url.as_str(),
                    TABLE,
                    &runs,
                ]);
                command
            }
        })
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
            How::Peer(_) => Some(line.trim()),
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
