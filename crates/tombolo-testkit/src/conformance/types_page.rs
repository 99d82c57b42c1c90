//! The page of the reference that says how each SQL source's types are carried, both ways.

use std::fmt::Write as _;

use arrow::datatypes::DataType;
use tombolo_connectors::sql::{NativeType, SentValue, TypeTables};

/// The page of the reference with these tables.
pub fn types_page(tables: &[TypeTables]) -> String {
    let mut text = "# Types\n\n\
        How the types of each SQL source are carried, and how values are sent to it. The connectors' own code has made this page \
        (`TOMBOLO_UPDATE_DOCS=1 cargo test -p tombolo-testkit --test suite type_tables`); a test fails where it is not what the \
        code says. Where a server is there, tests make a column of each type, look at what it is carried as, read each value that \
        is said to be refused, and read back each value that is sent.\n\n\
        Types are written as Arrow's, as `describe` shows them. Where a value is refused, reading it is an error of the code \
        `invalid_value` that names the column, and `columns_as_text = \"table.column\"` carries the column as text instead. Values \
        of other precisions and lengths than those in the tables are carried alike. What is not sent is compared here.\n"
        .to_owned();
    for tables in tables {
        write_section(&mut text, tables);
    }
    text
}

fn write_section(text: &mut String, tables: &TypeTables) {
    let title = tables.title;
    let _ = write!(text, "\n## {title}\n\n| in {title} | carried as | note |\n|---|---|---|\n");
    let mut rows: Vec<(Vec<String>, [String; 2])> = Vec::new();
    for native in &tables.native {
        let cells = [carried(&native.carried), note(native)];
        match rows.last_mut().filter(|(_, last)| *last == cells) {
            Some((names, _)) => names.push(code(native.declared)),
            None => rows.push((vec![code(native.declared)], cells)),
        }
    }
    for (names, [carried, note]) in rows {
        let _ = writeln!(text, "| {} | {carried} | {note} |", names.join(", "));
    }
    let _ = write!(text, "\n| of Arrow | in a statement to {title} | compared with a column |\n|---|---|---|\n");
    for SentValue { name, literal, compared, .. } in &tables.sent {
        let cells = match (literal, compared) {
            (Ok(literal), Ok(compared)) if literal == compared => format!("{} | the same", code(literal)),
            (Ok(literal), Ok(compared)) => format!("{} | {}", code(literal), code(compared)),
            (Ok(literal), Err(reason)) => format!("{} | not sent: {}", code(literal), escaped(reason)),
            (Err(reason), _) => format!("not sent: {} | not sent", escaped(reason)),
        };
        let _ = writeln!(text, "| {} | {cells} |", escaped(name));
    }
}

/// Several types are tried in their order.
fn carried(types: &[DataType]) -> String {
    let names: Vec<String> = types.iter().map(|data_type| escaped(&data_type.to_string())).collect();
    names.join(", else ")
}

fn note(native: &NativeType) -> String {
    let mut notes = Vec::new();
    if !native.only.is_empty() {
        notes.push(format!("{} alone", native.only));
    }
    if let Some((option, value)) = native.option {
        notes.push(format!("with `{option} = {value}`"));
    }
    if !native.note.is_empty() {
        notes.push(native.note.to_owned());
    }
    notes.extend(native.refused.iter().map(|(value, reason)| format!("{} is refused: {reason}", code(value))));
    notes.join("; ").replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", escaped(text)) }
}

/// Text as a cell can have it: a character that cannot be seen is spelled.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\0', "\\0")
}
