//! Spark, which its package in Python brings, with the drivers that it reads databases by.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::home;
use super::maven::{self, Artifact};
use crate::output::complain;
use crate::servers::{debian, tools};

/// The releases of Java that Spark 4.0 runs on; the library under it fails on 24 and newer.
const JAVA: RangeInclusive<u32> = 17..=21;

/// What Debian calls one of them.
const JAVA_PACKAGE: &str = "openjdk-17-jre-headless";

/// Changes with the drivers.
const DRIVERS_VERSION: &str = "1";

static DRIVERS: [&Artifact; 2] = [
    &Artifact { group: "org.postgresql", name: "postgresql", version: "42.7.14", kind: "jar" },
    &Artifact { group: "org.mariadb.jdbc", name: "mariadb-java-client", version: "3.5.11", kind: "jar" },
];

/// Tells a program in Python where Java and the drivers are, after getting them where that is needed.
pub(super) fn tell(command: &mut Command) -> Result<()> {
    let drivers = drivers()?;
    let paths: Vec<String> = DRIVERS.iter().map(|jar| drivers.join(jar.file_name()).display().to_string()).collect();
    command.env("JAVA_HOME", java()?).env("SPARK_JARS", paths.join(",")).env("SPARK_LOCAL_IP", "127.0.0.1");
    Ok(())
}

fn java() -> Result<PathBuf> {
    if let Some(home) = home::find(&JAVA) {
        return Ok(home);
    }
    let needs = format!("Spark needs Java {} to {}", JAVA.start(), JAVA.end());
    debian::install(&[JAVA_PACKAGE]).with_context(|| needs.clone())?;
    home::find(&JAVA)
        .with_context(|| format!("{needs}; {JAVA_PACKAGE} was installed, but is not where it is looked for"))
}

fn drivers() -> Result<PathBuf> {
    let folder = tools::folder("bench-jdbc", DRIVERS_VERSION)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let parent = folder.parent().context("the folder to install into has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    complain!("getting the drivers of Spark with Maven …");
    // Beside its place, so that it is whole when it appears there.
    let got = tempfile::tempdir_in(parent).context("cannot make a folder to install into")?;
    maven::copy(&DRIVERS, got.path())?;
    fs::rename(got.keep(), &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
