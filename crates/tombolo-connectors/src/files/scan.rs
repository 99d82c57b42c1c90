//! An accepted tree as streams: which files are left, and who reads them.

pub(super) mod format;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{ArrowSource, FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt};
use tombolo_connector::{
    Error, ErrorCode, PlannedScan, QueryContext, Result, ResultExt, RowCount, Scan, ScanInput, ScanStatistics,
    StreamWrapper, TableDescription, tombolo_error_in,
};

use self::format::reader::{TextReader, TextScan};
use self::format::{each_file, parquet};
use super::FilesConnector;
use super::capability::{FlatScan, Layout};
use super::catalog::{DataFile, TableFiles, partition};
use super::client::pinned::PinnedStore;
use super::client::{replaced, vanished};
use super::config::Location;
use super::native;
use super::types::Format;

/// A file that is left to read, with the values of its folders.
pub(super) type ChosenFile = (DataFile, Vec<ScalarValue>);

pub(super) async fn plan_scan(connector: &FilesConnector, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
    let flat = FlatScan::accepted(scan)?;
    let description = &flat.table.description;
    let table = connector.files_of(&description.table).await?;
    let known = if is_unchanged(connector, &table, description).await? {
        description.statistics.rows
    } else {
        // What was counted then says how many rows there may be now, and no more.
        description.statistics.rows.value().map_or(RowCount::Unknown, RowCount::Estimated)
    };
    let all = table.files.len();
    let (chosen, row_filters) = choose(connector, &flat, &table)?;
    let native = native::text_of(&flat, Some((chosen.len(), all)));
    let schema: SchemaRef = Arc::clone(scan.schema().inner());
    let bytes = chosen.iter().map(|(file, _)| file.meta.size).sum::<u64>();
    let share = if table.bytes() == 0 { 1.0 } else { bytes as f64 / table.bytes() as f64 };
    let rows = estimated_rows(known, share, all == chosen.len() && row_filters.is_empty());
    let errors = Arc::new(ReadErrors::of(connector, &table));
    let text = matches!(table.format, Format::Csv | Format::Json);
    let (input, rows) = if text {
        let scan = TextScan {
            store: connector.store.clone(),
            config: connector.config.clone(),
            table: table.name.clone(),
            format: table.format,
            columns: flat.columns.iter().map(|column| description.arrow_schema().field(*column).clone()).collect(),
            known: description.columns.iter().map(|column| column.field.name().clone()).collect(),
            partitions: table.partitions.clone(),
            schema,
            batch_size: context.batch_size,
        };
        let reader = TextReader::new(scan, deal(chosen, context.target_partitions));
        (ScanInput::Reader(Arc::new(reader)), rows)
    } else {
        connector.store.register(&context.runtime);
        let (plan, exact) = plan_files(connector, &flat, &table, chosen, row_filters, context).await?;
        (ScanInput::Plan(plan), exact.map_or(rows, RowCount::Exact))
    };
    Ok(PlannedScan { native, input, statistics: ScanStatistics { rows, bytes: None }, wrappers: vec![errors] })
}

fn estimated_rows(rows: RowCount, share: f64, whole: bool) -> RowCount {
    match rows {
        RowCount::Unknown => RowCount::Unknown,
        known if whole => known,
        RowCount::Exact(rows) | RowCount::Estimated(rows) => RowCount::Estimated((rows as f64 * share).ceil() as u64),
    }
}

/// Whether the files are those that were described. Refuses to read files whose columns are others; new rows and new files
/// can be read.
async fn is_unchanged(connector: &FilesConnector, table: &TableFiles, description: &TableDescription) -> Result<bool> {
    if Layout::read(description).is_some_and(|layout| layout.files == table.fingerprint()) {
        return Ok(true);
    }
    let now = connector.describe(table).await?;
    let (before, after) = (description.arrow_schema(), now.arrow_schema());
    if before == after {
        return Ok(false);
    }
    let mut differences: Vec<String> = Vec::new();
    for field in before.fields() {
        match after.field_with_name(field.name()) {
            Err(_) => differences.push(format!("`{}` is gone", field.name())),
            Ok(now) if now != field.as_ref() => {
                differences.push(format!("`{}` was {} and is {}", field.name(), field.data_type(), now.data_type()));
            }
            Ok(_) => {}
        }
    }
    for field in after.fields().iter().filter(|field| before.field_with_name(field.name()).is_err()) {
        differences.push(format!("`{}` is new", field.name()));
    }
    if differences.is_empty() {
        differences.push("the columns are in another order".to_owned());
    }
    Err(Error::new(ErrorCode::SchemaChanged, format!("the columns of table `{}` have changed", table.name))
        .with_detail(differences.join(", "))
        .with_hint("Refresh the source and run the query again."))
}

