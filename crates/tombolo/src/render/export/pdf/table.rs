use arrow::datatypes::SchemaRef;
use tombolo_connector::{Error, ErrorCode, Result};

use super::sheet::{Look, Sheets, wrap};
use crate::render::cell::{Audience, Cells, Limited, is_number};
use crate::render::export::Batches;
use crate::render::number;
use crate::render::text::escape;

/// Rows of a PDF. Nobody prints more, and all of them are laid out in memory.
pub(super) const MOST_ROWS: usize = 50_000;

/// Characters of one value.
const MOST_CHARACTERS: usize = 2_000;

/// Lines of one row, and of the header; together they fit on a page.
const ROW_LINES: usize = 24;
const HEADER_LINES: usize = 8;

const HEADER: Look = Look { size: 8.0, bold: true, gray: 0.0 };
const CELL: Look = Look { size: 8.0, bold: false, gray: 0.0 };
const NULL: Look = Look { size: 8.0, bold: false, gray: 0.55 };

/// Between two columns.
const GAP: f32 = 10.0;

/// Above and below the text of a row.
const PADDING: f32 = 2.0;

/// To which a column is narrowed before the page is turned, and before columns go to pages of their own.
const LEAST_COLUMN: f32 = 60.0;

/// The rows, laid out.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
    /// Values that were cut.
    pub(super) cut_values: u64,
}

struct Column {
    name: String,
    is_number: bool,
}

/// Columns that stand side by side, each with its width. Where not all fit on a page, the further ones follow on pages of
/// their own, with the first column again so that the rows can be told.
struct Band(Vec<(usize, f32)>);

