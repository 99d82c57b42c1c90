//! Streams of typed rows from CSV and JSON files.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use tombolo_connector::{Error, ErrorCode, KeyBatch, Result, ScanReader};

use super::csv::CsvFile;
use super::rows::{RowsError, TextRows};
use super::{csv, json};
use crate::files::catalog::DataFile;
use crate::files::catalog::partition::PartitionColumn;
use crate::files::client::FileStore;
use crate::files::config::FilesConfig;
use crate::files::scan::ChosenFile;
use crate::files::types::{Format, text, type_name};

/// What is read of each file.
#[derive(Debug)]
pub(in crate::files) struct TextScan {
    pub(in crate::files) store: FileStore,
    pub(in crate::files) config: FilesConfig,
    pub(in crate::files) table: String,
    pub(in crate::files) format: Format,
    /// The columns that come out, in their order.
    pub(in crate::files) columns: Vec<Field>,
    /// The names of all columns of the table.
    pub(in crate::files) known: Vec<String>,
    pub(in crate::files) partitions: Vec<PartitionColumn>,
    pub(in crate::files) schema: SchemaRef,
    pub(in crate::files) batch_size: usize,
}

/// Reads whole files, one after another in each stream.
#[derive(Debug)]
pub(in crate::files) struct TextReader {
    scan: Arc<TextScan>,
    groups: Vec<Vec<ChosenFile>>,
}

impl TextReader {
    pub(in crate::files) fn new(scan: TextScan, groups: Vec<Vec<ChosenFile>>) -> Self {
        Self { scan: Arc::new(scan), groups }
    }
}

