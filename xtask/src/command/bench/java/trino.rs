//! A Trino server of one node, over the databases and the files of a benchmark.

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::home;
use super::maven::{self, Artifact};
use crate::output::complain;
use crate::servers::instance::{free_port, run};
use crate::servers::process::ProcessId;
use crate::servers::tools;

static SERVER: Artifact = Artifact { group: "io.trino", name: "trino-server", version: "476", kind: "tar.gz" };

/// The releases of Java that it runs on.
const JAVA: RangeInclusive<u32> = 24..=u32::MAX;

/// Those that are used, and geospatial, which postgresql needs.
const PLUGINS: [&str; 6] = ["geospatial", "hive", "mariadb", "memory", "postgresql", "tpch"];

/// As Trino's manual has them, with a heap of this size.
const JAVA_OPTIONS: [&str; 11] = [
    "-Xmx2g",
    "-XX:+UseG1GC",
    "-XX:G1HeapRegionSize=32M",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:ReservedCodeCacheSize=512M",
    "-XX:+EnableDynamicAgentLoading",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djdk.nio.maxCachedBufferSize=2000000",
    "-Dfile.encoding=UTF-8",
];

/// How long it may take to end after it has been asked to.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// What it is told about joins of databases.
pub(in super::super) enum Form {
    /// As it comes.
    Default,
    /// It sends up to 10,000 keys of a join, remembers what the databases have told of their tables, and orders joins even where
    /// nothing is known of the column that a filter is on. Without the last it takes the tables as the text has them.
    Tuned,
}

impl Form {
    /// Of the server.
    fn properties(&self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Tuned => "optimizer.default-filter-factor-enabled=true\n",
        }
    }

    /// Of the catalog of a database.
    fn catalog_properties(&self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Tuned => {
                "domain-compaction-threshold=10000\nmetadata.cache-ttl=1h\nmetadata.cache-missing=true\n\
                 metadata.statistics.cache-ttl=1h\n"
            }
        }
    }
}

/// A server that runs, and is stopped when this is dropped.
pub(in super::super) struct Trino {
    child: Child,
    port: u16,
    /// Holds its configuration, its log and what it writes.
    folder: TempDir,
}

