//! Files of tests that other projects publish as crates. Nothing of them is in the checkout: cargo gets them as it gets any
//! dependency, checked by the registry's checksums, and keeps them.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// The name in `TOMBOLO_REQUIRE`.
pub(crate) const NAME: &str = "datafusion-slt";

pub(crate) const TITLE: &str = "DataFusion's files of queries";

/// The variable that tells the tests the folder of the unpacked crates.
pub(crate) const VARIABLE: &str = "TOMBOLO_TEST_DATAFUSION_SLT";

/// The crates that ship the files and the data that they read, in versions that belong together.
const CRATES: &[(&str, &str)] = &[
    ("datafusion-sqllogictest", "55.2.0"),
    ("datafusion-datasource-arrow", "55.2.0"),
    ("datafusion-physical-expr", "55.2.0"),
    ("datafusion-dft", "0.3.0"),
    ("ballista", "55.0.0"),
];

/// Gets all crates, and returns the folder that they are unpacked in.
pub(crate) fn obtain() -> Result<PathBuf> {
    if let Some(folder) = folder() {
        return Ok(folder);
    }
    for (name, version) in CRATES {
        // It gets the one crate alone, where `cargo fetch` and `cargo vendor` get hundreds that the crate would be built with.
        let mut command = cargo::command()?;
        command.args(["info", "--quiet", "--color", "never", &format!("{name}@{version}")]);
        let output = command.output().context("cannot run cargo info")?;
        if !output.status.success() {
            bail!("cargo cannot get {name} {version}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    folder().context("cargo got the crates but did not keep them where it keeps crates")
}

/// The folder of a registry in cargo's home that has all crates.
fn folder() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    let registries = home.join("registry").join("src").read_dir().ok()?;
    registries.flatten().map(|registry| registry.path()).find(|registry| {
        CRATES.iter().all(|(name, version)| registry.join(format!("{name}-{version}")).join(".cargo-ok").is_file())
    })
}
