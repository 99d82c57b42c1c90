use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::Path;

/// A file of a database, held open so that its bytes can be read beside SQLite. Without POSIX locks, each connection may have
/// a descriptor of its own.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
}

impl Held {
    /// Holds the file that is at a path now.
    pub(super) fn try_new(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { file: File::open(path)? })
    }

    /// Whether this is the file at a path: no other can be put there while it is open.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        path.exists()
    }

    /// The file's metadata, and its first bytes where it has as many.
    pub(super) fn start<const BYTES: usize>(&self) -> io::Result<(Metadata, Option<[u8; BYTES]>)> {
        let metadata = self.file.metadata()?;
        let mut file = &self.file;
        file.rewind()?;
        let mut bytes = [0; BYTES];
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok((metadata, Some(bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((metadata, None)),
            Err(error) => Err(error),
        }
    }
}
