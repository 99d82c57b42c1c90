use tombolo_connector::{NativeQuery, Result, Scan};

use super::capability::{FlatScan, Layout};

/// What is read, in words: `read parquet /data/sales/ [amount, day] where day = 2026-01-31`.
pub(super) fn native_query(scan: &Scan) -> Result<NativeQuery> {
    let flat = FlatScan::accepted(scan)?;
    Ok(text_of(&flat, None))
}

/// The same, with how many of the table's files are left to read where that is known.
pub(super) fn text_of(flat: &FlatScan<'_>, files: Option<(usize, usize)>) -> NativeQuery {
    let description = &flat.table.description;
    let (format, shown) = match Layout::read(description) {
        Some(layout) => (layout.format.clone(), layout.shown.clone()),
        None => ("file".to_owned(), description.table.table.clone()),
    };
    let columns: Vec<&str> = flat
        .columns
        .iter()
        .filter_map(|column| description.columns.get(*column))
        .map(|column| column.field.name().as_str())
        .collect();
    let mut text = format!("read {format} {shown} [{}]", columns.join(", "));
    if !flat.predicates.is_empty() {
        let predicates: Vec<String> =
            flat.predicates.iter().map(|predicate| predicate.human_display().to_string()).collect();
        text.push_str(&format!(" where {}", predicates.join(" and ")));
    }
    if let Some((left, all)) = files.filter(|(_, all)| *all > 1) {
        text.push_str(&format!(" ({left} of {all} files)"));
    }
    NativeQuery { language: "files".to_owned(), text }
}
