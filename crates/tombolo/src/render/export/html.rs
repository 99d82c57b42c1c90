use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tombolo_connector::Result;
use tombolo_engine::check::Receipt;

use super::Batches;
use crate::render::cell::{Audience, Cells, is_number};
use crate::render::receipt::{Line, Report};
use crate::render::text;
use crate::render::writer::write_failed;

const STYLE: &str = include_str!("page.css");

/// Writes a page that needs no other file and no network: the rows, then the receipt; light or dark as the reader's system
/// is. Everything that came from a source is escaped, and the page's own policy forbids scripts.
pub(super) fn write(
    out: &mut dyn Write,
    batches: &mut Batches<'_>,
    schema: &SchemaRef,
    receipt: &Receipt,
) -> Result<()> {
    let report = Report::new(receipt);
    write_head(out, receipt, &report).map_err(write_failed)?;
    write_columns(out, schema).map_err(write_failed)?;
    for batch in batches {
        write_batch(out, &batch?)?;
    }
    write_end(out, &report).map_err(write_failed)
}

fn write_head(out: &mut dyn Write, receipt: &Receipt, report: &Report) -> io::Result<()> {
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<title>Tombolo result, {}</title>", receipt.started_at.format("%Y-%m-%d %H:%M UTC"))?;
    writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Result</h1>")?;
    writeln!(out, "<p>{}</p>", escape(&report.headline))?;
    writeln!(out, "<p class=\"quiet\">{}</p>", receipt.started_at.format("%Y-%m-%d %H:%M:%S UTC"))?;
    for warning in &report.warnings {
        writeln!(out, "<p class=\"warning\">{}</p>", escape(warning))?;
    }
    writeln!(out, "<pre>{}</pre>\n</header>", escape(receipt.statement.trim()))
}

fn write_columns(out: &mut dyn Write, schema: &SchemaRef) -> io::Result<()> {
    writeln!(out, "<main>\n<div class=\"rows\" tabindex=\"0\">\n<table>\n<thead>\n<tr>")?;
    for field in schema.fields() {
        let class = if is_number(field.data_type()) { " class=\"number\"" } else { "" };
        writeln!(out, "<th scope=\"col\"{class}>{}</th>", escape(field.name()))?;
    }
    writeln!(out, "</tr>\n</thead>\n<tbody>")
}

fn write_batch(out: &mut dyn Write, batch: &RecordBatch) -> Result<()> {
    let mut columns = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| Ok((is_number(field.data_type()), Cells::try_new(field, array, Audience::People)?)))
        .collect::<Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        let mut line = String::from("<tr>");
        for (is_number, cells) in &mut columns {
            match (cells.text(row), *is_number) {
                (None, _) => line.push_str("<td class=\"null\">NULL</td>"),
                (Some(value), true) => line.push_str(&format!("<td class=\"number\">{}</td>", escape(&value))),
                (Some(value), false) => line.push_str(&format!("<td>{}</td>", escape(&value))),
            }
        }
        line.push_str("</tr>");
        writeln!(out, "{line}").map_err(write_failed)?;
    }
    Ok(())
}

fn write_end(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    writeln!(out, "</tbody>\n</table>\n</div>\n<section class=\"receipt\">\n<h2>Receipt</h2>")?;
    for section in &report.sections {
        writeln!(out, "<h3>{}</h3>", escape(section.title))?;
        for entry in &section.entries {
            writeln!(out, "<div class=\"entry\">")?;
            if !entry.name.is_empty() {
                write!(out, "<p><b>{}</b>", escape(&entry.name))?;
                for fact in entry.facts.iter().filter(|fact| !fact.is_empty()) {
                    write!(out, " <span>{}</span>", escape(fact))?;
                }
                writeln!(out, "</p>")?;
            }
            for line in &entry.lines {
                match line {
                    Line::Text(text) => writeln!(out, "<p>{}</p>", escape(text))?,
                    Line::Warning(text) => writeln!(out, "<p class=\"warning\">{}</p>", escape(text))?,
                    Line::Native(text) => writeln!(out, "<pre>{}</pre>", escape(text.trim()))?,
                }
            }
            writeln!(out, "</div>")?;
        }
    }
    writeln!(out, "</section>\n</main>\n</body>\n</html>")?;
    out.flush()
}

/// Escapes what HTML would take for markup, and the characters that a page may not hold or that turn its direction.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            character => text::push_escaped(&mut escaped, character),
        }
    }
    escaped
}
