//! What a query leaves behind, however it ends: no task, no open file, no temporary file, no memory, no lock, no place taken.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tombolo_connector::Retry;
use tombolo_connector::layer::{Call, ChaosPlan, ChaosSwitch, Fault, RowPoint};
use tombolo_engine::{Engine, Error, ErrorCode, QueryOptions, RunningQuery, Settings};
use tombolo_testkit::{Lab, SqliteFile, ask, rows};

const ROWS: usize = 24_000;

/// Queries over each way to read, and through each operator that keeps rows, streams or files of its own.
const QUERIES: [&str; 11] = [
    "SELECT id, payload FROM shop.big",
    "SELECT id, payload FROM lake.big",
    "SELECT id, payload FROM desk.big",
    "SELECT id, payload FROM desk.lines",
    "SELECT a.id, b.payload FROM shop.big a JOIN lake.big b ON a.id = b.id",
    "SELECT a.id, b.payload FROM shop.big a JOIN desk.big b ON a.id < b.id AND a.id % 4000 = 0",
    "SELECT id FROM shop.big UNION ALL SELECT id FROM lake.big UNION ALL SELECT id FROM desk.big",
    "SELECT id, payload FROM lake.big WHERE payload NOT IN (SELECT payload FROM shop.big WHERE id > 20000)",
    "SELECT payload, count(*) AS n FROM lake.big GROUP BY payload",
    "SELECT id, row_number() OVER (PARTITION BY id % 10 ORDER BY payload) AS r FROM lake.big",
    // Some 25 MB of texts in 12 MB.
    "SELECT id, repeat(payload, 8) AS p FROM lake.big ORDER BY p",
];

/// The last of the queries needs more memory than there is.
const SPILLS: &str = QUERIES[QUERIES.len() - 1];

/// What came of a query; `None` where the two sorts of the last one found no room beside each other, which depends on which of
/// them comes first. That is an end too, and must leave nothing.
fn ended<T>(sql: &str, end: Result<T, Error>) -> Option<T> {
    match end {
        Ok(rows) => Some(rows),
        Err(error) if sql == SPILLS && error.code() == ErrorCode::OutOfMemory => None,
        Err(error) => panic!("{sql}: {error}: {:?}", error.detail()),
    }
}

struct Fixture {
    lab: Lab,
    shop: SqliteFile,
    chaos: Vec<ChaosSwitch>,
    /// The writer's open files.
    files: usize,
}

impl Fixture {
    async fn new() -> Self {
        let mut lab = Lab::new();
        let big = rows(&format!(
            "SELECT value AS id, repeat(md5(cast(value AS varchar)), 4) AS payload FROM generate_series(1, {ROWS})"
        ))
        .await;
        let shop = lab.sqlite("shop");
        shop.table("big", &["id"], &big);
        lab.files("lake").parquet("big", 5_000, &big);
        let desk = lab.files("desk");
        desk.csv("big", &big);
        desk.json_lines("lines", &big);
        let chaos = ["shop", "lake", "desk"].map(|source| {
            lab.timeout(source, Duration::from_secs(5));
            // Two places that are not given back, and nothing can be read any more.
            lab.max_concurrency(source, 2);
            lab.chaos(source, ChaosPlan::default())
        });
        let (files, _) = open_files(lab.path());
        Self { lab, shop, chaos: chaos.into(), files }
    }

    fn engine(&self) -> Engine {
        self.lab.engine_with(Settings { max_memory: 12 << 20, batch_size: 512, ..self.lab.settings() })
    }

    fn spoil(&self, plan: &ChaosPlan) {
        self.chaos.iter().for_each(|switch| switch.set(plan.clone()));
    }

    /// Waits until nothing is left of a query, while the engine goes on.
    async fn assert_nothing_left(&self, engine: &Engine, what: &str) {
        self.spoil(&ChaosPlan::default());
        let left = || {
            let now = Now::of(self);
            let (reserved, temporary) = (engine.reserved_memory_bytes(), self.lab.temp_files());
            // Connections to SQLite are kept for the next query; how many depends on which query ended before the next began.
            let is_clean =
                (now.tasks, now.others, reserved, temporary) == (0, 0, 0, 0) && now.databases <= MAX_DATABASES;
            (!is_clean).then(|| format!("{now:?}, {reserved} bytes and {temporary} temporary files are left"))
        };
        let begun = Instant::now();
        while let Some(left) = left() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {left}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.shop.try_execute("UPDATE big SET payload = payload WHERE id = 1").unwrap_or_else(|error| {
            panic!("{what}: a writer of the SQLite file is kept out: {error}");
        });
    }
}

/// Open files of the connections to SQLite that a source keeps, two for each, and of the writer.
const MAX_DATABASES: usize = 2 * 8 + 2;

/// What there is at one moment.
#[derive(Debug, Clone, Copy)]
struct Now {
    tasks: usize,
    databases: usize,
    others: usize,
}

impl Now {
    fn of(fixture: &Fixture) -> Self {
        let (databases, others) = open_files(fixture.lab.path());
        Self { tasks: Handle::current().metrics().num_alive_tasks(), databases, others }
    }
}

/// How many of this process's open files are databases in a folder, and others in it. Other tests run beside this one.
fn open_files(folder: &Path) -> (usize, usize) {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let files = links.filter_map(|link| std::fs::read_link(link.path()).ok()).filter(|file| file.starts_with(folder));
    let (databases, others): (Vec<_>, Vec<_>) = files.partition(|file| file.to_str().unwrap().contains(".db"));
    (databases.len(), others.len())
}

