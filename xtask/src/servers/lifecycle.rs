//! Starting, finding again and stopping a server.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::ServerKind;
use super::instance::{self, Instance};
use super::lock::{ChangeLock, UseLock};
use super::process::ProcessId;
use crate::interrupt::Interrupt;

/// How long a server may take to answer. It takes a second or two; a busy machine with slow disks takes longer.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long a server may take to end in good order before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

const RECORD: &str = "server.json";

/// A running server, as recorded in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    process: ProcessId,
    pub(crate) port: u16,
    pub(crate) version: String,
    /// The variables for the tests. With the password: this record can be read by its owner only.
    pub(crate) environment: Vec<(String, String)>,
    /// Whether it runs until somebody stops it, or only as long as a test run uses it.
    is_kept: bool,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }
}

/// What [`start`] did.
pub(crate) enum Started {
    Now(Running),
    Before(Running),
}

/// Returns the folder of the server's programs, after installing it where that is needed.
pub(crate) fn obtain(kind: &dyn ServerKind) -> Result<PathBuf> {
    if let Some(binaries) = kind.find() {
        return Ok(binaries);
    }
    kind.install()?;
    kind.find()
        .with_context(|| format!("{} was installed, but its programs are not where they are looked for", kind.title()))
}

/// Starts the server from `binaries`, and waits until it answers. It runs until it is stopped.
pub(crate) fn start(kind: &dyn ServerKind, binaries: PathBuf, interrupt: &Interrupt) -> Result<Started> {
    let _change = ChangeLock::wait(kind, Some(interrupt))?;
    match running(kind)? {
        Some(running) => {
            let kept = Running { is_kept: true, ..running };
            write_record(&instance::folder(kind)?, &kept)?;
            Ok(Started::Before(kept))
        }
        None => Ok(Started::Now(launch(kind, binaries, true, interrupt)?)),
    }
}

/// A run's use of a server.
pub(crate) struct Lease {
    kind: &'static dyn ServerKind,
    in_use: UseLock,
}

/// Starts the server for as long as it is used, or joins those who use it already.
pub(crate) fn lease(
    kind: &'static dyn ServerKind,
    binaries: PathBuf,
    interrupt: &Interrupt,
) -> Result<(Started, Lease)> {
    let _change = ChangeLock::wait(kind, Some(interrupt))?;
    let started = match running(kind)? {
        Some(running) => Started::Before(running),
        None => Started::Now(launch(kind, binaries, false, interrupt)?),
    };
    Ok((started, Lease { kind, in_use: UseLock::take(kind)? }))
}

impl Lease {
    /// Ends the use, and with the last use the server, unless it was started by hand.
    pub(crate) fn end(self) -> Result<()> {
        let change = ChangeLock::wait(self.kind, None)?;
        let was_last = self.in_use.end(&change, self.kind)?;
        if was_last && running(self.kind)?.is_some_and(|running| !running.is_kept) {
            halt(self.kind)?;
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }
}

fn launch(kind: &dyn ServerKind, binaries: PathBuf, is_kept: bool, interrupt: &Interrupt) -> Result<Running> {
    let version = kind.version(&binaries)?;
    let instance = Instance::create(kind, binaries)?;
    kind.prepare(&instance)?;
    let log = File::create(instance.log())?;
    let child = kind
        .serve(&instance)?
        // In a group of its own, so that Ctrl-C in the terminal does not end it behind our back.
        .process_group(0)
        .stdout(log.try_clone()?)
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", kind.title()))?;
    let process = ProcessId::of(child.id())?;
    let environment = kind.environment(&instance).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let running = Running { process, port: instance.port, version, environment, is_kept };
    // Recorded before it is ready, so that `stop` finds it even if this program is killed while waiting.
    let ready =
        write_record(&instance.folder, &running).and_then(|()| wait_until_ready(kind, &instance, child, interrupt));
    if let Err(error) = ready {
        running.process.stop(kind.stop_signal(), STOP_PATIENCE)?;
        return Err(error);
    }
    Ok(running)
}

/// Stops the server and removes its data; its log is kept until the next start. Returns whether it was running.
pub(crate) fn stop(kind: &dyn ServerKind) -> Result<bool> {
    let _change = ChangeLock::wait(kind, None)?;
    halt(kind)
}

fn halt(kind: &dyn ServerKind) -> Result<bool> {
    let folder = instance::folder(kind)?;
    let running = running(kind)?;
    if let Some(running) = &running {
        running.process.stop(kind.stop_signal(), STOP_PATIENCE)?;
    }
    instance::remove_data(&folder)?;
    match fs::remove_file(folder.join(RECORD)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(running.is_some())
}

/// Returns the server when it runs. A record whose process is gone counts for nothing.
pub(crate) fn running(kind: &dyn ServerKind) -> Result<Option<Running>> {
    let path = instance::folder(kind)?.join(RECORD);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // Half a record means that its writer was killed before the server could have been used.
    let record: Option<Running> = serde_json::from_str(&text).ok();
    Ok(record.filter(|running| running.process.is_alive()))
}

fn write_record(folder: &Path, running: &Running) -> Result<()> {
    let path = folder.join(RECORD);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(serde_json::to_string_pretty(running)?.as_bytes())?;
    Ok(())
}

fn wait_until_ready(kind: &dyn ServerKind, instance: &Instance, mut child: Child, interrupt: &Interrupt) -> Result<()> {
    let give_up = Instant::now() + START_PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("{} ended at once ({status}); {}", kind.title(), last_words(instance));
        }
        if kind.is_ready(instance).with_context(|| format!("cannot ask {} whether it is ready", kind.title()))? {
            return Ok(());
        }
        if interrupt.is_requested() {
            bail!("interrupted while {} was starting", kind.title());
        }
        if Instant::now() > give_up {
            bail!("{} does not answer after {} s; {}", kind.title(), START_PATIENCE.as_secs(), last_words(instance));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn last_words(instance: &Instance) -> String {
    let path = instance.log();
    let log = fs::read(&path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default();
    format!("the end of {}:\n{}", path.display(), tail.join("\n"))
}
