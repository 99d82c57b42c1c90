//! Parquet: footers, and the schemas of several files as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use futures::FutureExt;
use tombolo_connector::{ColumnStatistics, Error, ErrorCode, Result, RowCount};

use super::each_file;
use crate::files::catalog::{DataFile, Found, TableFiles};
use crate::files::client::FileStore;
use crate::files::scan::read_error;

/// Bytes at the end of a file that are read at once, in the hope that the footer is in them.
const FOOTER_GUESS_BYTES: usize = 64 << 10;

/// Reads all footers: columns, exact row counts, nulls.
pub(in crate::files) async fn describe(store: &FileStore, table: &TableFiles) -> Result<Found> {
    let footers = each_file(store, table.files.clone(), |store, file| {
        async move {
            let footer = footer(&store, &file).await?;
            let schema = schema_of(&store, &file, &footer)?;
            Ok((store.show(&file.meta.location), schema, footer))
        }
        .boxed()
    });
    let mut union = SchemaUnion::default();
    let mut rows = 0_u64;
    let mut nulls: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (shown, schema, footer) in footers.await? {
        union.add(&table.name, &schema, &shown)?;
        let file_rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
        rows += file_rows;
        let statistics = DFParquetMetadata::statistics_from_parquet_metadata(&footer, &schema);
        for (field, column) in schema.fields().iter().zip(statistics.map(|s| s.column_statistics).unwrap_or_default()) {
            let known = match column.null_count {
                Precision::Exact(count) => Some(count as u64),
                _ => None,
            };
            let sum = nulls.entry(field.name().clone()).or_insert(Some(0));
            *sum = sum.zip(known).map(|(sum, more)| sum + more);
        }
    }
    let columns = nulls.into_iter().filter_map(|(name, nulls)| {
        let null_fraction = nulls.filter(|_| rows > 0).map(|nulls| nulls as f64 / rows as f64)?;
        Some((name, ColumnStatistics { null_fraction: Some(null_fraction), ..ColumnStatistics::default() }))
    });
    Ok(Found { schema: union.schema(), rows: RowCount::Exact(rows), columns: columns.collect() })
}

/// The footer of one file, from the cache while the file is the same.
pub(in crate::files) async fn footer(store: &FileStore, file: &DataFile) -> Result<Arc<ParquetMetaData>> {
    let shown = store.show(&file.meta.location);
    if file.meta.size == 0 {
        return Err(Error::new(
            ErrorCode::CorruptData,
            format!("`{shown}` is empty (0 bytes), so it is not a Parquet file"),
        )
        .with_hint("The program that wrote it may have failed; write it again, or remove it."));
    }
    DFParquetMetadata::new(store.store.as_ref(), &file.meta)
        .with_metadata_size_hint(Some(FOOTER_GUESS_BYTES))
        .with_file_metadata_cache(Some(Arc::clone(&store.footers)))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .fetch_metadata()
        .await
        .map_err(|error| read_error(error, &shown))
}

/// What one file's footer says of its rows and of the values of each column of `schema`.
pub(in crate::files) async fn statistics(store: &FileStore, file: &DataFile, schema: &SchemaRef) -> Result<Statistics> {
    let footer = footer(store, file).await?;
    DFParquetMetadata::statistics_from_parquet_metadata(&footer, schema)
        .map_err(|error| read_error(error, &store.show(&file.meta.location)))
}

fn schema_of(store: &FileStore, file: &DataFile, footer: &ParquetMetaData) -> Result<SchemaRef> {
    let metadata = footer.file_metadata();
    let schema = parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata());
    let schema = schema.map_err(|error| read_error(error.into(), &store.show(&file.meta.location)))?;
    Ok(Arc::new(transform_schema_to_view(&plain(&schema))))
}

/// The schema without the notes that writers leave in it, which differ between files of one table.
pub(in crate::files) fn plain(schema: &Schema) -> Schema {
    fn field(of: &Field) -> Field {
        let data_type = match of.data_type() {
            DataType::List(item) => DataType::List(Arc::new(field(item))),
            DataType::LargeList(item) => DataType::LargeList(Arc::new(field(item))),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(Arc::new(field(item)), *size),
            DataType::Map(entries, sorted) => DataType::Map(Arc::new(field(entries)), *sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(|inner| field(inner)).collect()),
            other => other.clone(),
        };
        Field::new(of.name(), data_type, of.is_nullable())
    }
    Schema::new(schema.fields().iter().map(|of| field(of)).collect::<Vec<_>>())
}

/// Several files' columns by name. A column that a file lacks is null there; one of two types is an error.
#[derive(Debug, Default)]
pub(in crate::files) struct SchemaUnion {
    fields: Vec<UnionField>,
    files: usize,
}

#[derive(Debug)]
struct UnionField {
    field: Field,
    /// The file that gave the type.
    shown: String,
    files: usize,
}

impl SchemaUnion {
    fn add(&mut self, table: &str, schema: &Schema, shown: &str) -> Result<()> {
        self.files += 1;
        for field in schema.fields() {
            let Some(known) = self.fields.iter_mut().find(|known| known.field.name() == field.name()) else {
                self.fields.push(UnionField { field: field.as_ref().clone(), shown: shown.to_owned(), files: 1 });
                continue;
            };
            let Some(data_type) = widened(known.field.data_type(), field.data_type()) else {
                let (first, second) = (known.field.data_type(), field.data_type());
                return Err(Error::new(
                    ErrorCode::TypeMismatch,
                    format!("column `{}` of table `{table}` has two types", field.name()),
                )
                .with_detail(format!("{first} in `{}`, {second} in `{shown}`", known.shown))
                .with_hint(
                    "Write the files with one type, or connect them as separate tables and cast in the query.",
                ));
            };
            if data_type != *known.field.data_type() {
                known.shown = shown.to_owned();
            }
            let nullable = known.field.is_nullable() || field.is_nullable();
            known.field = Field::new(field.name(), data_type, nullable);
            known.files += 1;
        }
        Ok(())
    }

    fn schema(self) -> SchemaRef {
        let files = self.files;
        let fields = self.fields.into_iter().map(|known| {
            let nullable = known.field.is_nullable() || known.files < files;
            known.field.with_nullable(nullable)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// The type that carries every value of both exactly.
fn widened(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, Null, UInt8, UInt16, UInt32, UInt64};
    let rank = |data_type: &DataType, ranks: &[DataType]| ranks.iter().position(|rank| rank == data_type);
    match (left, right) {
        (same, other) if same == other => Some(same.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        _ => [&[Int8, Int16, Int32, Int64][..], &[UInt8, UInt16, UInt32, UInt64], &[Float32, Float64]].iter().find_map(
            |ranks| {
                let at = rank(left, ranks)?.max(rank(right, ranks)?);
                ranks.get(at).cloned()
            },
        ),
    }
}
