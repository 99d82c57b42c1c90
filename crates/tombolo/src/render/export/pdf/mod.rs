//! Pages to print: the rows, a header on each page, then the receipt.

mod font;
mod sheet;
mod table;

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tombolo_connector::Result;
use tombolo_engine::check::Receipt;

use arrow::datatypes::SchemaRef;

use self::sheet::{Look, Sheets};
use self::table::Table;
use super::Batches;
use crate::render::number;
use crate::render::receipt::{Line, Report};
use crate::render::text::escape;
use crate::render::writer::write_failed;

const TITLE: Look = Look { size: 14.0, bold: true, gray: 0.0 };
const HEADING: Look = Look { size: 10.5, bold: true, gray: 0.0 };
const NAME: Look = Look { size: 9.0, bold: true, gray: 0.15 };
const BODY: Look = Look { size: 9.0, bold: false, gray: 0.1 };
const QUIET: Look = Look { size: 8.5, bold: false, gray: 0.4 };

/// Writes a PDF.
///
/// Text is set in an embedded font that covers the Latin, Greek and Cyrillic scripts and many signs. What it has no glyph
/// for shows as a replacement character, scripts that join their letters or read from the right are not shaped, and the
/// receipt then says how many characters that concerns: HTML shows them all.
///
/// # Errors
///
/// `unsupported` for more rows than [`table::MOST_ROWS`].
pub(super) fn write(
    out: &mut dyn Write,
    batches: &mut Batches<'_>,
    schema: &SchemaRef,
    receipt: &Receipt,
) -> Result<()> {
    let mut table = Table::read(batches, schema)?;
    let mut sheets = table.sheets()?;
    let report = Report::new(receipt);
    write_head(&mut sheets, receipt, &report);
    table.write(&mut sheets);
    sheets.new_page();
    write_receipt(&mut sheets, &report);
    write_gaps(&mut sheets, &table);
    let title = format!("Tombolo result of {}", receipt.started_at.format("%Y-%m-%d %H:%M UTC"));
    out.write_all(&sheets.finish(&title)?).and_then(|()| out.flush()).map_err(write_failed)
}

fn write_head(sheets: &mut Sheets, receipt: &Receipt, report: &Report) {
    sheets.paragraph(0.0, "Result", TITLE);
    sheets.paragraph(0.0, &report.headline, BODY);
    for warning in &report.warnings {
        sheets.paragraph(0.0, warning, NAME);
    }
    sheets.skip(4.0);
    // A statement that fills pages would push the rows away; the receipt's JSON has all of it.
    let statement = lines(&receipt.statement);
    sheets.paragraph(0.0, &statement.iter().take(25).cloned().collect::<Vec<_>>().join("\n"), QUIET);
    if statement.len() > 25 {
        sheets.paragraph(0.0, &format!("… {} more lines", statement.len() - 25), QUIET);
    }
    sheets.skip(8.0);
}

fn write_receipt(sheets: &mut Sheets, report: &Report) {
    sheets.paragraph(0.0, "Receipt", TITLE);
    for section in &report.sections {
        sheets.skip(8.0);
        // A heading does not stand alone at the foot of a page.
        if !sheets.has_room(HEADING.leading() + 3.0 * BODY.leading()) {
            sheets.new_page();
        }
        sheets.paragraph(0.0, section.title, HEADING);
        sheets.skip(2.0);
        for entry in &section.entries {
            let facts: Vec<String> =
                entry.facts.iter().filter(|fact| !fact.is_empty()).map(|fact| escape(fact)).collect();
            let mut indent = 8.0;
            if !entry.name.is_empty() {
                sheets.paragraph(8.0, &escape(&entry.name), NAME);
                indent = 18.0;
                if !facts.is_empty() {
                    sheets.paragraph(indent, &facts.join("   "), BODY);
                }
            }
            for line in &entry.lines {
                match line {
                    Line::Text(text) => sheets.paragraph(indent, &escape(text), BODY),
                    Line::Warning(text) => sheets.paragraph(indent, &escape(text), NAME),
                    Line::Native(text) => sheets.paragraph(indent, &lines(text).join("\n"), QUIET),
                }
            }
            sheets.skip(3.0);
        }
    }
}

/// Says what the pages do not show as it is.
fn write_gaps(sheets: &mut Sheets, table: &Table) {
    let mut gaps = Vec::new();
    if table.cut_values > 0 {
        let values = number::counted(table.cut_values, "value was", "values were");
        gaps.push(format!(
            "{values} too long for these pages and cut at …; an export as csv, html or xlsx has all of it."
        ));
    }
    if sheets.font.unshown > 0 {
        let characters = number::counted(sheets.font.unshown, "character is", "characters are");
        gaps.push(format!(
            "{characters} in a script that the font of these pages cannot set; an export as html shows them."
        ));
    }
    if !gaps.is_empty() {
        sheets.skip(8.0);
        sheets.paragraph(0.0, "What these pages do not show", HEADING);
        for gap in gaps {
            sheets.paragraph(8.0, &gap, BODY);
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    crate::render::text::escape_lines(text.trim())
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(write_failed)
}
