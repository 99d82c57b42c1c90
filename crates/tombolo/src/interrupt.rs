//! Ctrl-C and its kin: the first one cancels what runs, and a second one before that has been noticed ends the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The signals that ask the program to stop what it does.
#[derive(Debug)]
pub(crate) struct Interrupts {
    pending: Arc<Pending>,
    _listener: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Pending {
    /// The exit code of a signal that came and that nobody has taken yet; 0 for none.
    code: AtomicU8,
    came: Notify,
}

impl Interrupts {
    /// Begins to listen; from now on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let pending = Arc::new(Pending::default());
        let mut listener = JoinSet::new();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for (kind, code) in
                [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)]
            {
                let mut signals = signal(kind)?;
                let pending = Arc::clone(&pending);
                listener.spawn(async move {
                    while signals.recv().await.is_some() {
                        pending.note(code);
                    }
                });
            }
        }
        #[cfg(not(unix))]
        {
            let pending = Arc::clone(&pending);
            listener.spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    pending.note(130);
                }
            });
        }
        Ok(Self { pending, _listener: listener })
    }

    /// Waits for a signal, takes it, and gives the exit code that belongs to it.
    pub(crate) async fn wait(&self) -> u8 {
        loop {
            let came = self.pending.came.notified();
            match self.pending.code.swap(0, Ordering::SeqCst) {
                0 => came.await,
                code => return code,
            }
        }
    }
}

impl Pending {
    #[expect(clippy::disallowed_methods, reason = "the user asked twice, and what runs does not listen")]
    fn note(&self, code: u8) {
        if self.code.swap(code, Ordering::SeqCst) != 0 {
            std::process::exit(code.into());
        }
        self.came.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_came_before_the_wait_is_taken_once() {
        let interrupts = Interrupts { pending: Arc::default(), _listener: JoinSet::new() };
        interrupts.pending.note(130);
        assert_eq!(interrupts.wait().await, 130);
        let again = tokio::time::timeout(std::time::Duration::from_millis(20), interrupts.wait()).await;
        assert!(again.is_err());
    }
}