impl Table {
    pub(super) fn read(batches: &mut Batches<'_>, schema: &SchemaRef) -> Result<Self> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column { name: escape(field.name()), is_number: is_number(field.data_type()) })
            .collect();
        let mut table = Self { columns, rows: Vec::new(), cut_values: 0 };
        for batch in batches {
            let batch = batch?;
            if table.rows.len() + batch.num_rows() > MOST_ROWS {
                return Err(Error::new(
                    ErrorCode::Unsupported,
                    format!("the result has more than {}, too many for a PDF", number::rows(MOST_ROWS as u64)),
                )
                .with_hint("Export to xlsx, csv or parquet, or narrow the query."));
            }
            let mut cells = batch
                .schema_ref()
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, array)| Cells::try_new(field, array, Audience::People))
                .collect::<Result<Vec<_>>>()?;
            for row in 0..batch.num_rows() {
                let values = cells.iter_mut().map(|cells| table.value(cells, row)).collect();
                table.rows.push(values);
            }
        }
        Ok(table)
    }

    fn value(&mut self, cells: &mut Cells<'_>, row: usize) -> Option<String> {
        if cells.is_null(row) {
            return None;
        }
        let mut limited = Limited::new(MOST_CHARACTERS);
        cells.write(row, &mut limited);
        let mut text = escape(&limited.text);
        if limited.cut {
            self.cut_values += 1;
            text.push('…');
        }
        Some(text)
    }

    /// Empty sheets, turned on their side where the columns ask for it.
    pub(super) fn sheets(&self) -> Result<Sheets> {
        let mut upright = Sheets::try_new(false)?;
        let wanted: f32 = self.natural_widths(&mut upright).iter().map(|width| width.min(160.0) + GAP).sum();
        if wanted <= Sheets::width_of(false) { Ok(upright) } else { Sheets::try_new(true) }
    }

    fn natural_widths(&self, sheets: &mut Sheets) -> Vec<f32> {
        let mut widths: Vec<f32> =
            self.columns.iter().map(|column| sheets.font.width(&column.name, HEADER.size)).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                let value = value.as_deref().unwrap_or("NULL");
                // What is wider than a page anyway need not be measured.
                let measured: String = value.chars().take(200).collect();
                *width = width.max(sheets.font.width(&measured, CELL.size));
            }
        }
        // A hair more, so that rounding does not break a line.
        widths.iter().map(|width| width + 0.5).collect()
    }

    fn bands(&self, sheets: &mut Sheets) -> Vec<Band> {
        let natural = self.natural_widths(sheets);
        let room = sheets.width();
        let least: f32 = natural.iter().map(|width| width.min(LEAST_COLUMN) + GAP).sum::<f32>() - GAP;
        if least <= room {
            let all: Vec<usize> = (0..natural.len()).collect();
            return vec![Band::fit(&all, &natural, room)];
        }
        let key = natural.first().map_or(0.0, |width| width.min(LEAST_COLUMN) + GAP);
        let mut bands = Vec::new();
        let mut columns: Vec<usize> = Vec::new();
        let mut used = 0.0;
        for (column, width) in natural.iter().enumerate() {
            let wanted = width.min(1.6 * LEAST_COLUMN) + GAP;
            if used + wanted > room + GAP && columns.len() > 1 {
                bands.push(Band::fit(&columns, &natural, room));
                columns = vec![0];
                used = key;
            }
            columns.push(column);
            used += wanted;
        }
        bands.push(Band::fit(&columns, &natural, room));
        bands
    }

    pub(super) fn write(&mut self, sheets: &mut Sheets) {
        let bands = self.bands(sheets);
        let rows = std::mem::take(&mut self.rows);
        for (index, band) in bands.iter().enumerate() {
            if index > 0 {
                sheets.new_page();
            }
            if bands.len() > 1 {
                let text = format!("columns, part {} of {}", index + 1, bands.len());
                sheets.paragraph(0.0, &text, NULL);
            }
            self.write_header(sheets, band);
            for row in &rows {
                self.write_row(sheets, band, row);
            }
            if rows.is_empty() {
                sheets.skip(4.0);
                sheets.paragraph(0.0, "no rows", NULL);
            }
        }
    }

    fn write_header(&mut self, sheets: &mut Sheets, band: &Band) {
        let names: Vec<String> =
            band.0.iter().filter_map(|(column, _)| Some(self.columns.get(*column)?.name.clone())).collect();
        let cells = names.iter().map(|name| (name.as_str(), HEADER)).collect::<Vec<_>>();
        let lines = self.lay_out(sheets, band, &cells, HEADER_LINES);
        self.write_lines(sheets, band, &lines);
        sheets.rule(0.0, band.width(), 0.3);
        sheets.skip(1.0);
    }

    fn write_row(&mut self, sheets: &mut Sheets, band: &Band, row: &[Option<String>]) {
        let cells: Vec<(&str, Look)> = band
            .0
            .iter()
            .map(|(column, _)| match row.get(*column) {
                Some(Some(value)) => (value.as_str(), CELL),
                _ => ("NULL", NULL),
            })
            .collect();
        let lines = self.lay_out(sheets, band, &cells, ROW_LINES);
        let count = lines.iter().map(|(lines, _)| lines.len()).max().unwrap_or(0);
        if !sheets.has_room(count as f32 * CELL.leading() + 2.0 * PADDING) {
            sheets.new_page();
            self.write_header(sheets, band);
        }
        self.write_lines(sheets, band, &lines);
        sheets.rule(0.0, band.width(), 0.85);
    }

    fn lay_out(
        &mut self,
        sheets: &mut Sheets,
        band: &Band,
        cells: &[(&str, Look)],
        most_lines: usize,
    ) -> Vec<(Vec<String>, Look)> {
        let mut laid_out = Vec::with_capacity(cells.len());
        for ((text, look), (_, width)) in cells.iter().zip(&band.0) {
            let mut lines = wrap(&mut sheets.font, text, *width, look.size);
            if lines.len() > most_lines {
                lines.truncate(most_lines);
                if let Some(last) = lines.last_mut() {
                    // What was cut when it was read has been counted.
                    self.cut_values += u64::from(!text.ends_with('…'));
                    *last = "…".to_owned();
                }
            }
            laid_out.push((lines, *look));
        }
        laid_out
    }

    fn write_lines(&self, sheets: &mut Sheets, band: &Band, cells: &[(Vec<String>, Look)]) {
        let mut x = 0.0;
        let mut tallest = 0;
        for ((lines, look), (column, width)) in cells.iter().zip(&band.0) {
            tallest = tallest.max(lines.len());
            for (index, line) in lines.iter().enumerate() {
                let right = self.columns.get(*column).is_some_and(|column| column.is_number);
                let indent = if right { (width - sheets.font.width(line, look.size)).max(0.0) } else { 0.0 };
                sheets.text(x + indent, PADDING + index as f32 * look.leading(), line, *look);
            }
            x += width + GAP;
        }
        sheets.skip(tallest as f32 * CELL.leading() + 2.0 * PADDING);
    }
}

impl Band {
    /// Gives every column what it wants, or cuts the widest until all fit.
    fn fit(columns: &[usize], natural: &[f32], room: f32) -> Self {
        let widths: Vec<(usize, f32)> =
            columns.iter().filter_map(|&column| Some((column, *natural.get(column)?))).collect();
        let room = room - GAP * widths.len().saturating_sub(1) as f32;
        let total = |cap: f32| widths.iter().map(|(_, width)| width.min(cap)).sum::<f32>();
        let (mut low, mut high) = (0.0, room);
        for _ in 0..20 {
            let middle = (low + high) / 2.0;
            if total(middle) <= room { low = middle } else { high = middle }
        }
        let cap = if total(high) <= room { high } else { low };
        Self(widths.into_iter().map(|(column, width)| (column, width.min(cap))).collect())
    }

    fn width(&self) -> f32 {
        self.0.iter().map(|(_, width)| width + GAP).sum::<f32>() - GAP
    }
}
