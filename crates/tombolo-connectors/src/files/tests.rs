mod csv;
mod json;
mod layout;
mod parquet;
mod s3;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema};
use datafusion::execution::TaskContext;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::TryStreamExt;
use tombolo_connector::{
    Answer, Connector, ConnectorFactory, Error, ErrorCode, Options, PlannedScan, QueryContext, QueryState, Result,
    RowCount, Scan, ScanInput, ScanTable, TableDescription, TableRef, tombolo_error_in,
};

use super::FilesFactory;

/// A folder with a source over it.
struct Fixture {
    dir: tempfile::TempDir,
    options: Options,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), options: Options::default() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.options.set(name, value);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content.as_ref()).unwrap();
        self
    }

    fn parquet(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> &Self {
        self.parquet_with(name, columns, WriterProperties::builder().build())
    }

    fn parquet_with(&self, name: &str, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> &Self {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        self.write(name, bytes)
    }

    async fn connect(&self) -> Arc<dyn Connector> {
        self.connect_to(self.dir.path()).await.unwrap()
    }

    async fn connect_to(&self, path: &Path) -> Result<Arc<dyn Connector>> {
        connect(self.options.clone().with("path", path.to_str().unwrap())).await
    }

    async fn describe(&self, table: &str) -> Result<TableDescription> {
        self.connect().await.describe_table(&TableRef::new("main", table)).await
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        read(&*self.connect().await, table).await
    }
}

async fn connect(options: Options) -> Result<Arc<dyn Connector>> {
    FilesFactory.connect("shop", &options.checked(FilesFactory.spec().options)?).await
}

fn context() -> QueryContext {
    QueryContext {
        query_id: "q".to_owned(),
        user: "u".to_owned(),
        deadline: None,
        batch_size: 1000,
        target_partitions: 2,
        reads_first_rows: false,
        runtime: Arc::new(RuntimeEnv::default()),
        session: SessionConfig::new(),
        state: QueryState::default(),
    }
}

async fn table(connector: &dyn Connector, name: &str) -> Result<Scan> {
    let description = connector.describe_table(&TableRef::new("main", name)).await?;
    let columns = (0..description.columns.len()).collect();
    Ok(table_of(description, columns))
}

fn table_of(description: TableDescription, columns: Vec<usize>) -> Scan {
    let schema = description.arrow_schema().project(&columns).unwrap();
    let schema = DFSchema::try_from_qualified_schema("t", &schema).unwrap();
    Scan::Table(ScanTable { description: Arc::new(description), columns, schema: Arc::new(schema) })
}

/// What the connector accepts of a filter over a table, as the engine would keep it.
fn filtered(connector: &dyn Connector, input: Scan, predicate: Expr) -> (Scan, Answer) {
    let scan = Scan::Filter { input: Arc::new(input), predicates: vec![predicate] };
    let answer = connector.offer(&scan).parts[0].clone();
    (scan, answer)
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new(Some("t"), name))
}

async fn read(connector: &dyn Connector, name: &str) -> Result<Vec<RecordBatch>> {
    run(connector, &table(connector, name).await?).await
}

async fn run(connector: &dyn Connector, scan: &Scan) -> Result<Vec<RecordBatch>> {
    let context = context();
    let planned = connector.plan_scan(scan, &context).await?;
    collect(planned, scan, &context).await
}

async fn collect(planned: PlannedScan, scan: &Scan, context: &QueryContext) -> Result<Vec<RecordBatch>> {
    let task = TaskContext::default().with_runtime(Arc::clone(&context.runtime));
    let task = Arc::new(task.with_session_config(context.session.clone().with_batch_size(context.batch_size)));
    let partitions = match &planned.input {
        ScanInput::Reader(reader) => reader.partitions(),
        ScanInput::Plan(plan) => plan.output_partitioning().partition_count(),
    };
    let mut batches = Vec::new();
    for partition in 0..partitions {
        let mut stream = match &planned.input {
            ScanInput::Reader(reader) => reader.open(partition, None, &task)?,
            ScanInput::Plan(plan) => plan.execute(partition, Arc::clone(&task)).unwrap(),
        };
        for wrapper in &planned.wrappers {
            stream = wrapper.wrap(stream);
        }
        assert_eq!(stream.schema().fields(), scan.schema().fields(), "the declared schema is the scan's");
        let read: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| match tombolo_error_in(&error) {
            Some(found) => copied(found),
            None => panic!("an error without a code: {error}"),
        })?;
        for batch in &read {
            assert_eq!(batch.schema().fields(), scan.schema().fields());
        }
        batches.extend(read);
    }
    Ok(batches)
}

/// The same error again, since a cause is only borrowed.
fn copied(error: &Error) -> Error {
    let mut copy = Error::new(error.code(), error.message());
    if let Some(detail) = error.detail() {
        copy = copy.with_detail(detail);
    }
    if let Some(hint) = error.hint() {
        copy = copy.with_hint(hint);
    }
    copy
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// The rows as `|a|b|` lines, sorted.
fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let mut lines: Vec<String> = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort();
    lines
}

fn types(description: &TableDescription) -> Vec<String> {
    description
        .columns
        .iter()
        .map(|column| format!("{} {}", column.field.name(), super::types::type_name(column.field.data_type())))
        .collect()
}

async fn table_names(connector: &dyn Connector) -> Vec<String> {
    connector.list_tables("main").await.unwrap().into_iter().map(|table| table.table).collect()
}
