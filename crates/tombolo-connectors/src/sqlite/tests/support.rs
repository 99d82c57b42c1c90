use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use tempfile::TempDir;
use tombolo_connector::{
    Connector, ConnectorFactory, Error, KeyBatch, Options, QueryContext, QueryState, Result, Scan, ScanInput,
    ScanTable, TableDescription, TableRef, tombolo_error_in,
};

use crate::sql::tests::tree::{accepts, scan_of};
use crate::sqlite::{SPEC, SqliteFactory};

/// A SQLite file of its own, its connector, and the same rows in memory.
pub(super) struct Bench {
    folder: TempDir,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) tables: Vec<Arc<TableDescription>>,
    pub(super) session: SessionContext,
}

pub(super) fn database(folder: &TempDir, sql: &str) -> PathBuf {
    let path = folder.path().join("test.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    path
}

pub(super) async fn connect(path: &Path, options: &[(&str, &str)]) -> Result<Arc<dyn Connector>> {
    let mut given = Options::default().with("path", path.to_str().unwrap());
    for (name, value) in options {
        given.set(name, *value);
    }
    SqliteFactory.connect("test", &given.checked(SPEC.options).unwrap()).await
}

pub(super) fn context() -> QueryContext {
    let session = SessionContext::new();
    QueryContext {
        query_id: "q".to_owned(),
        user: "u".to_owned(),
        deadline: None::<Instant>,
        batch_size: 100,
        target_partitions: 2,
        reads_first_rows: false,
        runtime: session.runtime_env(),
        session: SessionConfig::new(),
        state: QueryState::default(),
    }
}

/// The whole of a table, as a tree.
pub(super) fn whole(description: &Arc<TableDescription>) -> Scan {
    let schema = datafusion::common::DFSchema::try_from_qualified_schema(
        description.table.table.as_str(),
        &description.arrow_schema(),
    )
    .unwrap();
    Scan::Table(ScanTable {
        description: Arc::clone(description),
        columns: (0..description.columns.len()).collect(),
        schema: Arc::new(schema),
    })
}

pub(super) async fn read(
    connector: &dyn Connector,
    scan: &Scan,
    context: &QueryContext,
    keys: Option<&KeyBatch>,
) -> Result<Vec<RecordBatch>> {
    let planned = connector.plan_scan(scan, context).await?;
    let ScanInput::Reader(reader) = planned.input else { panic!("SQLite reads by itself") };
    let task = SessionContext::new().task_ctx();
    let mut batches = Vec::new();
    for partition in 0..reader.partitions() {
        let stream = reader.open(partition, keys, &task)?;
        batches.extend(stream.try_collect::<Vec<_>>().await.map_err(|error| own(&error))?);
    }
    Ok(batches)
}

fn own(error: &datafusion::error::DataFusionError) -> Error {
    match tombolo_error_in(error) {
        Some(found) => Error::new(found.code(), found.message()).with_hint(found.hint().unwrap_or_default()),
        None => Error::internal(error.to_string()),
    }
}

/// A session whose answers are those of the logical plan. DataFusion 55.2 pushes physical filters by column *name*: over a
/// join whose sides both have a column `s`, a filter on the one may land on the other (`FilterRemapper::try_remap`), and the
/// answer is wrong. So the reference does without that rule.
fn reference_session() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let rules = state.physical_optimizers().iter().filter(|rule| !rule.name().starts_with("FilterPushdown"));
    let rules = rules.cloned().collect();
    SessionContext::new_with_state(
        SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build(),
    )
}

impl Bench {
    pub(super) async fn new(sql: &str) -> Self {
        Self::with_options(sql, &[]).await
    }

    pub(super) async fn with_options(sql: &str, options: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = database(&folder, sql);
        let connector = connect(&path, options).await.unwrap();
        let session = reference_session();
        let mut tables = Vec::new();
        for table in connector.list_tables("main").await.unwrap() {
            let description = Arc::new(connector.describe_table(&table).await.unwrap());
            let schema = description.arrow_schema();
            if let Ok(batches) = read(connector.as_ref(), &whole(&description), &context(), None).await {
                let memory = MemTable::try_new(schema, vec![batches]).unwrap();
                session.register_table(table.table.as_str(), Arc::new(memory)).unwrap();
            } else {
                let memory = MemTable::try_new(schema, vec![vec![]]).unwrap();
                session.register_table(table.table.as_str(), Arc::new(memory)).unwrap();
            }
            tables.push(description);
        }
        Self { folder, connector, tables, session }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    pub(super) fn table(&self, name: &str) -> &Arc<TableDescription> {
        self.tables.iter().find(|table| table.table == TableRef::new("main", name)).unwrap()
    }

    pub(super) async fn plan(&self, sql: &str) -> datafusion::error::Result<LogicalPlan> {
        let state = self.session.state();
        state.optimize(&state.create_logical_plan(sql).await?)
    }

    /// The tree of a statement, or the reasons why SQLite does not take it all.
    pub(super) async fn accepted(&self, sql: &str) -> std::result::Result<Scan, Vec<String>> {
        let plan = self.plan(sql).await.map_err(|error| vec![format!("plan: {error}")])?;
        let scan = scan_of(&plan, &self.tables).map_err(|what| vec![what])?;
        accepts(self.connector.as_ref(), &scan).map(|()| scan)
    }

    /// The SQL that SQLite is asked for a statement, or the first reason for refusing it.
    pub(super) async fn native(&self, sql: &str) -> String {
        match self.accepted(sql).await {
            Ok(scan) => self.connector.native_query(&scan).unwrap().text,
            Err(reasons) => format!("refused: {}", reasons.join("; ")),
        }
    }
}

/// The rows as text, floats to nine digits; in their order, or sorted where they have none.
pub(super) fn lines(batches: &[RecordBatch], ordered: bool) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns
                .iter()
                .zip(batch.columns())
                .map(|(column, array)| {
                    let text = column.value(row).to_string();
                    match text.parse::<f64>() {
                        Ok(number) if array.data_type().is_floating() => format!("{number:.8e}"),
                        _ => text,
                    }
                })
                .collect();
            lines.push(format!("({})", values.join("|")));
        }
    }
    if !ordered {
        lines.sort();
    }
    lines
}
