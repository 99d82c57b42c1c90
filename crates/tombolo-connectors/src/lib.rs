//! Tombolo's sources: one folder of the same files for each kind.

use std::sync::Arc;

use tombolo_connector::Registry;

pub mod files;
pub mod memory;
pub mod sql;
pub mod sqlite;

/// The kinds of source that this program knows.
///
/// `memory` is not among them: its tables are registered from Rust, with [`memory::MemoryFactory`].
pub fn registry() -> Registry {
    // A path that ends as database files do is asked of SQLite before the files, which would take any path.
    Registry::default().with(Arc::new(sqlite::SqliteFactory)).with(Arc::new(files::FilesFactory))
}
