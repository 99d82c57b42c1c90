//! SQLite: a database file, read through read-only connections, with its own SQL.

mod capability;
mod catalog;
mod client;
mod config;
mod native;
mod scan;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, NativeQuery, Options, PlannedScan, QueryContext,
    RemoteInfo, Result, Scan, ScanInput, ScanOffer, ScanStatistics, TableDescription, TableRef,
};

use self::capability::capabilities;
use self::catalog::profile::TableProfile;
use self::client::Client;
use self::config::{Config, OPTIONS, URLS};
use self::native::SqliteDialect;
use self::scan::SqliteReader;
use crate::sql;

/// The one schema that a SQLite file has.
const SCHEMA: &str = "main";

static SPEC: ConnectorSpec =
    ConnectorSpec { kind: "sqlite", title: "SQLite", urls: URLS, options: OPTIONS, docs: include_str!("docs.md") };

/// Connects to SQLite files.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteFactory;

#[async_trait]
impl ConnectorFactory for SqliteFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        config::parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let config = Config::try_new(options)?;
        let client = Arc::new(Client::new(name, &config));
        client.call(Client::check).await?;
        Ok(Arc::new(Sqlite { client, config, capabilities: capabilities() }))
    }
}

/// One SQLite file.
#[derive(Debug)]
struct Sqlite {
    client: Arc<Client>,
    config: Config,
    capabilities: Capabilities,
}

#[async_trait]
impl Connector for Sqlite {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        let bytes = self.client.call(Client::size).await?;
        Ok(RemoteInfo {
            product: "SQLite".to_owned(),
            version: rusqlite::version().to_owned(),
            detail: Some(format!("{}, {bytes} bytes", self.client.path().display())),
        })
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(vec![SCHEMA.to_owned()])
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        catalog::check_schema(schema)?;
        self.client.call(catalog::list_tables).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        catalog::check_schema(&table.schema)?;
        let (table, config) = (table.clone(), self.config.clone());
        self.client.call(move |lease| catalog::describe_table(lease, &table, &config)).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        let Some(profile) = TableProfile::of(description) else { return false };
        match self.client.call(Client::mark).await {
            Ok(mark) => mark == profile.mark,
            Err(_) => false,
        }
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        sql::offer(&SqliteDialect, scan)
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        sql::offer_keys(&SqliteDialect, scan, columns)
    }

    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        sql::estimate(scan)
    }

    fn index_advice(&self, table: &TableRef, columns: &[&str]) -> Option<String> {
        Some(sql::index_advice(&SqliteDialect, table, columns))
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        let printed = sql::print(&SqliteDialect, scan, None)?;
        Ok(NativeQuery { language: "sql".to_owned(), text: printed.text })
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let tables: Vec<_> = scan.tables().into_iter().map(|table| Arc::clone(&table.description)).collect();
        self.client.call(move |lease| scan::check_tables(lease, &tables)).await?;
        let native = self.native_query(scan)?;
        let statistics = sql::estimate(scan);
        let reader = SqliteReader::new(Arc::clone(&self.client), scan.clone(), context);
        Ok(PlannedScan { native, input: ScanInput::Reader(Arc::new(reader)), statistics, wrappers: Vec::new() })
    }
}

/// The tables of its types.
pub(crate) fn type_tables() -> sql::TypeTables {
    types::table::type_tables()
}

#[cfg(test)]
mod tests;
