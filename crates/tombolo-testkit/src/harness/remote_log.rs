//! What really reached a source.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tombolo_connectors::REMOTE_LOG;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Something that a source was made to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEvent {
    /// The source's name in the config.
    pub source: String,
    /// `begin` and `end` of a statement, or `read` for bytes of a file.
    pub event: String,
    /// The statement; or the file and the range of its bytes.
    pub text: String,
}

impl RemoteEvent {
    /// The bytes that were read, where it is a read of bytes.
    pub fn bytes(&self) -> Option<u64> {
        let (start, end) = self.text.rsplit_once(' ')?.1.split_once("..")?;
        end.parse::<u64>().ok()?.checked_sub(start.parse().ok()?)
    }
}

static EVENTS: OnceLock<Mutex<Vec<RemoteEvent>>> = OnceLock::new();

/// A place in the log of one source, from which on it is read.
#[derive(Debug, Clone)]
pub struct RemoteLog {
    source: String,
    from: usize,
    /// Seconds since 1970.
    since: f64,
}

impl RemoteLog {
    /// Begins to listen to a source. From the first call on, embedded sources of this process are logged.
    pub fn listen(source: &str) -> Self {
        let events = EVENTS.get_or_init(|| {
            let set = tracing::subscriber::set_global_default(Listener);
            set.expect("the remote log is the only subscriber of the tests");
            Mutex::default()
        });
        let from = events.lock().unwrap_or_else(PoisonError::into_inner).len();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        Self { source: source.to_owned(), from, since }
    }

    /// The source's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When it began, in seconds since 1970, to the millisecond as servers log it.
    pub fn since(&self) -> f64 {
        (self.since * 1e3).floor() / 1e3
    }

    /// What has reached the source since.
    pub fn events(&self) -> Vec<RemoteEvent> {
        let Some(events) = EVENTS.get() else { return Vec::new() };
        let events = events.lock().unwrap_or_else(PoisonError::into_inner);
        events[self.from..].iter().filter(|event| event.source == self.source).cloned().collect()
    }

    /// How many statements have begun and not ended.
    pub fn running(&self) -> usize {
        running(&self.events()).last().copied().unwrap_or(0)
    }

    /// The most statements that ran at once.
    pub fn most_at_once(&self) -> usize {
        running(&self.events()).into_iter().max().unwrap_or(0)
    }
}

fn running(events: &[RemoteEvent]) -> Vec<usize> {
    let mut running = 0_usize;
    let counted = events.iter().map(|event| {
        match event.event.as_str() {
            "begin" => running += 1,
            "end" => running = running.saturating_sub(1),
            _ => {}
        }
        running
    });
    counted.collect()
}

/// Keeps the events of one target, and takes no notice of any other.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == REMOTE_LOG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut read = RemoteEvent { source: String::new(), event: String::new(), text: String::new() };
        event.record(&mut read);
        if let Some(events) = EVENTS.get() {
            events.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for RemoteEvent {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "source" => value.clone_into(&mut self.source),
            "event" => value.clone_into(&mut self.event),
            "text" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
