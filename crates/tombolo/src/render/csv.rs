use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tombolo_connector::Result;

use super::cell::{Audience, Cells};
use super::writer::{ResultWriter, Sink, Summary, write_failed};

/// Writes comma-separated values as RFC 4180 has them, with a header; lines end with a newline alone, as the tools that
/// read them line by line expect.
///
/// A null is nothing between two commas, an empty text is `""`: a reader that cares can tell them apart, as PostgreSQL's
/// COPY and DuckDB do. Nested values are JSON. Names that repeat are kept as they are.
pub(super) struct CsvWriter {
    out: Sink,
    line: String,
}

impl CsvWriter {
    pub(super) fn new(out: Sink) -> Self {
        Self { out, line: String::new() }
    }
}

impl ResultWriter for CsvWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        if schema.fields().is_empty() {
            return Ok(());
        }
        self.line.clear();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                self.line.push(',');
            }
            push_field(&mut self.line, field.name());
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes()).map_err(write_failed)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() == 0 {
            return Ok(());
        }
        let schema = batch.schema_ref();
        let mut columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Cells::try_new(field, column, Audience::Programs))
            .collect::<Result<Vec<_>>>()?;
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (index, cells) in columns.iter_mut().enumerate() {
                if index > 0 {
                    self.line.push(',');
                }
                if !cells.is_null(row) {
                    value.clear();
                    cells.write(row, &mut value);
                    push_field(&mut self.line, &value);
                }
            }
            self.line.push('\n');
            self.out.write_all(self.line.as_bytes()).map_err(write_failed)?;
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> Result<()> {
        self.out.flush().map_err(write_failed)
    }
}

/// Adds a value, quoted where it must be: where it is empty, holds a separator, a quote or a line end, or begins or ends
/// with a blank, which some readers trim.
fn push_field(line: &mut String, value: &str) {
    let must_quote = value.is_empty()
        || value.contains([',', '"', '\n', '\r'])
        || value.starts_with(char::is_whitespace)
        || value.ends_with(char::is_whitespace);
    if !must_quote {
        line.push_str(value);
        return;
    }
    line.push('"');
    for (index, part) in value.split('"').enumerate() {
        if index > 0 {
            line.push_str("\"\"");
        }
        line.push_str(part);
    }
    line.push('"');
}
