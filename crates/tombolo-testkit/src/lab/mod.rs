//! Sources in a folder of their own, and an engine over them.

mod chaos;
mod files;
mod sqlite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tempfile::TempDir;
use tombolo_connector::layer::{ChaosPlan, ChaosSwitch};
use tombolo_connector::{Options, Registry, Result};
use tombolo_connectors::memory::{MemoryConnector, MemoryFactory};
use tombolo_engine::{Engine, EngineConfig, Guardrails, QueryOptions, Receipt, RunningQuery, Settings, SourceConfig};

pub(crate) use chaos::chaotic;
pub use files::FileFolder;
pub use sqlite::SqliteFile;

/// A folder with sources in it. Dropping it removes the folder.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    sources: Vec<SourceConfig>,
    memory: Vec<MemoryTable>,
    chaos: BTreeMap<String, ChaosSwitch>,
    keeps_state: bool,
}

#[derive(Debug)]
struct MemoryTable {
    source: String,
    schema: String,
    table: String,
    columns: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// A query's rows and what stands behind them.
#[derive(Debug)]
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// The receipt, final.
    pub receipt: Receipt,
}

impl Lab {
    /// Makes an empty folder.
    #[expect(clippy::new_without_default, reason = "a default value that makes a folder would surprise")]
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, sources: Vec::new(), memory: Vec::new(), chaos: BTreeMap::new(), keeps_state: false }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that engines of this lab write temporary files to.
    pub fn temp_dir(&self) -> PathBuf {
        self.path().join("temp")
    }

    /// Configures a source of any kind.
    pub fn source(&mut self, name: &str, kind: &str, options: Options) {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        self.sources.push(SourceConfig {
            name,
            kind,
            options,
            timeout: None,
            max_concurrency: None,
            guardrails: Guardrails::default(),
        });
    }

    /// Configures a new SQLite file as a source, and opens it for writing.
    pub fn sqlite(&mut self, source: &str) -> SqliteFile {
        let path = self.path().join(format!("{source}.db"));
        self.source(source, "sqlite", Options::default().with("path", path.to_str().unwrap()));
        SqliteFile::create(path)
    }

    /// Configures a new folder of files as a source.
    pub fn files(&mut self, source: &str) -> FileFolder {
        let path = self.path().join(source);
        std::fs::create_dir(&path).unwrap();
        self.source(source, "files", Options::default().with("path", path.to_str().unwrap()));
        FileFolder::at(path)
    }

    /// Adds a table to a memory source, which is configured with its first table.
    pub fn memory(&mut self, source: &str, schema: &str, table: &str, batches: Vec<RecordBatch>) {
        if !self.sources.iter().any(|known| known.name == source) {
            self.source(source, "memory", Options::default());
        }
        self.memory.push(MemoryTable {
            source: source.to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            columns: batches.first().expect("a memory table takes its columns from its first batch").schema(),
            batches,
        });
    }

    /// Has engines keep what they know in the lab, for the next ones.
    pub fn keep_state(&mut self) {
        self.keeps_state = true;
    }

    /// Sets how long a source may be silent, in place of a minute.
    pub fn timeout(&mut self, source: &str, timeout: Duration) {
        let source =
            self.sources.iter_mut().find(|known| known.name == source).expect("the source is configured before");
        source.timeout = Some(timeout);
    }

    /// Sets how many streams a source may have open at once.
    pub fn max_concurrency(&mut self, source: &str, streams: usize) {
        let source =
            self.sources.iter_mut().find(|known| known.name == source).expect("the source is configured before");
        source.max_concurrency = Some(streams);
    }

    /// Sets what queries may not do to a source.
    pub fn guardrails(&mut self, source: &str, guardrails: Guardrails) {
        let source =
            self.sources.iter_mut().find(|known| known.name == source).expect("the source is configured before");
        source.guardrails = guardrails;
    }

    /// Makes a source fail on purpose in every engine of this lab, and gives the switch that says how.
    pub fn chaos(&mut self, source: &str, plan: ChaosPlan) -> ChaosSwitch {
        let switch = self.chaos.entry(source.to_owned()).or_default();
        switch.set(plan);
        switch.clone()
    }

    /// The settings of a lab's engine: two streams side by side whatever the machine has, so that plans are the same
    /// everywhere, and temporary files in the lab.
    pub fn settings(&self) -> Settings {
        Settings { parallel: 2, temp_dir: Some(self.temp_dir()), ..Settings::default() }
    }

    /// An engine over all sources.
    pub fn engine(&self) -> Engine {
        self.engine_with(self.settings())
    }

    /// An engine over all sources with these settings.
    pub fn engine_with(&self, settings: Settings) -> Engine {
        self.engine_over(tombolo_connectors::registry(), settings)
    }

    /// An engine over all sources whose kinds, but for `memory`, are taken from this registry: to put something between the
    /// engine and a connector.
    pub fn engine_over(&self, registry: Registry, settings: Settings) -> Engine {
        let mut memory = MemoryFactory::default();
        for source in self.sources.iter().filter(|source| source.kind == "memory") {
            let tables = self.memory.iter().filter(|table| table.source == source.name);
            let connector = tables.fold(MemoryConnector::builder(), |builder, table| {
                builder.table_with_schema(
                    &table.schema,
                    &table.table,
                    Arc::clone(&table.columns),
                    table.batches.clone(),
                )
            });
            memory = memory.with_source(&source.name, connector.build());
        }
        let registry = registry.with(Arc::new(memory));
        let registry = chaotic(&registry, &self.chaos);
        let state_dir = self.keeps_state.then(|| self.path().join("state"));
        Engine::try_new(EngineConfig { registry, sources: self.sources.clone(), settings, state_dir }).unwrap()
    }

    /// How many files lie in the folder for temporary files.
    pub fn temp_files(&self) -> usize {
        count_files(&self.temp_dir())
    }

    /// Waits until no temporary file is left. Operators end where they next let others run, on threads of their own.
    pub async fn temp_files_gone(&self) {
        wait_for(|| self.temp_files() == 0, "a temporary file is left").await;
    }

    /// Waits until the folder for temporary files is empty, as it is some time after the last engine is gone.
    pub async fn temp_dir_empty(&self) {
        let is_empty = || std::fs::read_dir(self.temp_dir()).map_or(0, Iterator::count) == 0;
        wait_for(is_empty, "a temporary folder is left").await;
    }

    /// A text with the lab's folder taken out, which has another name in each run.
    pub fn without_folder(&self, text: &str) -> String {
        let folder = self.path().to_str().unwrap();
        text.replace(folder, "LAB").replace(folder.trim_start_matches('/'), "LAB")
    }
}

async fn wait_for(is_so: impl Fn() -> bool, otherwise: &str) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{otherwise}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn count_files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// Asks a query and reads it to its end.
///
/// # Errors
/// What the engine says.
pub async fn ask(engine: &Engine, sql: &str) -> Result<Answer> {
    ask_with(engine, sql, QueryOptions::default()).await
}

/// Asks a query with wishes of its own and reads it to its end.
///
/// # Errors
/// What the engine says.
pub async fn ask_with(engine: &Engine, sql: &str, options: QueryOptions) -> Result<Answer> {
    read(engine.query(sql, options).await?).await
}

async fn read(mut running: RunningQuery) -> Result<Answer> {
    let mut batches = Vec::new();
    while let Some(batch) = running.next_batch().await? {
        batches.push(batch);
    }
    Ok(Answer { schema: running.schema(), batches, receipt: running.receipt() })
}

impl Answer {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows as a drawn table, in their order.
    pub fn table(&self) -> String {
        arrow::util::pretty::pretty_format_batches(&self.batches).unwrap().to_string()
    }
}
