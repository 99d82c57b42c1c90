use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tombolo_connector::Result;

use super::cell::{Audience, Cells, is_number};
use super::text;
use super::writer::{ResultWriter, Sink, Summary, write_failed};

/// Writes a table as GitHub's Markdown has it, all rows of it. What Markdown or HTML would take for markup is escaped, line
/// ends become `<br>`, and a null is `*NULL*`.
pub(super) struct MarkdownWriter {
    out: Sink,
}

impl MarkdownWriter {
    pub(super) fn new(out: Sink) -> Self {
        Self { out }
    }
}

impl ResultWriter for MarkdownWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        if schema.fields().is_empty() {
            return Ok(());
        }
        let mut header = String::from("|");
        let mut rule = String::from("|");
        for field in schema.fields() {
            header.push_str(&format!(" {} |", escape(field.name())));
            rule.push_str(if is_number(field.data_type()) { " ---: |" } else { " --- |" });
        }
        writeln!(self.out, "{header}\n{rule}").map_err(write_failed)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() == 0 {
            return Ok(());
        }
        let mut columns = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Cells::try_new(field, column, Audience::People))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let mut line = String::from("|");
            for cells in &mut columns {
                let value = cells.text(row).map_or_else(|| "*NULL*".to_owned(), |value| escape(&value));
                line.push(' ');
                line.push_str(&value);
                line.push_str(" |");
            }
            writeln!(self.out, "{line}").map_err(write_failed)?;
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> Result<()> {
        self.out.flush().map_err(write_failed)
    }
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.replace("\r\n", "\n").chars() {
        match character {
            '\n' => escaped.push_str("<br>"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '[' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => text::push_escaped(&mut escaped, character),
        }
    }
    escaped
}
