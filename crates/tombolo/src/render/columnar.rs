use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::parquet::arrow::ArrowWriter as ParquetArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use tombolo_connector::{Error, Result};

use super::names::unique_names;
use super::writer::{ResultWriter, Sink, Summary, with_schema, write_failed};

/// Writes Parquet, compressed with Zstandard. Names that repeat are numbered (see [`unique_names`]), since many readers
/// find columns by name. What the summary carries goes into the file's key-value metadata.
pub(super) struct ParquetWriter {
    out: Option<Sink>,
    schema: SchemaRef,
    writer: Option<ParquetArrowWriter<Sink>>,
}

impl ParquetWriter {
    pub(super) fn new(out: Sink) -> Self {
        Self { out: Some(out), schema: Arc::new(Schema::empty()), writer: None }
    }
}

impl ResultWriter for ParquetWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        let out = self.out.take().ok_or_else(begun_twice)?;
        self.schema = unique_names(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("tombolo ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer =
            ParquetArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties)).map_err(write_failed)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = with_schema(batch, &self.schema)?;
        self.writer.as_mut().ok_or_else(not_begun)?.write(&batch).map_err(write_failed)
    }

    fn finish(&mut self, summary: &Summary) -> Result<()> {
        let mut writer = self.writer.take().ok_or_else(not_begun)?;
        for (key, value) in &summary.metadata {
            writer.append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
        }
        let mut out = writer.into_inner().map_err(write_failed)?;
        out.flush().map_err(write_failed)
    }
}

/// Writes Arrow IPC. On stdout it is the stream format, which a reader can begin before it ends; in a file it is the file
/// format (Feather 2), which readers can seek in. Both keep types and names exactly.
pub(super) struct ArrowWriter {
    out: Option<Sink>,
    is_file: bool,
    writer: Option<Ipc>,
}

enum Ipc {
    File(FileWriter<Sink>),
    Stream(StreamWriter<Sink>),
}

impl ArrowWriter {
    pub(super) fn new(out: Sink, is_file: bool) -> Self {
        Self { out: Some(out), is_file, writer: None }
    }
}

impl ResultWriter for ArrowWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        let out = self.out.take().ok_or_else(begun_twice)?;
        self.writer = Some(if self.is_file {
            Ipc::File(FileWriter::try_new(out, schema).map_err(write_failed)?)
        } else {
            Ipc::Stream(StreamWriter::try_new(out, schema).map_err(write_failed)?)
        });
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.writer.as_mut().ok_or_else(not_begun)? {
            Ipc::File(writer) => writer.write(batch),
            Ipc::Stream(writer) => writer.write(batch),
        }
        .map_err(write_failed)
    }

    fn finish(&mut self, _summary: &Summary) -> Result<()> {
        match self.writer.as_mut().ok_or_else(not_begun)? {
            Ipc::File(writer) => writer.finish().and_then(|()| writer.flush()),
            Ipc::Stream(writer) => writer.finish().and_then(|()| writer.flush()),
        }
        .map_err(write_failed)
    }
}

fn not_begun() -> Error {
    Error::internal("a result was written before its columns")
}

fn begun_twice() -> Error {
    Error::internal("a result was begun twice")
}