/// Picks the files whose folders satisfy the filters, and gives the filters that are on rows.
fn choose(
    connector: &FilesConnector,
    flat: &FlatScan<'_>,
    table: &TableFiles,
) -> Result<(Vec<ChosenFile>, Vec<datafusion::logical_expr::Expr>)> {
    let (on_folders, on_rows): (Vec<_>, Vec<_>) =
        flat.predicates.iter().cloned().partition(|predicate| flat.on_partitions(predicate, table.partitions.len()));
    let shown = |file: &DataFile| connector.store.show(&file.meta.location);
    let values: Vec<Vec<ScalarValue>> = table
        .files
        .iter()
        .map(|file| partition::values(&table.partitions, file, &shown(file)))
        .collect::<Result<_>>()?;
    let kept = partition::matching(&table.partitions, &values, &on_folders)?;
    let files = table.files.iter().cloned().zip(values).zip(kept);
    Ok((files.filter(|(_, kept)| *kept).map(|(file, _)| file).collect(), on_rows))
}

/// Deals files over streams so that each has about as many bytes to read.
fn deal(mut files: Vec<ChosenFile>, streams: usize) -> Vec<Vec<ChosenFile>> {
    let mut groups: Vec<(u64, Vec<ChosenFile>)> = Vec::new();
    groups.resize_with(streams.clamp(1, files.len().max(1)), Default::default);
    files.sort_by_key(|(file, _)| std::cmp::Reverse(file.meta.size));
    for file in files {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.0.meta.size.max(1);
            group.push(file);
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Plans Parquet or Arrow files as DataFusion's own scan. Gives the rows too where footers say them and nothing but whole
/// files was filtered.
async fn plan_files(
    connector: &FilesConnector,
    flat: &FlatScan<'_>,
    table: &TableFiles,
    chosen: Vec<ChosenFile>,
    row_filters: Vec<datafusion::logical_expr::Expr>,
    context: &QueryContext,
) -> Result<(Arc<dyn ExecutionPlan>, Option<u64>)> {
    let whole = flat.table.description.arrow_schema();
    let stored = whole.fields().len() - table.partitions.len();
    let file_schema = Arc::new(arrow::datatypes::Schema::new(whole.fields()[..stored].to_vec()));
    let partitions = whole.fields()[stored..].to_vec();
    let table_schema = TableSchema::builder(Arc::clone(&file_schema)).with_table_partition_cols(partitions).build();

    if chosen.is_empty() {
        let schema = Arc::new(whole.project(&flat.columns).or_error(ErrorCode::Internal, || "no columns".to_owned())?);
        return Ok((Arc::new(EmptyExec::new(schema)), Some(0)));
    }
    let local = matches!(connector.config.location, Location::Local(_));
    let metas = chosen.iter().map(|(file, _)| &file.meta);
    let pinned = PinnedStore::new(&connector.config.source, Arc::clone(&connector.store.store), metas, local);
    let mut exact = None;
    let mut files = Vec::with_capacity(chosen.len());
    if table.format == Format::Parquet {
        let looked = chosen.iter().map(|(file, _)| file.clone()).collect();
        let footers = each_file(&connector.store, looked, |store, file| {
            let schema = Arc::clone(&file_schema);
            async move { parquet::statistics(&store, &file, &schema).await }.boxed()
        });
        let footers = footers.await?;
        if row_filters.is_empty() {
            exact = footers.iter().map(|footer| footer.num_rows.get_value().map(|rows| *rows as u64)).sum();
        }
        // DataFusion takes the value of a folder to be never null.
        let nulls = chosen.iter().any(|(_, values)| values.iter().any(ScalarValue::is_null));
        for ((file, values), footer) in chosen.into_iter().zip(footers) {
            let file = PartitionedFile::new_from_meta(file.meta).with_partition_values(values);
            files.push(if nulls { file } else { file.with_statistics(Arc::new(footer)) });
        }
    } else {
        files.extend(
            chosen.into_iter().map(|(f, values)| PartitionedFile::new_from_meta(f.meta).with_partition_values(values)),
        );
    }
    let plan = || -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let known: Vec<&Statistics> = files.iter().filter_map(|file| file.statistics.as_deref()).collect();
        let statistics = match known.len() {
            0 => None,
            _ => Some(Statistics::try_merge_iter(known, &whole)?),
        };
        let groups = FileGroup::new(files).split_files(context.target_partitions.max(1));
        let source: Arc<dyn FileSource> = match table.format {
            Format::Parquet => {
                let options = TableParquetOptions {
                    global: context.session.options().execution.parquet.clone(),
                    ..TableParquetOptions::default()
                };
                let factory =
                    CachedParquetFileReaderFactory::new(Arc::new(pinned), Arc::clone(&connector.store.footers));
                let mut source = ParquetSource::new(table_schema)
                    .with_table_parquet_options(options)
                    .with_parquet_file_reader_factory(Arc::new(factory));
                if let Some(predicate) = conjunction(row_filters) {
                    let schema = DFSchema::try_from(Arc::clone(&whole))?;
                    let planning = PhysicalPlanningContext::default();
                    source = source.with_predicate(create_physical_expr(
                        &predicate,
                        &schema,
                        &ExecutionProps::new(),
                        &planning,
                    )?);
                }
                Arc::new(source)
            }
            _ => Arc::new(ArrowSource::new_file_source(table_schema)),
        };
        let mut config = FileScanConfigBuilder::new(connector.store.url.clone(), source)
            .with_file_groups(groups)
            .with_projection_indices(Some(flat.columns.clone()))?;
        if let Some(statistics) = statistics {
            config = config.with_statistics(statistics);
        }
        let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config.build());
        // A large Parquet file is read by row groups over several streams; the Arrow reader does not take ranges well.
        match table.format {
            Format::Parquet => {
                let split = plan.repartitioned(context.target_partitions, context.session.options())?;
                Ok(split.unwrap_or(plan))
            }
            _ => Ok(plan),
        }
    };
    let plan = plan().or_error(ErrorCode::Internal, || format!("cannot plan the scan of table `{}`", table.name))?;
    Ok((plan, exact))
}