impl Trino {
    /// Starts it, with a catalog for each source: `pg` for PostgreSQL, `maria` for MariaDB, beside `lake` for files and `memory`
    /// for views. It answers some time later.
    pub(super) fn start(form: &Form, sources: &[&str]) -> Result<Self> {
        let java = home::find(&JAVA).with_context(|| {
            format!("Trino needs Java {} or newer; install one below /usr/lib/jvm, or set JAVA_HOME", JAVA.start())
        })?;
        let programs = installed()?;
        let folder = tempfile::tempdir().context("cannot make a folder for Trino")?;
        let port = free_port()?;
        let catalogs = folder.path().join("catalogs");
        fs::create_dir(&catalogs)?;
        for (name, properties) in catalog_files(form, sources, folder.path())? {
            write(&catalogs.join(format!("{name}.properties")), &properties)?;
        }
        let config = folder.path().join("config.properties");
        write(
            &config,
            &format!(
                "node.environment=bench\nnode.bind-ip=127.0.0.1\nnode.internal-address=127.0.0.1\ncoordinator=true\n\
                 node-scheduler.include-coordinator=true\nhttp-server.http.port={port}\n\
                 discovery.uri=http://127.0.0.1:{port}\nquery.max-memory=1GB\nquery.max-memory-per-node=1GB\n\
                 plugin.dir={}\ncatalog.config-dir={}\n{}",
                programs.join("plugin").display(),
                catalogs.display(),
                form.properties()
            ),
        )?;
        let log = File::create(folder.path().join("log")).context("cannot make a log for Trino")?;
        let mut command = Command::new(java.join("bin/java"));
        command.args(JAVA_OPTIONS).arg(format!("-Dconfig={}", config.display()));
        command.arg("-cp").arg(programs.join("lib/*")).arg("io.trino.server.TrinoServer");
        command.current_dir(&folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot run Java")?;
        Ok(Self { child, port, folder })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Fails when it has ended, with what it has complained of.
    pub(in super::super) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let is_complaint = |line: &&str| line.contains("ERROR") || line.starts_with("Error") || line.starts_with("1) ");
        let complaint = log.lines().rfind(is_complaint).unwrap_or("its log tells of no error").trim();
        bail!("Trino has ended ({status}): {complaint}")
    }
}

impl Drop for Trino {
    fn drop(&mut self) {
        let stopped = ProcessId::of(self.child.id()).and_then(|process| process.stop(Signal::SIGTERM, END_PATIENCE));
        if let Err(error) = stopped
            && matches!(self.child.try_wait(), Ok(None))
        {
            complain!("warning: Trino, process {}, is not stopped: {error:#}", self.child.id());
            return;
        }
        let _ = self.child.wait();
    }
}

/// Returns the names of the catalogs and what their files say.
fn catalog_files(form: &Form, sources: &[&str], folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let lake = folder.join("lake");
    let mut files = vec![
        ("memory", "connector.name=memory\n".to_owned()),
        ("tpch", "connector.name=tpch\n".to_owned()),
        (
            "lake",
            format!(
                "connector.name=hive\nhive.metastore=file\nhive.metastore.catalog.dir=local://{}\n\
                 fs.native-local.enabled=true\nlocal.location=/\n",
                lake.display()
            ),
        ),
    ];
    for source in sources {
        let (scheme, rest) = source.split_once("://").context("the URL has no scheme")?;
        let (account, place) = rest.rsplit_once('@').context("the URL names no account")?;
        let (user, password) = account.split_once(':').context("the URL has no password")?;
        let (address, database) = place.split_once('/').context("the URL names no database")?;
        let (name, connector, url) = match scheme {
            "postgres" => ("pg", "postgresql", format!("jdbc:postgresql://{address}/{database}")),
            // There a schema is a database of the server.
            "mariadb" => ("maria", "mariadb", format!("jdbc:mariadb://{address}")),
            other => bail!("Trino has no catalog here for {other}"),
        };
        let mut text = format!("connector.name={connector}\nconnection-url={url}\n");
        text.push_str(&format!(
            "connection-user={user}\nconnection-password={password}\n{}",
            form.catalog_properties()
        ));
        files.push((name, text));
    }
    Ok(files)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the folder of the server's programs, after getting them where that is needed.
fn installed() -> Result<PathBuf> {
    let folder = tools::folder(SERVER.name, SERVER.version)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let parent = folder.parent().context("the folder to install into has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    complain!("getting Trino {} with Maven, 821 MB …", SERVER.version);
    // Beside its place, so that it is whole when it appears there.
    let got = tempfile::tempdir_in(parent).context("cannot make a folder to install into")?;
    maven::copy(&[&SERVER], got.path())?;
    let unpacked = got.path().join("server");
    fs::create_dir(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--no-same-owner", "--strip-components=1", "--file"]);
    run(tar.arg(got.path().join(SERVER.file_name())).arg("--directory").arg(&unpacked))?;
    // Not left out while unpacking: files of plugins are links to those of other plugins.
    for entry in fs::read_dir(unpacked.join("plugin")).context("Trino has no plugins")? {
        let entry = entry?;
        if !PLUGINS.iter().any(|plugin| entry.file_name() == *plugin) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    fs::rename(&unpacked, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Form, catalog_files};

    #[test]
    fn each_source_is_a_catalog() {
        let sources = ["postgres://u:secret@127.0.0.1:5432/shop", "mariadb://u:secret@127.0.0.1:3306/shop"];
        let files = catalog_files(&Form::Tuned, &sources, Path::new("/f")).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["memory", "tpch", "lake", "pg", "maria"]);
        assert!(files[2].1.contains("catalog.dir=local:///f/lake\n"), "{}", files[2].1);
        let account = "connection-user=u\nconnection-password=secret\n";
        let tuned = Form::Tuned.catalog_properties();
        assert_eq!(
            files[3].1,
            format!(
                "connector.name=postgresql\nconnection-url=jdbc:postgresql://127.0.0.1:5432/shop\n{account}{tuned}"
            )
        );
        assert_eq!(
            files[4].1,
            format!("connector.name=mariadb\nconnection-url=jdbc:mariadb://127.0.0.1:3306\n{account}{tuned}")
        );
        let error = catalog_files(&Form::Default, &["redis://u:p@h/0"], Path::new("/f")).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "Trino has no catalog here for redis");
    }
}
