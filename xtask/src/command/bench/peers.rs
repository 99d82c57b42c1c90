//! Programs in Python to measure beside, from PyPI, each in a virtual environment in the folder of tools.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::output::complain;
use crate::servers::tools;

/// Packages that are installed together, apart from others whose dependencies may differ.
pub(super) struct Venv {
    pub(super) name: &'static str,
    /// Changes with the packages, so that each set of them has a folder of its own.
    pub(super) version: &'static str,
    pub(super) packages: &'static [&'static str],
}

/// Readers of one server, and DuckDB with its scanners, which joins as well.
pub(super) static READERS: Venv = Venv {
    name: "bench-peers",
    version: "1",
    packages: &[
        "duckdb==1.5.5",
        "duckdb-extensions==1.5.5",
        "duckdb-extension-postgres-scanner==1.5.5",
        "duckdb-extension-mysql-scanner==1.5.5",
        "connectorx==0.4.6",
        "pyarrow==26.0.1",
    ],
};

pub(super) static CHDB: Venv =
    Venv { name: "bench-chdb", version: "1", packages: &["chdb==4.4.0", "chdb-core==26.9.0"] };

pub(super) static GLAREDB: Venv =
    Venv { name: "bench-glaredb", version: "1", packages: &["glaredb==0.9.4", "pyarrow==26.0.1"] };

impl Venv {
    /// Returns the Python that has the packages, after getting them where that is needed.
    pub(super) fn python(&self) -> Result<PathBuf> {
        let folder = tools::folder(self.name, self.version)?;
        let python = folder.join("bin/python");
        if python.exists() {
            return Ok(python);
        }
        complain!("getting {} with pip …", self.packages.join(", "));
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().context("cannot run python3")?;
        if !made.success() {
            bail!("python3 cannot make a virtual environment; on Debian, as root: apt-get install python3-venv");
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(self.packages);
        let got = pip.stdin(Stdio::null()).output().context("cannot run pip")?;
        if !got.status.success() {
            fs::remove_dir_all(&folder)?;
            bail!("pip could not get {}: {}", self.packages.join(", "), String::from_utf8_lossy(&got.stderr).trim());
        }
        Ok(python)
    }
}
