use std::path::Path;

use rusqlite::{Connection, params};
use tombolo_connector::{ErrorCode, Result, ResultExt};

use super::shop::{REGIONS, Shop};

const TABLES: &str = "
CREATE TABLE regions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    depot TEXT NOT NULL
);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT,
    region_id INTEGER REFERENCES regions (id),
    signed_up DATE NOT NULL
);
CREATE INDEX customers_region ON customers (region_id);
";

/// Writes the database of customers and their regions. The same statements in the same order make the same bytes.
pub(super) fn write(shop: &Shop, path: &Path) -> Result<()> {
    fill(shop, path).or_error(ErrorCode::FileFailed, || format!("cannot write {}", path.display()))
}

fn fill(shop: &Shop, path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    // The file is thrown away if anything fails, so nothing has to survive a crash.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    {
        let mut insert = transaction.prepare("INSERT INTO regions VALUES (?1, ?2, ?3)")?;
        for (id, (name, depot)) in (1..).zip(REGIONS) {
            insert.execute(params![id, name, depot])?;
        }
        let mut insert = transaction.prepare("INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for customer in &shop.customers {
            insert.execute(params![
                customer.id,
                customer.name,
                customer.email,
                customer.region_id,
                customer.signed_up
            ])?;
        }
    }
    // Statistics, as a database that is looked after has them.
    transaction.execute_batch("ANALYZE;")?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}
