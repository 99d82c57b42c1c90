//! One loaded source, the engines over it, and the answers that it must give.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tempfile::TempDir;
use tombolo_connector::layer::ChaosSwitch;
use tombolo_connector::{Capabilities, Connector, Options, Registry, TableDescription, TableRef};
use tombolo_engine::{Engine, EngineConfig, Guardrails, Settings, SourceConfig};

use crate::fixtures::{self, Fixture};
use crate::harness::{Expected, Harness, RemoteLog, Site};
use crate::lab::chaotic;
use crate::{Reference, ask};

/// What a trial works with.
#[derive(Debug)]
pub struct Bench {
    /// The kind of source under test.
    pub harness: Arc<dyn Harness>,
    /// The loaded source.
    pub site: Box<dyn Site>,
    /// Its name in the config; no other source of this process has it.
    pub source: String,
    /// An engine that pushes work into it.
    pub engine: Engine,
    /// An engine that reads it table by table.
    pub unpushed: Engine,
    /// Plain DataFusion over what must come back of the same tables.
    pub reference: BenchReference,
    /// The fixtures that are loaded, as they must come back.
    pub expected: Vec<Expected>,
    /// What the connector declares.
    pub capabilities: Capabilities,
    /// The folder for the engines' temporary files.
    temp: TempDir,
}

/// The reference engine, which says nothing of itself.
pub struct BenchReference(Reference);

impl std::fmt::Debug for BenchReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BenchReference")
    }
}

impl BenchReference {
    /// Asks a query.
    ///
    /// # Errors
    /// What DataFusion says.
    pub async fn ask(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
        self.0.ask(sql).await.map_err(|error| error.strip_backtrace())
    }
}

static BENCHES: AtomicUsize = AtomicUsize::new(1);

/// A name for a source that no other has, so that its log is its own.
pub(super) fn fresh_name() -> String {
    format!("src{}", BENCHES.fetch_add(1, Ordering::Relaxed))
}

impl Bench {
    /// Loads all fixtures that the source can hold.
    ///
    /// # Errors
    /// Why the source is not there.
    pub async fn try_new(harness: Arc<dyn Harness>) -> Result<Self, String> {
        let all: Vec<&Fixture> = fixtures::all().iter().collect();
        Self::with_fixtures(harness, &all).await
    }

    /// Loads these fixtures, as far as the source can hold them.
    ///
    /// # Errors
    /// Why the source is not there.
    pub async fn with_fixtures(harness: Arc<dyn Harness>, fixtures: &[&Fixture]) -> Result<Self, String> {
        let held: Vec<&Fixture> =
            fixtures.iter().copied().filter(|fixture| harness.refuses_table(fixture).is_none()).collect();
        let source = fresh_name();
        let expected: Vec<Expected> = held.iter().map(|fixture| harness.expected(fixture)).collect();
        let site = harness.open(&source, &held).await?;
        let reference = Reference::new();
        for table in &expected {
            reference.memory(&source, table.name, vec![table.batch.clone()]);
        }
        let temp = TempDir::new().unwrap();
        let config = source_config(&source, harness.connector(), site.options());
        let engine = engine_of(site.registry(), config.clone(), settings_in(&temp));
        let settings = Settings { pushdown: tombolo_engine::PushdownRules::NONE, ..settings_in(&temp) };
        let unpushed = engine_of(site.registry(), config, settings);
        let connector = engine.source(&source).unwrap().connector().await;
        let capabilities = connector.map_err(|error| error.to_string())?.capabilities().clone();
        let reference = BenchReference(reference);
        Ok(Self { harness, site, source, engine, unpushed, reference, expected, capabilities, temp })
    }

    /// A statement with the source's name in place of `{s}`.
    pub fn statement(&self, template: &str) -> String {
        template.replace("{s}", &self.source)
    }

    /// A text without the source's name, which is another in each run.
    pub fn without_name(&self, text: &str) -> String {
        text.replace(&self.source, "s")
    }

    /// Whether the tables that a template names are all loaded, and the columns of them that it names.
    pub fn holds_all_of(&self, template: &str) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        template.split("{s}.").skip(1).all(|rest| {
            if let Some((name, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                let names = |column: &str| template.contains(&format!("\"{}\"", column.replace('"', "\"\"")));
                return self.table(name).is_none_or(|table| table.not_held.iter().all(|(column, _)| !names(column)));
            }
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let Some(table) = self.table(&rest[..end]) else { return false };
            let before_tables = template.split("{s}.").map(|part| part.trim_start_matches(is_word));
            let words: Vec<&str> = before_tables.flat_map(|part| part.split(|c: char| !is_word(c))).collect();
            table.not_held.iter().all(|(column, _)| !words.contains(&column.as_str()))
        })
    }

    /// What must come back of a table, if it is loaded.
    pub fn table(&self, name: &str) -> Option<&Expected> {
        self.expected.iter().find(|table| table.name == name)
    }

    /// The connector, with the engine's layers around it.
    pub async fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(self.engine.source(&self.source).unwrap().connector().await.unwrap())
    }

    /// The source's own description of a table.
    ///
    /// # Errors
    /// What the connector says.
    pub async fn described(&self, table: &str) -> tombolo_connector::Result<TableDescription> {
        self.connector().await.describe_table(&TableRef::new(self.site.schema(), table)).await
    }

    /// Begins to listen to the source.
    pub fn log(&self) -> RemoteLog {
        RemoteLog::listen(&self.source)
    }

    /// An engine over the source with other settings.
    pub fn engine_with(&self, change: impl FnOnce(Settings) -> Settings) -> Engine {
        self.engine_by(self.site.registry(), change)
    }

    /// An engine over the source that fails where the switch says so, with other settings.
    pub fn chaotic_engine(&self, switch: &ChaosSwitch, change: impl FnOnce(Settings) -> Settings) -> Engine {
        let switches = BTreeMap::from([(self.source.clone(), switch.clone())]);
        self.engine_by(chaotic(&self.site.registry(), &switches), change)
    }

    fn engine_by(&self, registry: Registry, change: impl FnOnce(Settings) -> Settings) -> Engine {
        let config = source_config(&self.source, self.harness.connector(), self.site.options());
        engine_of(registry, config, change(settings_in(&self.temp)))
    }

    /// The rows of a statement, in batches.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn rows(&self, template: &str) -> tombolo_connector::Result<crate::Answer> {
        ask(&self.engine, &self.statement(template)).await
    }
}

fn source_config(name: &str, kind: &str, options: Options) -> SourceConfig {
    SourceConfig {
        name: name.to_owned(),
        kind: kind.to_owned(),
        options,
        timeout: None,
        max_concurrency: None,
        guardrails: Guardrails::default(),
    }
}

fn settings_in(temp: &TempDir) -> Settings {
    Settings { parallel: 2, temp_dir: Some(temp.path().join("engine")), ..Settings::default() }
}

fn engine_of(registry: Registry, config: SourceConfig, settings: Settings) -> Engine {
    Engine::try_new(EngineConfig { registry, sources: vec![config], settings, state_dir: None }).unwrap()
}

/// An engine over one broken source, called `broken`.
pub(super) fn engine_over(registry: &Registry, kind: &str, options: Options) -> Engine {
    engine_of(registry.clone(), source_config("broken", kind, options), Settings::default())
}
