//! An object store that speaks S3: s3s-fs, which keeps buckets as folders.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::crates_io::Program;
use super::instance::Instance;
use super::{ServerKind, version_of};

pub(crate) struct S3;

/// Up to 0.14 it takes a folder for an object, and answers 500 when asked for one.
static PROGRAM: Program = Program { name: "s3s-fs", version: "0.16.1", features: "binary" };

const BUCKET: &str = "tombolo-test";

const ACCESS_KEY: &str = "tombolo";

impl ServerKind for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn title(&self) -> &'static str {
        "s3s-fs"
    }

    fn connector(&self) -> &'static str {
        "files"
    }

    fn env_name(&self) -> &'static str {
        "TOMBOLO_TEST_S3_URL"
    }

    fn accounts(&self) -> &'static [&'static str] {
        &["nobody"]
    }

    fn find(&self) -> Option<PathBuf> {
        PROGRAM.find()
    }

    fn install(&self) -> Result<()> {
        PROGRAM.install()
    }

    fn version(&self, binaries: &Path) -> Result<String> {
        version_of(&binaries.join(PROGRAM.name))
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.copy_programs(&[PROGRAM.name])?;
        instance.create_data_folder(&buckets(instance))?;
        instance.create_data_folder(&buckets(instance).join(BUCKET))
    }

    fn serve(&self, instance: &Instance) -> Result<Command> {
        let mut command = instance.command(instance.programs().join(PROGRAM.name));
        // The key can be seen among the processes, as it takes it no other way. It opens nothing but these tests' data.
        command
            .args(["--host", "127.0.0.1", "--port", &instance.port.to_string()])
            .args(["--access-key", ACCESS_KEY, "--secret-key", &instance.password])
            .arg(buckets(instance))
            .env("RUST_LOG", "info");
        Ok(command)
    }

    fn is_ready(&self, instance: &Instance) -> Result<bool> {
        // It listens when everything else is done.
        Ok(TcpStream::connect(("127.0.0.1", instance.port)).is_ok())
    }

    fn environment(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            (self.env_name(), format!("http://127.0.0.1:{}", instance.port)),
            ("TOMBOLO_TEST_S3_BUCKET", BUCKET.to_owned()),
            ("TOMBOLO_TEST_S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("TOMBOLO_TEST_S3_SECRET_KEY", instance.password.clone()),
        ]
    }

    /// It knows no SIGTERM.
    fn stop_signal(&self) -> Signal {
        Signal::SIGINT
    }
}

fn buckets(instance: &Instance) -> PathBuf {
    instance.data().join("buckets")
}
