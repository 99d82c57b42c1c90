//! Plain DataFusion, which sets up what a file sets up.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{DdlStatement, LogicalPlan, TableType};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParser;
use datafusion::sql::resolve::resolve_table_references;
use tempfile::TempDir;

use super::fixtures;

/// The longest that a statement of a file's set-up may take. Some make streams that never end.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Where the files are that statements read, which write them relative to a folder that there is not here.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The folder of the `.slt` files.
    pub test_files: PathBuf,
    /// By the beginning of a path in a file: the folder or file that stands for it.
    pub data: Vec<(String, PathBuf)>,
}

/// The tables of a file as they are now.
pub(super) struct Loader {
    context: SessionContext,
    roots: Roots,
    scratch: TempDir,
    /// How many statements were run, by which a view is known to be the same still.
    statements: usize,
    /// How many of them changed the rows of a table in place.
    changes: usize,
    snapshots: HashMap<TableReference, Snapshot>,
    /// By table: why it could not be set up.
    missing: HashMap<String, String>,
}

/// The rows of a table at one time.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) name: TableReference,
    pub(super) batch: RecordBatch,
    /// What the rows were read from. While it is held, no other table can have its address.
    provider: Arc<dyn TableProvider>,
    age: usize,
}

impl Loader {
    pub(super) async fn new(roots: Roots, file: &str) -> Self {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
        fixtures::register(&context, file).await;
        let scratch = TempDir::new().unwrap();
        let mut roots = roots;
        let plain = roots.data.iter().find(|(beginning, _)| beginning.ends_with("/aggregate_test_100.csv")).cloned();
        if let Some((beginning, plain)) = plain {
            let dated = fixtures::with_dates(&plain, scratch.path());
            roots.data.push((beginning.replace(".csv", "_with_dates.csv"), dated));
        }
        roots.data.push(("../core/tests/data/aggregate_simple.csv".to_owned(), fixtures::simple(scratch.path())));
        Self { context, roots, scratch, statements: 0, changes: 0, snapshots: HashMap::new(), missing: HashMap::new() }
    }

    /// Runs a statement to its end.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        self.statements += 1;
        let sql = self.with_paths(sql);
        let plan = self.context.state().create_logical_plan(&sql).await?;
        if let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(table)) = &plan
            && let Some(missing) = table.locations.iter().find(|location| !self.is_there(location))
        {
            // DataFusion makes a table without rows of it.
            let reason = format!("no registry has {missing}");
            self.missing.insert(table.name.table().to_owned(), reason.clone());
            return Err(DataFusionError::Execution(reason));
        }
        if matches!(plan, LogicalPlan::Dml(_) | LogicalPlan::Copy(_)) {
            self.changes += 1;
        }
        let run = async { self.context.execute_logical_plan(plan).await?.collect().await };
        match tokio::time::timeout(TIME_LIMIT, run).await {
            Ok(done) => done.map(|_| ()),
            Err(_) => Err(DataFusionError::Execution("the set-up takes too long".to_owned())),
        }
    }

    /// Why a table that an error names could not be set up.
    pub(super) fn missing(&self, error: &str) -> Option<String> {
        let table = error.strip_prefix("table_not_found: table `")?.split('`').next()?;
        self.missing.get(table).cloned()
    }

    /// Whether a table's files are there, or are to be written by the file itself.
    fn is_there(&self, location: &str) -> bool {
        let path = location.strip_prefix("file://").unwrap_or(location);
        path.starts_with(&*self.scratch.path().to_string_lossy()) || Path::new(path).exists()
    }

    /// A statement with the paths in it that there are here.
    fn with_paths(&self, sql: &str) -> String {
        let mut sql = sql.to_owned();
        for (beginning, path) in &self.roots.data {
            sql = sql.replace(&format!("'{beginning}"), &format!("'{}", path.display()));
        }
        let scratch = self.scratch.path().display();
        sql.replace("'test_files/scratch", &format!("'{scratch}/scratch"))
            .replace("'file://test_files/scratch", &format!("'file://{scratch}/scratch"))
    }

    /// The time zone that the file has set.
    pub(super) fn time_zone(&self) -> Option<String> {
        self.context.state().config_options().execution.time_zone.clone()
    }

    /// The tables that a query names and that there are.
    pub(super) fn tables(&self, sql: &str) -> Vec<TableReference> {
        let normalize = self.context.state().config_options().sql_parser.enable_ident_normalization;
        let Some(statement) = DFParser::parse_sql(sql).ok().and_then(|mut statements| statements.pop_front()) else {
            return Vec::new();
        };
        let Ok((tables, _)) = resolve_table_references(&statement, normalize) else { return Vec::new() };
        let is_known = |table: &TableReference| self.context.table_exist(table.clone()).unwrap_or(false);
        tables.into_iter().filter(is_known).collect()
    }

    /// Whether a snapshot still is what the table holds.
    pub(super) async fn is_current(&self, snapshot: &Snapshot) -> bool {
        let provider = self.provider(&snapshot.name).await;
        let is_same = |provider: &Arc<dyn TableProvider>| Arc::ptr_eq(provider, &snapshot.provider);
        provider.as_ref().is_some_and(is_same) && self.age(&snapshot.provider) == snapshot.age
    }

    fn age(&self, provider: &Arc<dyn TableProvider>) -> usize {
        if provider.table_type() == TableType::View { self.statements } else { self.changes }
    }

    async fn provider(&self, table: &TableReference) -> Option<Arc<dyn TableProvider>> {
        let resolved = {
            let state = self.context.state();
            let options = &state.config_options().catalog;
            table.clone().resolve(&options.default_catalog, &options.default_schema)
        };
        let schema = self.context.catalog(&resolved.catalog)?.schema(&resolved.schema)?;
        schema.table(&resolved.table).await.ok()?
    }

    /// The rows of a table, read once while they are the same.
    pub(super) async fn snapshot(&mut self, table: &TableReference) -> Option<Snapshot> {
        let provider = self.provider(table).await?;
        let age = self.age(&provider);
        if let Some(known) = self.snapshots.get(table)
            && Arc::ptr_eq(&known.provider, &provider)
            && known.age == age
        {
            return Some(known.clone());
        }
        let schema = provider.schema();
        let read = async {
            // In the order of the partitions, so that it is the same each time.
            let partitions = self.context.read_table(Arc::clone(&provider))?.collect_partitioned().await?;
            let batches: Vec<RecordBatch> = partitions.into_iter().flatten().collect();
            Ok::<_, DataFusionError>(concat_batches(&schema, &batches)?)
        };
        let batch = tokio::time::timeout(TIME_LIMIT, read).await.ok()?.ok()?;
        let snapshot = Snapshot { name: table.clone(), batch, provider, age };
        self.snapshots.insert(table.clone(), snapshot.clone());
        Some(snapshot)
    }
}
