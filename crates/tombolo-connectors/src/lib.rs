//! Tombolo's sources: one folder of the same files for each kind.

use std::sync::Arc;

use tombolo_connector::Registry;

/// The target of tracing events that say what an embedded source was really made to do: the statement as the source has
/// compiled it, the bytes that were read of a file. Each has the fields `source`, `event` (`begin`, `read` or `end`) and
/// `text`. A server keeps a log of its own; here there is nobody else who could tell.
pub const REMOTE_LOG: &str = "tombolo::remote";

pub mod files;
pub mod memory;
pub mod mysql;
pub mod postgres;
mod sharded;
pub mod sql;
pub mod sqlite;
mod tls;

/// The kinds of source that this program knows.
///
/// `memory` is not among them: its tables are registered from Rust, with [`memory::MemoryFactory`].
pub fn registry() -> Registry {
    // A path that ends as database files do is asked of SQLite before the files, which would take any path.
    Registry::default()
        .with(Arc::new(postgres::PostgresFactory))
        .with(Arc::new(mysql::MysqlFactory))
        .with(Arc::new(sqlite::SqliteFactory))
        .with(Arc::new(files::FilesFactory))
}

/// The tables of types of the SQL sources.
///
/// # Errors
/// Where a source of no options cannot be thought of.
pub fn type_tables() -> tombolo_connector::Result<Vec<sql::TypeTables>> {
    Ok(vec![postgres::type_tables()?, mysql::type_tables()?, sqlite::type_tables()])
}
