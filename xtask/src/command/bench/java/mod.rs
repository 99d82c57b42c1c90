//! Engines that run on Java: Trino, a server of its own, and Spark within a program in Python.
//!
//! Their background work slows whoever runs beside them, and they are slow until they are warm. So each runs in a block of its
//! own: it is started when the others have ended, is asked [`WARM_UP_RUNS`] times without counting, then as often as the others,
//! and is stopped. `benches/engines.py` is the other half of this folder.

mod home;
mod maven;
mod spark;
mod trino;

use std::process::Command;

use anyhow::Result;

pub(super) use self::trino::{Form, Trino};
use super::peers::Venv;
use crate::workspace;

/// Runs before the measured ones.
pub(super) const WARM_UP_RUNS: u32 = 10;

pub(super) enum Engine {
    Trino(Form),
    Spark,
}

static TRINO_CLIENT: Venv = Venv { name: "bench-trino", version: "1", packages: &["trino==0.340.0"] };

static PYSPARK: Venv = Venv { name: "bench-spark", version: "1", packages: &["pyspark==4.0.1"] };

impl Engine {
    /// Returns the command of a script in `benches` that asks the engine, to which the script's own arguments are added, and the
    /// server that has to live as long as that.
    pub(super) fn client(&self, script: &str, sources: &[&str]) -> Result<(Command, Option<Trino>)> {
        let script = workspace::root()?.join("benches").join(script);
        match self {
            Self::Trino(form) => {
                let mut command = Command::new(TRINO_CLIENT.python()?);
                let server = Trino::start(form, sources)?;
                command.arg(script).arg("trino").env("TRINO_PORT", server.port().to_string());
                Ok((command, Some(server)))
            }
            Self::Spark => {
                let mut command = Command::new(PYSPARK.python()?);
                command.arg(script).arg("spark");
                spark::tell(&mut command)?;
                Ok((command, None))
            }
        }
    }
}
