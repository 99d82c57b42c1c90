use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A file of a database, held open so that its bytes can be read beside SQLite.
///
/// Closing any descriptor of a file gives up every POSIX lock that this process holds on it, also those that SQLite took
/// through its own descriptors (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>).
/// So each file is opened once for the whole process, and closed when the last connection that holds it is closed.
#[derive(Debug)]
pub(super) struct Held {
    key: Key,
}

/// Device and inode.
type Key = (u64, u64);

#[derive(Debug, Default)]
struct Shared {
    /// More than one only where the file at a path was replaced between looking at it and opening it.
    files: Vec<File>,
    holders: usize,
}

static FILES: LazyLock<Mutex<HashMap<Key, Shared>>> = LazyLock::new(Mutex::default);

impl Held {
    /// Holds the file that is at a path now.
    pub(super) fn try_new(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = key(&metadata);
        if !files.contains_key(&key) {
            let file = File::open(path)?;
            key = self::key(&file.metadata()?);
            files.entry(key).or_default().files.push(file);
        }
        files.entry(key).or_default().holders += 1;
        Ok(Self { key })
    }

    /// Whether this is the file at a path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| key(&metadata) == self.key)
    }

    /// The file's metadata, and its first bytes where it has as many.
    pub(super) fn start<const BYTES: usize>(&self) -> io::Result<(Metadata, Option<[u8; BYTES]>)> {
        let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(&self.key).and_then(|shared| shared.files.first()).ok_or(io::ErrorKind::NotFound)?;
        let metadata = file.metadata()?;
        let mut bytes = [0; BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok((metadata, Some(bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((metadata, None)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closed under the lock, so that no connection is opened to the file meanwhile.
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = files.get_mut(&self.key) {
            shared.holders -= 1;
            if shared.holders == 0 {
                files.remove(&self.key);
            }
        }
    }
}

fn key(metadata: &Metadata) -> Key {
    (metadata.dev(), metadata.ino())
}