/// A runtime of the test's own, whose tasks can be counted.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs all queries through one way of ending, in one engine, and looks after each what is left.
fn after_each(plan: &ChaosPlan, end: impl AsyncFn(&Engine, &str)) {
    runtime().block_on(async {
        let fixture = Fixture::new().await;
        let engine = fixture.engine();
        for sql in QUERIES {
            fixture.spoil(plan);
            end(&engine, sql).await;
            fixture.assert_nothing_left(&engine, sql).await;
        }
        for sql in QUERIES {
            ended(sql, ask(&engine, sql).await);
        }
        drop(engine);
        let begun = Instant::now();
        while open_files(fixture.lab.path()).0 > fixture.files {
            assert!(begun.elapsed() < Duration::from_secs(5), "a file is open after the engine is gone");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fixture.lab.temp_dir_empty().await;
    });
}

async fn start(engine: &Engine, sql: &str) -> RunningQuery {
    engine.query(sql, QueryOptions::default()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn read(mut running: RunningQuery) -> Result<usize, Error> {
    let mut rows = 0;
    while let Some(batch) = running.next_batch().await? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

#[test]
fn a_query_that_is_dropped_before_it_is_read_leaves_nothing() {
    after_each(&ChaosPlan::default(), async |engine, sql| {
        drop(start(engine, sql).await);
        let waiting = start(engine, sql).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(waiting);
    });
}

#[test]
fn a_query_that_is_dropped_in_mid_stream_leaves_nothing() {
    after_each(&ChaosPlan::default(), async |engine, sql| {
        for batches in [1, 3] {
            let mut running = start(engine, sql).await;
            for batch in 0..batches {
                // What is left over by an anti join comes in one batch.
                let next = ended(sql, running.next_batch().await);
                assert!(next.is_none_or(|next| next.is_some() || batch > 0), "{sql}");
            }
            drop(running);
        }
    });
}

#[test]
fn a_query_that_is_dropped_at_work_before_its_first_row_leaves_nothing() {
    after_each(&ChaosPlan::default(), async |engine, sql| {
        for millis in [1, 5, 20] {
            let mut running = start(engine, sql).await;
            let _ = tokio::time::timeout(Duration::from_millis(millis), running.next_batch()).await;
        }
    });
}

#[test]
fn a_sort_that_has_spilled_leaves_nothing() {
    runtime().block_on(async {
        let fixture = Fixture::new().await;
        let engine = fixture.engine();
        let mut running = start(&engine, SPILLS).await;
        assert!(running.next_batch().await.unwrap().is_some());
        assert!(fixture.lab.temp_files() > 0, "the sort was to spill");
        assert!(engine.reserved_memory_bytes() > 0);
        drop(running);
        fixture.assert_nothing_left(&engine, SPILLS).await;
    });
}

#[test]
fn a_query_with_a_limit_leaves_nothing() {
    after_each(&ChaosPlan::default(), async |engine, sql| {
        let limited = format!("SELECT * FROM ({sql}) AS t LIMIT 10");
        let options = QueryOptions { limit: Some(10), ..QueryOptions::default() };
        let answers =
            [read(start(engine, &limited).await).await, read(engine.query(sql, options).await.unwrap()).await];
        for answer in answers {
            if let Some(rows) = ended(sql, answer) {
                assert_eq!(rows, 10, "{sql}");
            }
        }
    });
}

#[test]
fn a_query_that_is_over_leaves_nothing_though_it_is_kept() {
    runtime().block_on(async {
        let fixture = Fixture::new().await;
        let engine = fixture.engine();
        for sql in QUERIES {
            let mut running = start(&engine, sql).await;
            let end = loop {
                match running.next_batch().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            fixture.assert_nothing_left(&engine, sql).await;
            if ended(sql, end).is_some() {
                assert!(running.receipt().complete);
            }
        }
    });
}

#[test]
fn a_query_whose_source_fails_leaves_nothing() {
    let fault = Fault::Error(ErrorCode::SourceFailed, Retry::Safe);
    after_each(&ChaosPlan::default().at_row(RowPoint::Row(2_000), fault), async |engine, sql| {
        read(start(engine, sql).await).await.expect_err(sql);
    });
}

#[test]
fn a_query_whose_source_panics_leaves_nothing() {
    after_each(&ChaosPlan::default().at_row(RowPoint::Row(2_000), Fault::Panic), async |engine, sql| {
        read(start(engine, sql).await).await.expect_err(sql);
    });
}

#[test]
fn a_query_that_is_dropped_or_timed_out_while_a_source_is_silent_leaves_nothing() {
    after_each(&ChaosPlan::default().at_row(RowPoint::Row(2_000), Fault::Stall(None)), async |engine, sql| {
        let reading = tokio::time::timeout(Duration::from_millis(100), read(start(engine, sql).await));
        assert!(reading.await.is_err(), "{sql}");
        let options = QueryOptions { timeout: Some(Duration::from_millis(100)), ..QueryOptions::default() };
        let error = match engine.query(sql, options).await {
            Ok(running) => read(running).await.expect_err(sql),
            Err(error) => error,
        };
        assert_eq!(error.code(), ErrorCode::Timeout, "{sql}: {error}");
    });
}

#[test]
fn a_query_that_is_dropped_while_it_is_planned_leaves_nothing() {
    let silent = ChaosPlan::default().on_call(Call::PlanScan, 1, Fault::Stall(None));
    after_each(&silent, async |engine, sql| {
        let planning = engine.query(sql, QueryOptions::default());
        assert!(tokio::time::timeout(Duration::from_millis(50), planning).await.is_err(), "{sql}");
    });
}
