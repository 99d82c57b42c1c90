//! Installing servers that are Rust programs from crates.io.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::instance::run;
use super::tools;
use crate::cargo;
use crate::output::complain;

/// A program of a crate, in the one version that the tests are known to pass with.
pub(super) struct Program {
    /// The name of the crate and of the program.
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) features: &'static str,
}

impl Program {
    /// Returns the folder of the program when it is installed.
    pub(super) fn find(&self) -> Option<PathBuf> {
        let folder = self.root().ok()?.join("bin");
        folder.join(self.name).is_file().then_some(folder)
    }

    /// Installs it below the user's cache folder, where every checkout finds it.
    pub(super) fn install(&self) -> Result<()> {
        let root = self.root()?;
        complain!("building {} {} with cargo install, which takes a minute or two …", self.name, self.version);
        // A build folder of its own, since the project's would keep what only this needs.
        let build = tempfile::tempdir().context("cannot make a build folder")?;
        let mut command = cargo::command()?;
        command.args([
            "install",
            self.name,
            "--version",
            self.version,
            "--features",
            self.features,
            "--locked",
            "--quiet",
        ]);
        // The Rust that it names is newer than it needs: whether it builds with the checkout's shows at once.
        command.arg("--ignore-rust-version");
        // Without optimisation it is built in a third of the time, and it serves tests only.
        command.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.arg("--target-dir").arg(build.path()).arg("--root").arg(root);
        run(&mut command)
    }

    fn root(&self) -> Result<PathBuf> {
        tools::folder(self.name, self.version)
    }
}
