//! MySQL and MariaDB: rows in the binary protocol, decoded straight into Arrow.

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
use self::catalog::Server;
use self::client::Client;
use self::config::{Config, OPTIONS, URLS};
use self::native::MysqlDialect;
use self::scan::MysqlReader;
use crate::sql;

static SPEC: ConnectorSpec =
    ConnectorSpec { kind: "mysql", title: "MySQL", urls: URLS, options: OPTIONS, docs: include_str!("docs.md") };

/// Connects to servers of MySQL and MariaDB.
#[derive(Debug, Clone, Copy, Default)]
pub struct MysqlFactory;

#[async_trait]
impl ConnectorFactory for MysqlFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        config::parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let config = Config::try_new(options)?;
        let client = Arc::new(Client::try_new(name, config.clone())?);
        let server = catalog::server(&client).await?;
        let (has_windows, is_mariadb) = (server.has_windows(), server.product == "MariaDB");
        let dialect = MysqlDialect { has_windows, is_mariadb, part: None };
        let capabilities = capabilities(&config, &server);
        Ok(Arc::new(Mysql { client, config, capabilities, dialect, server }))
    }
}

/// A server, with all databases that the user may see.
#[derive(Debug)]
struct Mysql {
    client: Arc<Client>,
    config: Config,
    capabilities: Capabilities,
    dialect: MysqlDialect,
    server: Server,
}

#[async_trait]
impl Connector for Mysql {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        let server = catalog::server(&self.client).await?;
        let place = format!("{}:{}", self.config.host, self.config.port);
        let detail = match &self.config.database {
            Some(database) => format!("database {database} on {place}"),
            None => place,
        };
        Ok(RemoteInfo { product: server.product.to_owned(), version: server.version, detail: Some(detail) })
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
        sql::offer(&self.dialect, scan)
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        sql::offer_keys(&self.dialect, scan, columns)
    }

    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        sql::estimate(scan)
    }

    fn index_advice(&self, table: &TableRef, columns: &[&str]) -> Option<String> {
        Some(sql::index_advice(&self.dialect, table, columns))
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        let printed = sql::print(&self.dialect, scan, None)?;
        Ok(NativeQuery { language: "sql".to_owned(), text: printed.text })
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let native = self.native_query(scan)?;
        let statistics = sql::estimate(scan);
        let parts = scan::parts(scan, &self.config, &self.server, context.target_partitions);
        let reader = MysqlReader::new(Arc::clone(&self.client), self.dialect.clone(), scan.clone(), parts, context);
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
