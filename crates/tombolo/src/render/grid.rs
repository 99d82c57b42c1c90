use std::io::{self, Write};

use super::style::{Style, Terminal};
use super::text::{fit, padding, width};

/// On which side of its column a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One value of a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GridCell {
    text: String,
    dim: bool,
}

impl GridCell {
    /// A value as it is shown: with nothing in it that would break the line.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: super::text::escape(text.as_ref()), dim: false }
    }

    /// A value that matters less: a null, something absent.
    pub(crate) fn dim(text: impl AsRef<str>) -> Self {
        Self { dim: true, ..Self::new(text) }
    }
}

impl<T: AsRef<str>> From<T> for GridCell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A table with borders, fitted to a terminal. For results, see [`super::writer`]; this is also what lists of sources,
/// tables or past queries are shown with.
///
/// Where the columns do not fit, the widest are cut with an ellipsis, none below [`LEAST_COLUMN`]. Where they still do not
/// fit, the columns in the middle are left out: a column of dots stands for them, and [`Grid::write`] says how many.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
enum Row {
    Cells(Vec<GridCell>),
    /// Stands for rows that are left out.
    Gap,
}

/// A value as it is written: its text, and how it looks.
type Shown<'a> = (&'a str, Option<Style>);

/// The least width to which a column is cut, unless its content is narrower.
pub(crate) const LEAST_COLUMN: usize = 8;

impl Grid {
    /// A grid of these columns.
    pub(crate) fn new(columns: impl IntoIterator<Item = (impl AsRef<str>, Align)>) -> Self {
        let columns = columns.into_iter().map(|(name, align)| (super::text::escape(name.as_ref()), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row. Values beyond the columns are dropped, missing ones are blank.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<GridCell>>) {
        let mut cells: Vec<GridCell> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), GridCell::new(""));
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a row of dots, which stands for rows that are left out.
    pub(crate) fn gap(&mut self) {
        self.rows.push(Row::Gap);
    }

    /// Writes the grid, and returns how many columns were left out.
    pub(crate) fn write(&self, out: &mut dyn Write, terminal: Terminal) -> io::Result<usize> {
        if self.columns.is_empty() {
            return Ok(0);
        }
        let layout = Layout::fit(&self.natural_widths(), terminal.width);
        let border = |left: &str, middle: &str, right: &str| {
            let rules: Vec<String> = layout.slots.iter().map(|slot| "─".repeat(slot.width + 2)).collect();
            terminal.paint(Style::Dim, &format!("{left}{}{right}", rules.join(middle)))
        };
        let line = |out: &mut dyn Write, cells: &[Shown<'_>]| self.write_line(out, &layout, cells, terminal);
        writeln!(out, "{}", border("┌", "┬", "┐"))?;
        let names: Vec<Shown<'_>> =
            self.columns.iter().map(|(name, _)| (name.as_str(), Some(Style::Heading))).collect();
        line(out, &names)?;
        writeln!(out, "{}", border("├", "┼", "┤"))?;
        let gap: Vec<Shown<'_>> = self.columns.iter().map(|_| ("⋮", Some(Style::Dim))).collect();
        for row in &self.rows {
            match row {
                Row::Gap => line(out, &gap)?,
                Row::Cells(cells) => {
                    let cells: Vec<Shown<'_>> =
                        cells.iter().map(|cell| (cell.text.as_str(), cell.dim.then_some(Style::Dim))).collect();
                    line(out, &cells)?;
                }
            }
        }
        writeln!(out, "{}", border("└", "┴", "┘"))?;
        Ok(layout.left_out)
    }

    fn write_line(
        &self,
        out: &mut dyn Write,
        layout: &Layout,
        cells: &[Shown<'_>],
        terminal: Terminal,
    ) -> io::Result<()> {
        let bar = terminal.paint(Style::Dim, "│");
        write!(out, "{bar}")?;
        for slot in &layout.slots {
            let ((text, style), align) = match slot.column {
                Some(column) => (cells[column], self.columns[column].1),
                None => (("…", Some(Style::Dim)), Align::Left),
            };
            let text = fit(text, slot.width);
            let blanks = padding(&text, slot.width);
            let painted = style.map_or_else(|| text.clone(), |style| terminal.paint(style, &text));
            match align {
                Align::Left => write!(out, " {painted}{blanks} {bar}")?,
                Align::Right => write!(out, " {blanks}{painted} {bar}")?,
            }
        }
        writeln!(out)
    }

    fn natural_widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| width(name).max(1)).collect();
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                for (column, cell) in widths.iter_mut().zip(cells) {
                    *column = (*column).max(width(&cell.text));
                }
            }
        }
        widths
    }
}

/// Which columns are shown, and how wide.
struct Layout {
    slots: Vec<Slot>,
    left_out: usize,
}

struct Slot {
    /// `None` is the column of dots.
    column: Option<usize>,
    width: usize,
}

/// What a column takes beside its content: a blank on both sides, and a border.
const FRAME: usize = 3;

impl Layout {
    fn fit(natural: &[usize], terminal_width: Option<usize>) -> Self {
        let all = |widths: &[usize]| Self {
            slots: widths.iter().enumerate().map(|(column, &width)| Slot { column: Some(column), width }).collect(),
            left_out: 0,
        };
        let Some(available) = terminal_width else { return all(natural) };
        let frames = natural.len() * FRAME + 1;
        let least: usize = natural.iter().map(|&width| width.min(LEAST_COLUMN)).sum();
        if frames + least <= available || natural.len() == 1 {
            return all(&shrink(natural, available.saturating_sub(frames)));
        }
        Self::with_columns_left_out(natural, available)
    }

    /// Takes columns from both ends in turn, at their least width, until no more fit beside the column of dots.
    fn with_columns_left_out(natural: &[usize], available: usize) -> Self {
        let dots = 1 + FRAME;
        let (mut first, mut last) = (0, 0);
        let mut used = 1 + dots;
        loop {
            let from_front = first <= last;
            let column = if from_front { first } else { natural.len() - 1 - last };
            let needed = natural[column].min(LEAST_COLUMN) + FRAME;
            if first + last + 1 >= natural.len() || (used + needed > available && first > 0) {
                break;
            }
            used += needed;
            if from_front { first += 1 } else { last += 1 }
        }
        let shown: Vec<usize> = (0..first).chain(natural.len() - last..natural.len()).collect();
        let widths: Vec<usize> = shown.iter().map(|&column| natural[column]).collect();
        let room = available.saturating_sub(1 + dots + shown.len() * FRAME);
        let widths = shrink(&widths, room);
        let mut slots: Vec<Slot> =
            shown.iter().zip(widths).map(|(&column, width)| Slot { column: Some(column), width }).collect();
        slots.insert(first, Slot { column: None, width: 1 });
        Self { slots, left_out: natural.len() - shown.len() }
    }
}

/// Cuts the widest columns until all fit: every column that is wider than some cap is cut to it.
fn shrink(natural: &[usize], room: usize) -> Vec<usize> {
    let total = |cap: usize| natural.iter().map(|&width| width.min(cap)).sum::<usize>();
    let widest = natural.iter().copied().max().unwrap_or(0);
    if total(widest) <= room {
        return natural.to_vec();
    }
    let (mut low, mut high) = (1, widest);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if total(middle) <= room { low = middle } else { high = middle - 1 }
    }
    // What the division left over goes to the first columns that were cut.
    let mut spare = room.saturating_sub(total(low));
    natural
        .iter()
        .map(|&width| {
            if width > low && spare > 0 {
                spare -= 1;
                low + 1
            } else {
                width.min(low)
            }
        })
        .collect()
}