/// Gives errors of DataFusion's readers Tombolo's codes, and names the file.
#[derive(Debug)]
struct ReadErrors {
    /// How the files are shown, by their paths.
    files: Arc<Vec<(String, String)>>,
    shown: Arc<str>,
}

impl ReadErrors {
    fn of(connector: &FilesConnector, table: &TableFiles) -> Self {
        let files = table.files.iter().map(|file| &file.meta.location);
        let files = files.map(|path| (path.to_string(), connector.store.show(path))).collect();
        Self { files: Arc::new(files), shown: table.shown.as_str().into() }
    }
}

impl StreamWrapper for ReadErrors {
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (files, shown) = (Arc::clone(&self.files), Arc::clone(&self.shown));
        let schema = stream.schema();
        let mapped = stream.map(move |batch: datafusion::common::Result<RecordBatch>| {
            batch.map_err(|error| {
                let text = error.to_string();
                let named = files.iter().find(|(path, _)| text.contains(path.as_str()));
                let shown = match (named, &files[..]) {
                    (Some((_, shown)), _) | (None, [(_, shown)]) => shown.clone(),
                    _ => shown.to_string(),
                };
                DataFusionError::from(read_error(error, &shown))
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, mapped))
    }
}

/// Finds out what a reader's error means, by the first cause that says it.
pub(super) fn read_error(error: DataFusionError, shown: &str) -> Error {
    if tombolo_error_in(&error).is_some() {
        return match error {
            DataFusionError::External(cause) => match cause.downcast::<Error>() {
                Ok(own) => *own,
                Err(cause) => Error::new(ErrorCode::SourceFailed, format!("cannot read `{shown}`")).with_cause(cause),
            },
            error => reworded(error, shown),
        };
    }
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        return Error::new(ErrorCode::OutOfMemory, format!("reading `{shown}` needs more memory than is allowed"))
            .with_hint("Raise `max_memory`, or read fewer columns.")
            .with_cause(error);
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut corrupt = false;
    while let Some(cause) = next {
        match cause.downcast_ref::<object_store::Error>() {
            Some(object_store::Error::NotFound { .. }) => return vanished(shown).with_cause(error),
            Some(object_store::Error::Precondition { .. }) => return replaced(shown).with_cause(error),
            Some(object_store::Error::Generic { store: "S3", .. }) => return cut_off(error, shown),
            _ => {}
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::NotFound {
                return vanished(shown).with_cause(error);
            }
            corrupt |= matches!(io.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData);
        }
        corrupt |= cause.is::<datafusion::parquet::errors::ParquetError>() || cause.is::<arrow::error::ArrowError>();
        // A wrapper of DataFusion's names its inner error only through a reference to a box.
        next = cause.source();
    }
    // The readers also flatten causes to text.
    let text = error.to_string();
    if text.contains("Precondition") {
        return replaced(shown).with_cause(error);
    }
    if text.contains("NotFound") || text.contains("not found: No such file") {
        return vanished(shown).with_cause(error);
    }
    if text.contains("Generic S3 error") {
        return cut_off(error, shown);
    }
    if corrupt || text.contains("Parquet error") || text.contains("Arrow error") {
        return Error::new(ErrorCode::CorruptData, format!("`{shown}` is damaged or cut off"))
            .with_detail(text)
            .with_hint("Copy or write the file again; the program that wrote it may not have finished.")
            .with_cause(error);
    }
    reworded(error, shown)
}

/// The error for a store that was lost while it sent a file. Parquet's reader wraps it as it wraps a damaged file.
fn cut_off(error: DataFusionError, shown: &str) -> Error {
    Error::new(ErrorCode::SourceUnavailable, format!("the object store was lost while `{shown}` was read"))
        .with_detail(error.to_string())
        .with_hint("Run the query again; if it stays, look at the network and the store.")
        .with_cause(error)
        .retryable()
}

fn reworded(error: DataFusionError, shown: &str) -> Error {
    Error::new(ErrorCode::SourceFailed, format!("cannot read `{shown}`"))
        .with_detail(error.to_string())
        .with_hint("Run the query again; if it stays, look at the file.")
        .with_cause(error)
}
