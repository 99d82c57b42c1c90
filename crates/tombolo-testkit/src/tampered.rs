//! Connectors whose calls are altered on the way: to write down what they are asked, or to make them lie.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, NativeQuery, Options, PlannedScan, QueryContext,
    RemoteInfo, Result, Scan, ScanAggregate, ScanJoin, ScanOffer, ScanStatistics, TableDescription, TableRef,
};

/// What is altered. Without methods of its own nothing is.
pub trait Tamper: Debug + Clone + Send + Sync + 'static {
    /// What the source declares.
    fn capabilities(&self, declared: Capabilities) -> Capabilities {
        declared
    }

    /// The offer of the source, if it is not to be the connector's own.
    fn offer(&self, _scan: &Scan) -> Option<ScanOffer> {
        None
    }

    /// The scan that the connector is asked for in place of the accepted one.
    fn asked(&self, scan: &Scan) -> Scan {
        scan.clone()
    }

    /// What comes of the scan.
    fn planned(&self, _source: &str, planned: PlannedScan) -> PlannedScan {
        planned
    }
}

/// Connects to sources as another factory does, and tampers with their connectors.
#[derive(Debug)]
pub struct TamperedFactory<T> {
    factory: Arc<dyn ConnectorFactory>,
    tamper: T,
}

impl<T: Tamper> TamperedFactory<T> {
    pub fn new(factory: impl ConnectorFactory + 'static, tamper: T) -> Self {
        Self { factory: Arc::new(factory), tamper }
    }
}

#[async_trait]
impl<T: Tamper> ConnectorFactory for TamperedFactory<T> {
    fn spec(&self) -> &'static ConnectorSpec {
        self.factory.spec()
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        self.factory.parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let inner = self.factory.connect(name, options).await?;
        let capabilities = self.tamper.capabilities(inner.capabilities().clone());
        Ok(Arc::new(Tampered { source: name.to_owned(), inner, capabilities, tamper: self.tamper.clone() }))
    }
}

#[derive(Debug)]
struct Tampered<T> {
    source: String,
    inner: Arc<dyn Connector>,
    capabilities: Capabilities,
    tamper: T,
}

#[async_trait]
impl<T: Tamper> Connector for Tampered<T> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        self.inner.ping().await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.inner.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.inner.list_tables(schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.inner.describe_table(table).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        self.inner.check_tables(descriptions).await
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        self.tamper.offer(scan).unwrap_or_else(|| self.inner.offer(scan))
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        self.inner.offer_keys(scan, columns)
    }

    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        self.inner.estimate(scan)
    }

    fn index_advice(&self, table: &TableRef, columns: &[&str]) -> Option<String> {
        self.inner.index_advice(table, columns)
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        self.inner.native_query(&self.tamper.asked(scan))
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let planned = self.inner.plan_scan(&self.tamper.asked(scan), context).await?;
        Ok(self.tamper.planned(&self.source, planned))
    }
}

/// The scan with each of its inputs changed.
pub fn with_inputs(scan: &Scan, change: impl Fn(&Scan) -> Scan) -> Scan {
    let changed = |input: &Arc<Scan>| Arc::new(change(input));
    match scan.clone() {
        table @ Scan::Table(_) => table,
        Scan::Filter { input, predicates } => Scan::Filter { input: changed(&input), predicates },
        Scan::Project { input, exprs, schema } => Scan::Project { input: changed(&input), exprs, schema },
        Scan::Alias { input, schema } => Scan::Alias { input: changed(&input), schema },
        Scan::Window { input, windows, schema } => Scan::Window { input: changed(&input), windows, schema },
        Scan::Sort { input, keys, fetch } => Scan::Sort { input: changed(&input), keys, fetch },
        Scan::Limit { input, skip, fetch } => Scan::Limit { input: changed(&input), skip, fetch },
        Scan::Union { inputs, schema } => Scan::Union { inputs: inputs.iter().map(changed).collect(), schema },
        Scan::Join(join) => Scan::Join(ScanJoin { left: changed(&join.left), right: changed(&join.right), ..join }),
        Scan::Aggregate(aggregate) => Scan::Aggregate(ScanAggregate { input: changed(&aggregate.input), ..aggregate }),
    }
}
