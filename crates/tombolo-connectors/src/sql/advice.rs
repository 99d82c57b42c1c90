use tombolo_connector::TableRef;

use super::dialect::Dialect;

/// The statement that makes an index over columns of a table.
pub fn index_advice(dialect: &dyn Dialect, table: &TableRef, columns: &[&str]) -> String {
    let name = dialect.identifier(&format!("{}_{}_idx", table.table, columns.join("_")));
    let columns: Vec<String> = columns.iter().map(|column| dialect.identifier(column)).collect();
    format!("CREATE INDEX {name} ON {} ({})", dialect.table(table), columns.join(", "))
}
