use std::io::{self, Write};

use tombolo_engine::check::Receipt;

use super::report::{Entry, Line, Report, Section, gaps};
use crate::render::style::{Style, Terminal};
use crate::render::text::{escape, escape_lines, padding, width, wrap};

/// Lines of one native query that are shown; the JSON receipt has all of it.
const SHOWN_NATIVE_LINES: usize = 12;

/// Columns of output that are shown; the JSON receipt has them all.
const SHOWN_ENTRIES: usize = 40;

/// Writes a receipt as people read it, fitted to the terminal.
pub(crate) fn write_receipt(receipt: &Receipt, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let report = Report::new(receipt);
    let label = "Receipt:";
    for (index, line) in
        wrap(&format!("{label} {}", report.headline), terminal.prose_width().saturating_sub(2)).iter().enumerate()
    {
        match line.strip_prefix(label).filter(|_| index == 0) {
            Some(rest) => writeln!(out, "{}{rest}", terminal.paint(Style::Heading, label))?,
            None => writeln!(out, "  {line}")?,
        }
    }
    for warning in &report.warnings {
        writeln!(out, "  {}", terminal.paint(Style::Warning, &escape(warning)))?;
    }
    for section in &report.sections {
        write_section(out, section, terminal)?;
    }
    Ok(())
}

/// Writes only which rows found no match and what a reader should know: the receipt in short.
pub(crate) fn write_gaps(receipt: &Receipt, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    for gap in gaps(receipt) {
        write_line(out, &Line::Text(gap), 2, true, terminal)?;
    }
    Ok(())
}

fn write_section(out: &mut dyn Write, section: &Section, terminal: Terminal) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{}", terminal.paint(Style::Heading, section.title))?;
    let room = terminal.prose_width();
    let columns = column_widths(&section.entries);
    // Facts stand in columns as long as the widest line of them fits; else each entry is a sentence that wraps.
    let aligned = 2 + columns.iter().map(|width| width + 2).sum::<usize>() <= room;
    for entry in section.entries.iter().take(SHOWN_ENTRIES) {
        write_heading(out, entry, &columns, aligned, terminal)?;
        for line in &entry.lines {
            let indent = if entry.name.is_empty() { 2 } else { 4 };
            write_line(out, line, indent, entry.name.is_empty(), terminal)?;
        }
    }
    let hidden = section.entries.len().saturating_sub(SHOWN_ENTRIES);
    if hidden > 0 {
        writeln!(out, "  {}", terminal.paint(Style::Dim, &format!("… and {hidden} more")))?;
    }
    Ok(())
}

/// The widths of the name and of each fact.
fn column_widths(entries: &[Entry]) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for entry in entries.iter().take(SHOWN_ENTRIES) {
        for (index, text) in std::iter::once(&entry.name).chain(&entry.facts).enumerate() {
            let wide = width(&escape(text));
            match widths.get_mut(index) {
                Some(widest) => *widest = (*widest).max(wide),
                None => widths.push(wide),
            }
        }
    }
    widths
}

fn write_heading(
    out: &mut dyn Write,
    entry: &Entry,
    columns: &[usize],
    aligned: bool,
    terminal: Terminal,
) -> io::Result<()> {
    if entry.name.is_empty() {
        return Ok(());
    }
    let name = escape(&entry.name);
    if !aligned {
        let facts: Vec<String> = entry.facts.iter().filter(|fact| !fact.is_empty()).map(|fact| escape(fact)).collect();
        let whole = format!("{name}: {}", facts.join(", "));
        for (index, line) in wrap(&whole, terminal.prose_width().saturating_sub(4)).iter().enumerate() {
            writeln!(out, "{}{line}", if index == 0 { "  " } else { "    " })?;
        }
        return Ok(());
    }
    let mut line = format!("  {}", terminal.paint(Style::Name, &name));
    let mut blanks = padding(&name, columns[0]);
    for (fact, &column) in entry.facts.iter().zip(&columns[1..]) {
        let fact = escape(fact);
        let gap = padding(&fact, column);
        // Figures stand at the right, so that they can be compared.
        let is_figure = fact.starts_with(|character: char| character.is_ascii_digit());
        let (before, after) = if is_figure { (gap, String::new()) } else { (String::new(), gap) };
        line.push_str(&format!("{blanks}  {before}{fact}"));
        blanks = after;
    }
    writeln!(out, "{line}")
}

fn write_line(out: &mut dyn Write, line: &Line, indent: usize, bullet: bool, terminal: Terminal) -> io::Result<()> {
    let room = terminal.prose_width().saturating_sub(indent + 2);
    let (style, mut lines): (_, Vec<String>) = match line {
        Line::Text(text) => (None, wrap(&escape(text), room)),
        Line::Warning(text) => (Some(Style::Warning), wrap(&escape(text), room)),
        Line::Native(text) => {
            (Some(Style::Dim), escape_lines(text.trim()).iter().flat_map(|line| wrap(line, room)).collect())
        }
    };
    if matches!(line, Line::Native(_)) && lines.len() > SHOWN_NATIVE_LINES {
        let hidden = lines.len() - SHOWN_NATIVE_LINES;
        lines.truncate(SHOWN_NATIVE_LINES);
        lines.push(format!("… {hidden} more lines"));
    }
    for (index, text) in lines.iter().enumerate() {
        let mark = match (bullet, index) {
            (true, 0) => "· ",
            (true, _) => "  ",
            (false, _) => "",
        };
        let painted = style.map_or_else(|| text.clone(), |style| terminal.paint(style, text));
        writeln!(out, "{}{mark}{painted}", " ".repeat(indent))?;
    }
    Ok(())
}
