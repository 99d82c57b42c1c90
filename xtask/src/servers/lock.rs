//! Who may start or stop a server, and who uses it, when several runs share a checkout.
//!
//! Two files beside the server's folder are locked: one by whoever is starting or stopping it, one, shared, by each run that
//! uses it. The system takes locks back from a program that is killed, so none is ever left behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::ServerKind;
use super::instance;
use crate::interrupt::Interrupt;

/// The right to start or stop a server, until dropped.
pub(super) struct ChangeLock {
    _locked: File,
}

impl ChangeLock {
    /// Waits until nobody else starts or stops the server.
    pub(super) fn wait(kind: &dyn ServerKind, interrupt: Option<&Interrupt>) -> Result<Self> {
        let file = open(kind, "change")?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _locked: file }),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", kind.title()));
                }
            }
            if interrupt.is_some_and(Interrupt::is_requested) {
                bail!("interrupted while another run was starting {}", kind.title());
            }
        }
    }
}

/// One run's use of a server, until dropped.
pub(super) struct UseLock {
    _locked: File,
}

impl UseLock {
    pub(super) fn take(kind: &dyn ServerKind) -> Result<Self> {
        let file = open(kind, "use")?;
        // Only asked for alone by who holds the change lock, and then without waiting, so this does not wait long.
        file.lock_shared().with_context(|| format!("cannot lock {}", kind.title()))?;
        Ok(Self { _locked: file })
    }

    /// Ends this use, and returns whether it was the last. Needs the change lock, lest another begin meanwhile.
    pub(super) fn end(self, _change: &ChangeLock, kind: &dyn ServerKind) -> Result<bool> {
        drop(self);
        match open(kind, "use")?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", kind.title())),
        }
    }
}

fn open(kind: &dyn ServerKind, purpose: &str) -> Result<File> {
    let path = instance::servers_folder()?.join(format!("{}.{purpose}", kind.name()));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}
