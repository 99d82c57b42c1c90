//! PostgreSQL: binary COPY of what it has computed itself, decoded straight into Arrow.

mod capability;
mod catalog;
mod client;
mod config;
mod native;
mod scan;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, Error, NativeQuery, Options, PlannedScan,
    QueryContext, RemoteInfo, Result, Scan, ScanInput, ScanOffer, ScanStatistics, TableDescription, TableRef,
};

use self::capability::capabilities;
use self::catalog::Server;
use self::client::Client;
use self::config::{Config, OPTIONS, URLS};
use self::native::PostgresDialect;
use self::scan::PostgresReader;
use crate::sharded::{self, Layout, Shard, Sharded};
use crate::sql;

static SPEC: ConnectorSpec = ConnectorSpec {
    kind: "postgres",
    title: "PostgreSQL",
    urls: URLS,
    options: OPTIONS,
    docs: include_str!("docs.md"),
};

/// Connects to PostgreSQL servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresFactory;

#[async_trait]
impl ConnectorFactory for PostgresFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        config::parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let Some(shards) = config::shards(options)? else { return Ok(Arc::new(Postgres::open(name, options).await?)) };
        let listed = |option| options.text(option).unwrap_or_default();
        let layout = Layout::parse(listed("shard_tables"), listed("replicated_tables"), shards.len())?;
        let max_fan_out = options.integer("max_fan_out").unwrap_or(usize::MAX).max(1);
        let opened = shards.into_iter().map(|(place, options)| async move {
            let connector = Postgres::open(name, &options).await.map_err(|error| sharded::on_shard(error, &place))?;
            Ok::<_, Error>(Shard { place, connector: Arc::new(connector) })
        });
        Ok(Arc::new(Sharded::try_new(try_join_all(opened).await?, layout, max_fan_out)?))
    }
}

/// One database of a server.
#[derive(Debug)]
struct Postgres {
    client: Arc<Client>,
    config: Config,
    capabilities: Capabilities,
    server: Server,
}

impl Postgres {
    async fn open(name: &str, options: &Options) -> Result<Self> {
        let config = Config::try_new(options)?;
        let capabilities = capabilities(&config);
        let client = Arc::new(Client::try_new(name, config.clone())?);
        let server = catalog::server(&client).await?;
        Ok(Self { client, config, capabilities, server })
    }

    fn dialect(&self) -> PostgresDialect {
        PostgresDialect { default_is_bytes: self.server.default_is_bytes, pages: None }
    }
}

#[async_trait]
impl Connector for Postgres {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        let server = catalog::server(&self.client).await?;
        Ok(RemoteInfo {
            product: "PostgreSQL".to_owned(),
            version: server.version,
            detail: Some(format!("database {} on {}:{}", server.database, self.config.host, self.config.port)),
        })
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        catalog::list_schemas(&self.client).await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        catalog::list_tables(&self.client, schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        if table.is_query() {
            return catalog::describe_query(&self.client, table, &self.config).await;
        }
        catalog::describe_table(&self.client, table, &self.server, &self.config).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        catalog::check_tables(&self.client, &[Arc::new(description.clone())]).await.is_ok()
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        catalog::check_tables(&self.client, descriptions).await
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        sql::offer(&self.dialect(), scan)
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        sql::offer_keys(&self.dialect(), scan, columns)
    }

    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        sql::estimate(scan)
    }

    fn index_advice(&self, table: &TableRef, columns: &[&str]) -> Option<String> {
        Some(sql::index_advice(&self.dialect(), table, columns))
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        let printed = sql::print(&self.dialect(), scan, None)?;
        Ok(NativeQuery { language: "sql".to_owned(), text: printed.text })
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let native = self.native_query(scan)?;
        let statistics = sql::estimate(scan);
        let parts = scan::parts(scan, self.config.stream_bytes, context.target_partitions);
        let reader = {
            let (client, limit_ms) = (Arc::clone(&self.client), self.server.limit_ms);
            PostgresReader::new(client, self.dialect(), limit_ms, scan.clone(), parts, context)
        };
        Ok(PlannedScan { native, input: ScanInput::Reader(Arc::new(reader)), statistics, wrappers: Vec::new() })
    }
}

/// The tables of its types.
///
/// # Errors
/// None that options could have caused, since there are none.
pub(crate) fn type_tables() -> Result<sql::TypeTables> {
    types::table::type_tables()
}

#[cfg(test)]
mod tests;
