//! Files from a Maven repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::servers::instance::run;
use crate::servers::{debian, folder_with};

/// Pinned as the files are.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";

/// A file in the one version that is measured.
pub(super) struct Artifact {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// What the file's name ends in.
    pub(super) kind: &'static str,
}

impl Artifact {
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}.{}", self.name, self.version, self.kind)
    }
}

/// Gets the files into a folder, with their checksums compared. Maven's own copies of them do not stay.
pub(super) fn copy(artifacts: &[&Artifact], folder: &Path) -> Result<()> {
    let program = program()?;
    let repository = tempfile::tempdir_in(folder).context("cannot make a folder for Maven")?;
    for Artifact { group, name, version, kind } in artifacts {
        let mut command = Command::new(&program);
        command.args(["--quiet", "--batch-mode", "--strict-checksums", COPY]).stdin(Stdio::null()).current_dir(folder);
        command.arg(format!("-Dmaven.repo.local={}", repository.path().display()));
        command.arg(format!("-Dartifact={group}:{name}:{version}:{kind}"));
        command.arg(format!("-DoutputDirectory={}", folder.display()));
        run(&mut command).with_context(|| format!("Maven cannot get {group}:{name}:{version}:{kind}"))?;
    }
    Ok(())
}

/// Returns `mvn`, after installing it where that is needed.
fn program() -> Result<PathBuf> {
    let find = || folder_with(&["mvn"], &["/usr/bin"]).map(|folder| folder.join("mvn"));
    if let Some(program) = find() {
        return Ok(program);
    }
    debian::install(&["maven"]).context("Maven is needed to get engines that run on Java")?;
    find().context("Maven was installed, but mvn is not where it is looked for")
}
