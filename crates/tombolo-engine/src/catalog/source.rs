use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tombolo_connector::layer::{LayerSettings, SourceMetrics, layered};
use tombolo_connector::{
    Connector, ConnectorFactory, ConnectorSpec, Error, ErrorCode, OptionKind, Options, Registry, RemoteInfo, Result,
    Scan, ScanStatistics, TableDescription, TableRef,
};

use super::cache::{Aged, CacheFile, CachedSource};
use super::guardrails::{self, Guardrails};
use super::observed::Observed;
use crate::cost::Speed;
use crate::settings::Settings;

/// How long a source may take to answer when the config does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// One source as the config has it.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The options of its kind.
    pub options: Options,
    /// The longest wait for it to answer; `None` is one minute.
    pub timeout: Option<Duration>,
    /// The most streams open at once; `None` is what the connector declares.
    pub max_concurrency: Option<usize>,
    /// What queries may not do to it.
    pub guardrails: Guardrails,
}

/// One configured source, connected when it is first needed.
#[derive(Debug)]
pub struct Source {
    name: String,
    options: Options,
    layers: LayerSettings,
    factory: Arc<dyn ConnectorFactory>,
    connected: OnceCell<(Arc<dyn Connector>, SourceMetrics)>,
    cache: Mutex<Option<CachedSource>>,
    cache_file: CacheFile,
    observed: Option<Observed>,
    ttl: Duration,
    guardrails: Guardrails,
    /// Done when the tables that the guardrails name were found.
    guarded: OnceCell<()>,
}

impl Source {
    pub(super) fn try_new(
        registry: &Registry,
        config: SourceConfig,
        cache_folder: Option<PathBuf>,
        settings: &Settings,
    ) -> Result<Self> {
        let named = |error: Error| error.with_source_name(&config.name);
        let factory = Arc::clone(registry.factory(&config.kind).map_err(named)?);
        let options = config.options.checked(factory.spec().options).map_err(named)?;
        let key = fingerprint(factory.spec(), &options);
        Ok(Self {
            layers: LayerSettings {
                timeout: config.timeout.unwrap_or(DEFAULT_TIMEOUT),
                max_concurrency: config.max_concurrency,
            },
            observed: settings
                .observed_statistics
                .then(|| Observed::new(cache_folder.as_deref(), &config.name, key.clone())),
            cache_file: CacheFile::new(cache_folder.as_deref(), &config.name, key),
            name: config.name,
            options,
            factory,
            connected: OnceCell::new(),
            cache: Mutex::new(None),
            ttl: settings.catalog_ttl,
            guardrails: config.guardrails,
            guarded: OnceCell::new(),
        })
    }

