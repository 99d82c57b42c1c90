//! How cargo is called from inside `cargo xtask`.

use std::env;
use std::process::Command;

use anyhow::Result;

use crate::workspace;

/// Returns a `cargo` command in the workspace's root, in the environment of the person who typed `cargo xtask`.
///
/// `cargo run` describes this package to its child in variables such as `CARGO_PKG_NAME`. Build scripts (that of `ring`,
/// for one) ask to be run again when those change, so handing them on would rebuild half of the tree at every call.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()?);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_a_package) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn describes_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || matches!(variable, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
}

#[cfg(test)]
mod tests {
    use super::describes_a_package;

    #[test]
    fn only_the_description_of_the_package_is_dropped() {
        for dropped in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BIN_NAME"] {
            assert!(describes_a_package(dropped), "{dropped}");
        }
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "PATH"] {
            assert!(!describes_a_package(kept), "{kept}");
        }
    }
}
