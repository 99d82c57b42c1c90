use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use tombolo_connector::Result;

use super::cell::{Audience, Cells, Limited, is_number};
use super::grid::{Align, Grid, GridCell};
use super::number;
use super::style::{Style, Terminal};
use super::writer::{ResultWriter, Sink, Summary, write_failed};

/// Rows that a table shows. A result with more shows its first and its last [`SHOWN_AT_EACH_END`].
const SHOWN_ROWS: usize = 40;
const SHOWN_AT_EACH_END: usize = SHOWN_ROWS / 2;

/// Characters of one value that a table shows, however wide the stream is.
const SHOWN_CHARACTERS: usize = 1000;

/// Writes a table for people: fitted to the terminal, at most [`SHOWN_ROWS`] rows, and a footer that says how many rows
/// there are and what is not shown. Other formats write everything.
///
/// A null is `NULL` (dim, where there are colours); the text NULL is shown in quotes, an empty text is blank. Only the
/// batches that hold the rows shown are kept, so memory does not grow with the result.
pub(super) struct TableWriter {
    out: Sink,
    terminal: Terminal,
    schema: SchemaRef,
    rows: u64,
    first: Vec<RecordBatch>,
    first_rows: usize,
    last: VecDeque<RecordBatch>,
    last_rows: usize,
}

impl TableWriter {
    pub(super) fn new(out: Sink, terminal: Terminal) -> Self {
        Self {
            out,
            terminal,
            schema: Arc::new(Schema::empty()),
            rows: 0,
            first: Vec::new(),
            first_rows: 0,
            last: VecDeque::new(),
            last_rows: 0,
        }
    }

    fn keep_last(&mut self, batch: &RecordBatch) {
        let kept = batch.num_rows().min(SHOWN_AT_EACH_END);
        self.last.push_back(batch.slice(batch.num_rows() - kept, kept));
        self.last_rows += kept;
        while let Some(oldest) = self.last.front()
            && self.last_rows - oldest.num_rows() >= SHOWN_AT_EACH_END
        {
            self.last_rows -= oldest.num_rows();
            self.last.pop_front();
        }
    }

    fn add_rows(grid: &mut Grid, batch: &RecordBatch, from: usize, rows: usize) -> Result<()> {
        let schema = batch.schema_ref();
        let mut columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Cells::try_new(field, column, Audience::People))
            .collect::<Result<Vec<_>>>()?;
        for row in from..from + rows {
            grid.row(columns.iter_mut().map(|cells| shown(cells, row)));
        }
        Ok(())
    }

    fn grid(&self) -> Result<Grid> {
        let mut grid = Grid::new(
            self.schema
                .fields()
                .iter()
                .map(|field| (field.name(), if is_number(field.data_type()) { Align::Right } else { Align::Left })),
        );
        if self.rows <= SHOWN_ROWS as u64 {
            for batch in &self.first {
                Self::add_rows(&mut grid, batch, 0, batch.num_rows())?;
            }
            return Ok(grid);
        }
        let mut room = SHOWN_AT_EACH_END;
        for batch in &self.first {
            let rows = batch.num_rows().min(room);
            Self::add_rows(&mut grid, batch, 0, rows)?;
            room -= rows;
        }
        grid.gap();
        let mut skip = self.last_rows.saturating_sub(SHOWN_AT_EACH_END);
        for batch in &self.last {
            let skipped = batch.num_rows().min(skip);
            Self::add_rows(&mut grid, batch, skipped, batch.num_rows() - skipped)?;
            skip -= skipped;
        }
        Ok(grid)
    }

    fn footer(&self, columns_left_out: usize) -> String {
        let mut said = vec![number::rows(self.rows)];
        if self.rows > SHOWN_ROWS as u64 && !self.schema.fields().is_empty() {
            let hidden = self.rows - SHOWN_ROWS as u64;
            said.push(format!(
                "{} between the first {SHOWN_AT_EACH_END} and the last {SHOWN_AT_EACH_END} {} not shown",
                number::count(hidden),
                if hidden == 1 { "is" } else { "are" }
            ));
        }
        if columns_left_out > 0 {
            said.push(format!(
                "{} of {} are not shown",
                number::count(columns_left_out as u64),
                number::counted(self.schema.fields().len() as u64, "column", "columns")
            ));
        }
        said.join(" · ")
    }
}

impl ResultWriter for TableWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        self.schema = Arc::clone(schema);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if batch.num_rows() == 0 || batch.num_columns() == 0 {
            return Ok(());
        }
        let kept = batch.num_rows().min(SHOWN_ROWS - self.first_rows);
        if kept > 0 {
            self.first.push(batch.slice(0, kept));
            self.first_rows += kept;
        }
        self.keep_last(batch);
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> Result<()> {
        let left_out = self.grid()?.write(&mut self.out, self.terminal).map_err(write_failed)?;
        let footer = self.terminal.paint(Style::Dim, &self.footer(left_out));
        writeln!(self.out, "{footer}").and_then(|()| self.out.flush()).map_err(write_failed)
    }
}

/// A value as a table shows it.
fn shown(cells: &mut Cells<'_>, row: usize) -> GridCell {
    if cells.is_null(row) {
        return GridCell::dim("NULL");
    }
    let mut limited = Limited::new(SHOWN_CHARACTERS);
    cells.write(row, &mut limited);
    if limited.cut {
        limited.text.push('…');
    }
    if limited.text == "NULL" {
        limited.text = "'NULL'".to_owned();
    }
    GridCell::new(limited.text)
}
