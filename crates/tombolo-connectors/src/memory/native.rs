use tombolo_connector::{Error, NativeQuery, Result, Scan, ScanTable};

/// The one tree that is accepted: a table with its columns.
pub(super) fn accepted(scan: &Scan) -> Result<&ScanTable> {
    match scan {
        Scan::Table(table) => Ok(table),
        _ => Err(Error::internal(format!("the memory connector was given a {}", scan.operator()))),
    }
}

pub(super) fn native_query(scan: &Scan) -> Result<NativeQuery> {
    let table = accepted(scan)?;
    let columns: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
    Ok(NativeQuery { language: "memory".to_owned(), text: format!("read {} [{}]", table.table(), columns.join(", ")) })
}