    /// The name in the config.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind.
    pub fn kind(&self) -> &'static str {
        self.factory.spec().kind
    }

    /// What is expected of a sub-query: what the source estimates, corrected by what earlier reads of it gave.
    pub(crate) fn estimate(&self, connector: &dyn Connector, scan: &Scan) -> ScanStatistics {
        self.corrected(scan, connector.estimate(scan))
    }

    /// An estimate of the source's, corrected by what earlier reads gave.
    pub(crate) fn corrected(&self, scan: &Scan, estimate: ScanStatistics) -> ScanStatistics {
        self.observed.as_ref().map_or(estimate, |observed| observed.corrected(scan, estimate))
    }

    /// How fast it answers, as far as that was seen.
    pub(crate) fn speed(&self) -> Speed {
        self.observed.as_ref().map_or_else(Speed::default, Observed::speed)
    }

    /// What earlier queries have seen of it; `None` where that is not wished for.
    pub(crate) fn observed(&self) -> Option<&Observed> {
        self.observed.as_ref()
    }

    /// What queries may not do to it.
    pub fn guardrails(&self) -> &Guardrails {
        &self.guardrails
    }

    /// Checks that the tables are there that the guardrails name; once they were, they are not looked for again.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] with the nearest name, and what the source says when it is asked for its tables.
    pub async fn check_guardrails(&self) -> Result<()> {
        let check = || async {
            for rules in &self.guardrails.tables {
                guardrails::find(self, rules).await?;
            }
            Ok(())
        };
        self.guarded.get_or_try_init(check).await.copied()
    }

    /// What it has done since the program started; `None` before it is connected.
    pub fn metrics(&self) -> Option<&SourceMetrics> {
        self.connected.get().map(|(_, metrics)| metrics)
    }

    /// The connector, connected now if it was not. A failure is not remembered: the next call tries again.
    ///
    /// # Errors
    /// What the kind's `connect` says, and [`ErrorCode::Timeout`] after the source's time limit.
    pub async fn connector(&self) -> Result<&Arc<dyn Connector>> {
        let connect = async {
            let connecting = self.factory.connect(&self.name, &self.options);
            let connector = tokio::time::timeout(self.layers.timeout, connecting).await.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorCode::Timeout,
                    format!("source `{}` could not be connected within {:?}", self.name, self.layers.timeout),
                ))
            });
            let connector = connector.map_err(|error| error.with_source_name(&self.name))?;
            Ok::<_, Error>(layered(&self.name, connector, self.layers))
        };
        self.connected.get_or_try_init(|| connect).await.map(|(connector, _)| connector)
    }

    /// The connector, if it is connected already.
    pub fn connector_if_connected(&self) -> Option<&Arc<dyn Connector>> {
        self.connected.get().map(|(connector, _)| connector)
    }

    /// Asks the source whether it answers.
    pub async fn ping(&self) -> Result<RemoteInfo> {
        self.connector().await?.ping().await
    }

    /// Forgets what is remembered of the source.
    pub async fn refresh(&self) {
        let mut cache = self.cache.lock().await;
        let mut empty = self.cache_file.load();
        empty.schemas = None;
        empty.tables.clear();
        empty.descriptions.clear();
        self.cache_file.save(&empty);
        *cache = Some(empty);
    }

    /// The schemas, the default one first.
    pub async fn schemas(&self) -> Result<Vec<String>> {
        let fresh =
            |cached: &CachedSource| cached.schemas.as_ref().filter(|s| s.is_fresh(self.ttl)).map(|s| s.value.clone());
        if let Some(schemas) = self.read_cache(fresh).await {
            return Ok(schemas);
        }
        let schemas = self.connector().await?.list_schemas().await?;
        self.write_cache(|cached| cached.schemas = Some(Aged::now(schemas.clone()))).await;
        Ok(schemas)
    }

    /// The tables of a schema; `fresh` asks the source even when the answer is known.
    pub async fn tables(&self, schema: &str, fresh: bool) -> Result<Vec<TableRef>> {
        let known = |cached: &CachedSource| {
            cached.tables.get(schema).filter(|tables| tables.is_fresh(self.ttl)).map(|tables| tables.value.clone())
        };
        if !fresh && let Some(tables) = self.read_cache(known).await {
            return Ok(tables);
        }
        let tables = self.connector().await?.list_tables(schema).await?;
        self.write_cache(|cached| {
            cached.tables.insert(schema.to_owned(), Aged::now(tables.clone()));
        })
        .await;
        Ok(tables)
    }

    /// The description of a table by its exact names, no older than the catalog's time to live unless the source says
    /// that it still holds.
    pub async fn description(&self, table: &TableRef) -> Result<Arc<TableDescription>> {
        if table.is_query() {
            return self.query_description(table).await;
        }
        let key = key_of(table);
        if let Some(known) = self.read_cache(|cached| cached.descriptions.get(&key).cloned()).await {
            let current = known.is_fresh(self.ttl) || self.connector().await?.is_current(&known.value).await;
            if current {
                if !known.is_fresh(self.ttl) {
                    self.remember(key, Arc::clone(&known.value)).await;
                }
                return Ok(known.value);
            }
        }
        let description = Arc::new(self.connector().await?.describe_table(table).await?);
        self.remember(key, Arc::clone(&description)).await;
        Ok(description)
    }

    /// What a query in the source's own language gives, asked anew each time.
    async fn query_description(&self, query: &TableRef) -> Result<Arc<TableDescription>> {
        let connector = self.connector().await?;
        if !connector.capabilities().native_queries {
            let message = format!("source `{}` ({}) has no query language of its own", self.name, self.kind());
            return Err(Error::new(ErrorCode::Unsupported, message)
                .with_hint(format!("Read its tables by name; `tombolo describe {}` lists them.", self.name)));
        }
        let description = connector.describe_table(query).await?;
        let mut names = std::collections::HashSet::new();
        for column in &description.columns {
            if !names.insert(column.field.name()) {
                let message = format!("the query in source `{}` has two columns `{}`", self.name, column.field.name());
                return Err(Error::new(ErrorCode::AmbiguousName, message)
                    .with_hint("Give each column of it a name of its own, with AS."));
            }
        }
        Ok(Arc::new(description))
    }

    /// Forgets one table's description, since the source said that it no longer holds.
    pub async fn forget(&self, table: &TableRef) {
        self.write_cache(|cached| {
            cached.descriptions.remove(&key_of(table));
        })
        .await;
    }

    async fn remember(&self, key: String, description: Arc<TableDescription>) {
        self.write_cache(|cached| {
            cached.descriptions.insert(key, Aged::now(description));
        })
        .await;
    }

    async fn read_cache<T>(&self, read: impl FnOnce(&CachedSource) -> Option<T>) -> Option<T> {
        let mut cache = self.cache.lock().await;
        read(cache.get_or_insert_with(|| self.cache_file.load()))
    }

    async fn write_cache(&self, write: impl FnOnce(&mut CachedSource)) {
        let mut cache = self.cache.lock().await;
        let cached = cache.get_or_insert_with(|| self.cache_file.load());
        write(cached);
        self.cache_file.save(cached);
    }
}

/// A table's key in the cache. Its dotted name is none: names may hold dots.
fn key_of(table: &TableRef) -> String {
    format!("{:?}", (&table.schema, &table.table))
}

/// Ties a cache to what it was read with: a hash of the kind and of the options that are no secrets.
pub(super) fn fingerprint(spec: &ConnectorSpec, options: &Options) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (spec.kind, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    for (name, value) in options.iter() {
        // A hash of a short password would give it away to whoever tries them all; and a new password is no new catalog.
        if !spec.options.iter().any(|option| option.name == name && option.kind == OptionKind::Secret) {
            (name, value.to_string()).hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}
