//! Where the checkout and its build folder are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Returns the root of the checkout that this program was built from.
pub(crate) fn root() -> Result<PathBuf> {
    // At run time cargo names the folder of this crate; without cargo the one that it was built in is used.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).context("the xtask crate has no parent folder")
}

/// Returns cargo's build folder.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let root = root()?;
    Ok(match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    })
}

/// Returns the names of the connector folders, sorted. `sql` is shared code and not a connector.
pub(crate) fn connectors() -> Result<Vec<String>> {
    let folder = root()?.join("crates/tombolo-connectors/src");
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name != "sql" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
