//! How much memory a query takes that keeps no rows: as much for ten times the rows.
//!
//! What a process has taken at most is known of whole processes only, so each query runs in one of its own: this test binary,
//! started again for the one test, which then finds in its environment what to read.

use std::path::{Path, PathBuf};
use std::process::Command;

use tombolo_connector::Options;
use tombolo_engine::{Engine, QueryOptions, Settings};
use tombolo_testkit::{FileFolder, Lab, rows};

/// What a child process is told: the folder, the statements, and whether to keep all rows.
const TASK: &str = "TOMBOLO_PEAK_TASK";

const SMALL: usize = 40_000;
const LARGE: usize = 10 * SMALL;

/// Bytes of a row in Arrow, of which the large table has some 100 MB.
const ROW_BYTES: usize = 8 + 240;

/// What may come on top for ten times the rows: an allocator gives back late, and batches wait between threads.
const MARGIN_BYTES: u64 = 30 << 20;

fn payload(id: usize) -> String {
    format!("{:060}", id * 7919).repeat(4)
}

fn text(path: PathBuf, head: &str, line: impl Fn(usize) -> String, rows: usize) {
    let text: String = std::iter::once(head.to_owned()).chain((1..=rows).map(line)).collect();
    std::fs::write(path, text).unwrap();
}

/// Writes the same rows as each kind of source reads them.
async fn write(folder: &Path, count: usize) {
    std::fs::create_dir(folder).unwrap();
    let create = format!(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, payload TEXT NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO big SELECT i, printf('%060d%060d%060d%060d', i, i, i, i) FROM n"
    );
    rusqlite::Connection::open(folder.join("big.db")).unwrap().execute_batch(&create).unwrap();
    text(folder.join("commas.csv"), "id,payload\n", |id| format!("{id},{}\n", payload(id)), count);
    text(folder.join("lines.jsonl"), "", |id| format!("{{\"id\": {id}, \"payload\": \"{}\"}}\n", payload(id)), count);
    let table = format!(
        "SELECT value AS id, repeat(lpad(cast(value AS varchar), 60, '0'), 4) AS payload FROM generate_series(1, {count})"
    );
    FileFolder::at(folder.to_path_buf()).parquet("columns", 20_000, &rows(&table).await);
}

/// The engine of a child, over files that another process has written.
fn engine(lab: &mut Lab, folder: &Path) -> Engine {
    let path = |name: &str| Options::default().with("path", folder.join(name).to_str().unwrap());
    lab.source("shop", "sqlite", path("big.db"));
    lab.source("lake", "files", path(""));
    let few = "SELECT arrow_cast(column1, 'Int64') AS id FROM (VALUES (1), (77), (20000)) AS t";
    let few = tokio::runtime::Runtime::new().unwrap().block_on(rows(few));
    lab.memory("few", "main", "keys", few);
    lab.engine_with(Settings { parallel: 2, ..lab.settings() })
}

/// The statements of each kind of source: all rows, a filter, an aggregate; and a join whose one side is small.
const STATEMENTS: [(&str, &[&str]); 5] = [
    (
        "sqlite",
        &[
            "SELECT id, payload FROM shop.big",
            "SELECT count(*) AS n, max(md5(payload)) AS p FROM shop.big WHERE md5(payload) <> 'x'",
        ],
    ),
    (
        "parquet",
        &[
            "SELECT id, payload FROM lake.columns",
            "SELECT id % 10 AS k, count(*) AS n, max(payload) AS p FROM lake.columns WHERE id % 3 > 0 GROUP BY 1",
        ],
    ),
    (
        "csv",
        &[
            "SELECT id, payload FROM lake.commas",
            "SELECT id % 10 AS k, count(*) AS n, max(payload) AS p FROM lake.commas WHERE id % 3 > 0 GROUP BY 1",
        ],
    ),
    (
        "json",
        &[
            "SELECT id, payload FROM lake.lines",
            "SELECT id % 10 AS k, count(*) AS n, max(payload) AS p FROM lake.lines WHERE id % 3 > 0 GROUP BY 1",
        ],
    ),
    (
        "join",
        &[
            "SELECT b.id, b.payload FROM few.main.keys k JOIN lake.columns b ON b.id % 40000 = k.id",
            "SELECT count(*) AS n, max(b.payload) AS p, max(c.payload) AS q
         FROM few.main.keys k JOIN shop.big b ON b.id % 40000 = k.id % 40000 JOIN lake.commas c ON c.id % 40000 = k.id",
        ],
    ),
];

/// Does what the environment says, where this is a child; says whether it was.
fn is_child() -> bool {
    let Ok(task) = std::env::var(TASK) else { return false };
    let [folder, kind, keeps] = task.split('\n').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let mut lab = Lab::new();
    let engine = engine(&mut lab, Path::new(folder));
    let (_, statements) = STATEMENTS.iter().find(|(name, _)| *name == kind).unwrap();
    let before = peak_bytes();
    let mut kept = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for sql in *statements {
            let mut rows = 0;
            let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
            while let Some(batch) = running.next_batch().await.unwrap() {
                rows += batch.num_rows();
                if keeps == "keeps" {
                    kept.push(batch);
                }
            }
            assert!(rows > 0, "{sql}");
        }
    });
    println!("grew by {} bytes", peak_bytes() - before);
    true
}

/// The most memory that this process has had in use at once.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// By how much a process grows that asks the statements of one kind.
fn growth(test: &str, folder: &Path, kind: &str, keeps: &str) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{}\n{kind}\n{keeps}", folder.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let grew = said.lines().find_map(|line| line.split_once("grew by ")?.1.split(' ').next()?.parse().ok());
    grew.unwrap_or_else(|| panic!("{kind}: {said}{}", String::from_utf8_lossy(&child.stderr)))
}

#[test]
fn ten_times_the_rows_take_no_more_memory() {
    if is_child() {
        return;
    }
    let this = "peak::ten_times_the_rows_take_no_more_memory";
    let lab = Lab::new();
    let [small, large] = [("small", SMALL), ("large", LARGE)].map(|(name, count)| (lab.path().join(name), count));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (folder, count) in [&small, &large] {
        runtime.block_on(write(folder, *count));
    }
    let is_flat = |small: u64, large: u64| large < small * 13 / 10 + MARGIN_BYTES;
    for (kind, _) in STATEMENTS {
        let [one, ten] = [&small, &large].map(|(folder, _)| growth(this, folder, kind, "drops"));
        println!("{kind}: {} MB for {SMALL} rows, {} MB for {LARGE}", one >> 20, ten >> 20);
        assert!(is_flat(one, ten), "{kind}: {one} bytes for {SMALL} rows, {ten} for {LARGE}");
    }
    // The same measure finds a reader that keeps what it reads.
    let [one, ten] = [&small, &large].map(|(folder, _)| growth(this, folder, "parquet", "keeps"));
    println!("kept: {} MB for {SMALL} rows, {} MB for {LARGE}", one >> 20, ten >> 20);
    assert!(
        ten > (LARGE * ROW_BYTES / 2) as u64 && !is_flat(one, ten),
        "{one} bytes, {ten} bytes: nothing was measured"
    );
}