impl ScanReader for TextReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.scan.schema)
    }

    fn partitions(&self) -> usize {
        self.groups.len()
    }

    fn open(
        &self,
        partition: usize,
        _keys: Option<&KeyBatch>,
        _task: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let files = self.groups.get(partition).cloned();
        let files = files.ok_or_else(|| Error::internal(format!("a scan has no stream {partition}")))?;
        let state = Reading { scan: Arc::clone(&self.scan), files: files.into(), open: None };
        let batches = stream::try_unfold(state, |mut state| async move {
            let batch = state.next_batch().await.map_err(DataFusionError::from)?;
            Ok(batch.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

struct Reading {
    scan: Arc<TextScan>,
    files: VecDeque<ChosenFile>,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: DataFile,
    values: Vec<ScalarValue>,
    rows: TextRows,
    /// For each output column where it comes from.
    origins: Vec<Origin>,
    /// The fields that are read, for the search after a failed line.
    stored: SchemaRef,
}

#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A column of the decoded batch.
    Stored(usize),
    /// A column that is in the folders' names.
    Folder(usize),
    /// A column that this file lacks.
    Missing,
}

impl Reading {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.open.is_none() {
                let Some((file, values)) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.open = Some(self.scan.open(file, values).await?);
            }
            let Some(open) = &mut self.open else { continue };
            let before = open.rows.rows;
            match open.rows.next_batch().await {
                Ok(Some(batch)) => return self.scan.typed(open, before, &batch).map(Some),
                Ok(None) => self.open = None,
                Err(RowsError::Store(error)) => return Err(error),
                Err(RowsError::Decode(error)) => {
                    let shown = self.scan.store.show(&open.file.meta.location);
                    return Err(match self.scan.format {
                        Format::Json => {
                            let strict = self.scan.reads_all();
                            json::explain_failure(&self.scan.store, &open.file, &open.stored, before, strict, error)
                                .await
                        }
                        _ => csv::rows_error(RowsError::Decode(error), &shown),
                    });
                }
            }
        }
    }
}

impl TextScan {
    /// Whether a field that is no column would be lost from the answer: all columns are read, and none is hidden by one of
    /// the folders.
    fn reads_all(&self) -> bool {
        self.partitions.is_empty() && self.columns.len() == self.known.len()
    }

    async fn open(&self, file: DataFile, values: Vec<ScalarValue>) -> Result<OpenFile> {
        let folder = |name: &str| self.partitions.iter().position(|column| column.name == name).map(Origin::Folder);
        if self.format == Format::Json {
            let stored: Vec<Field> =
                self.columns.iter().filter(|field| folder(field.name()).is_none()).cloned().collect();
            let mut next = 0;
            let origins = self.columns.iter().map(|field| {
                folder(field.name()).unwrap_or_else(|| {
                    next += 1;
                    Origin::Stored(next - 1)
                })
            });
            let origins = origins.collect();
            let stored = Arc::new(Schema::new(stored));
            let rows = json::open_rows(&self.store, &file, &stored, self.batch_size, self.reads_all()).await?;
            return Ok(OpenFile { file, values, rows, origins, stored });
        }
        let opened = CsvFile::open(&self.store, &self.config.csv, &file).await?;
        if let Some(name) = opened.names.iter().find(|name| !self.known.contains(name)) {
            return Err(Error::new(
                ErrorCode::SchemaChanged,
                format!("`{}` has a column `{name}` that it did not have before", self.store.show(&file.meta.location)),
            )
            .with_hint("Refresh the source and run the query again."));
        }
        let mut stored = Vec::new();
        let origins = self.columns.iter().map(|field| {
            folder(field.name()).unwrap_or_else(|| match opened.names.iter().position(|name| name == field.name()) {
                Some(at) => {
                    stored.push(at);
                    Origin::Stored(stored.len() - 1)
                }
                None => Origin::Missing,
            })
        });
        let origins = origins.collect();
        let rows = opened.rows(stored, self.batch_size);
        Ok(OpenFile { file, values, rows, origins, stored: Arc::new(Schema::empty()) })
    }

    /// Gives a batch of texts its types. `before` is the number of rows that came before it in its file.
    fn typed(&self, open: &OpenFile, before: usize, batch: &RecordBatch) -> Result<RecordBatch> {
        let null_text = (self.format == Format::Csv).then_some(self.config.csv.null_text.as_deref()).flatten();
        let columns = self.columns.iter().zip(&open.origins).map(|(field, origin)| match *origin {
            Origin::Stored(at) => {
                typed(batch.column(at), field, null_text).map_err(|misfit| self.invalid(open, before, field, misfit))
            }
            Origin::Folder(at) => open.values[at]
                .to_array_of_size(batch.num_rows())
                .map_err(|error| Error::internal("a partition value is not an array").with_cause(error)),
            Origin::Missing => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal("a typed batch does not have its schema").with_cause(error))
    }

    fn invalid(&self, open: &OpenFile, before: usize, field: &Field, misfit: Misfit) -> Error {
        let row = before + misfit.row + 1;
        let shown = self.store.show(&open.file.meta.location);
        let column = format!("{}{}", field.name(), misfit.path);
        let value: String = misfit.value.chars().take(100).collect();
        let error = Error::new(
            ErrorCode::InvalidValue,
            format!(
                "`{shown}`, row {row}: column `{column}` is read as {} but holds `{value}`, which {}",
                type_name(&misfit.wanted),
                misfit.reason
            ),
        );
        let error = match self.format {
            Format::Csv if self.config.csv.has_header => {
                error.with_detail(format!("line {} of the file, where no value spans several lines", row + 1))
            }
            _ => error.with_detail(format!("line {row} of the file, where no value spans several lines")),
        };
        error.with_hint(format!(
            "Read the column as text: {}. Or raise `infer_rows` (now {}) beyond that row.",
            self.config.declare_hint(&self.table, field.name()),
            self.config.infer_rows
        ))
    }
}

/// A value somewhere in a column that does not have its type.
struct Misfit {
    row: usize,
    /// Where below the column, such as `.address.zip`.
    path: String,
    value: String,
    wanted: DataType,
    reason: &'static str,
}

/// Converts the text leaves of a column; lists and objects keep their form.
fn typed(array: &ArrayRef, field: &Field, null_text: Option<&str>) -> Result<ArrayRef, Misfit> {
    match field.data_type() {
        DataType::Struct(fields) => {
            let from = array.as_struct();
            let columns = fields.iter().zip(from.columns()).map(|(inner, column)| {
                typed(column, inner, null_text).map_err(|misfit| below(misfit, &format!(".{}", inner.name())))
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let built = StructArray::try_new_with_length(fields.clone(), columns, from.nulls().cloned(), from.len());
            built.map(|array| Arc::new(array) as ArrayRef).map_err(|_| unlike(field))
        }
        DataType::List(item) => {
            let from = array.as_list::<i32>();
            let values = typed(from.values(), item, null_text).map_err(|misfit| {
                // The row of an item is that of the last list that begins at or before it.
                let row = from.value_offsets().partition_point(|offset| *offset as usize <= misfit.row);
                below(Misfit { row: row.saturating_sub(1), ..misfit }, "[]")
            })?;
            let built = ListArray::try_new(Arc::clone(item), from.offsets().clone(), values, from.nulls().cloned());
            built.map(|array| Arc::new(array) as ArrayRef).map_err(|_| unlike(field))
        }
        same if same == array.data_type() && null_text.is_none() => Ok(Arc::clone(array)),
        wanted => match array.as_string_view_opt() {
            Some(texts) => text::convert(texts, wanted, null_text).map_err(|misfit| Misfit {
                row: misfit.row,
                path: String::new(),
                value: misfit.value,
                wanted: wanted.clone(),
                reason: misfit.reason,
            }),
            None => Err(unlike(field)),
        },
    }
}

fn below(misfit: Misfit, part: &str) -> Misfit {
    Misfit { path: format!("{part}{}", misfit.path), ..misfit }
}

fn unlike(field: &Field) -> Misfit {
    let (value, wanted) = (field.name().clone(), field.data_type().clone());
    Misfit { row: 0, path: String::new(), value, wanted, reason: "does not have the form of its column" }
}
