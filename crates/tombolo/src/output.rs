//! The program's own streams: data to stdout, talk to stderr, logs to stderr when they are asked for.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use tombolo_connector::{Error, ErrorCode, Result};

use crate::render::Terminal;

/// When colours are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// The terminal with the choice applied.
    pub(crate) fn apply(self, terminal: Terminal) -> Terminal {
        match self {
            Self::Auto => terminal,
            Self::Always => Terminal { colors: true, ..terminal },
            Self::Never => Terminal { colors: false, ..terminal },
        }
    }
}

/// Says something to the person on stderr. Nothing can be done about a stderr that is closed.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes text to stdout as data.
pub(crate) fn write_stdout(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(stdout_failed)
}

/// Writes to stdout through a function of the renderer's.
pub(crate) fn with_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(stdout_failed)
}

/// Writes to stderr through a function of the renderer's; a stderr that is closed is nobody's failure.
pub(crate) fn with_stderr(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut out = BufWriter::new(io::stderr().lock());
    let _ = write(&mut out).and_then(|()| out.flush());
}

/// The failure to write to stdout; its cause says whether the reader went away.
pub(crate) fn stdout_failed(error: io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::StorageFull { ErrorCode::DiskFull } else { ErrorCode::FileFailed };
    Error::new(code, "standard output cannot be written to")
        .with_detail(error.to_string())
        .with_hint("See that the place it is redirected to has room and can be written to.")
        .with_cause(error)
}

/// A buffered stdout that several owners write to. Before the first byte is written, `before` runs: progress bars make way.
#[derive(Clone)]
pub(crate) struct SharedStdout(Arc<Mutex<Shared>>);

struct Shared {
    out: BufWriter<io::Stdout>,
    before: Option<Box<dyn FnOnce() + Send>>,
}

impl SharedStdout {
    pub(crate) fn new(before: impl FnOnce() + Send + 'static) -> Self {
        let out = BufWriter::with_capacity(1 << 16, io::stdout());
        Self(Arc::new(Mutex::new(Shared { out, before: Some(Box::new(before)) })))
    }

    fn with<T>(&self, write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<T>) -> io::Result<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shared.before.take() {
            before();
        }
        write(&mut shared.out)
    }

    /// Passes on what has been written so far, if anything has.
    pub(crate) fn pass_on(&self) -> Result<()> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.before.is_some() { Ok(()) } else { shared.out.flush().map_err(stdout_failed) }
    }
}

impl Write for SharedStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(Write::flush)
    }
}

/// Sends log lines to stderr: what `TOMBOLO_LOG` asks for, else Tombolo's own at `-v`, and everybody's at `-vv`.
pub(crate) fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let asked = std::env::var("TOMBOLO_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = match (asked, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return,
        (None, 1) => {
            "off,tombolo=debug,tombolo_connector=debug,tombolo_connectors=debug,tombolo_engine=debug".to_owned()
        }
        (None, _) => {
            "debug,tombolo=trace,tombolo_connector=trace,tombolo_connectors=trace,tombolo_engine=trace".to_owned()
        }
    };
    tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(io::stderr).init();
}
