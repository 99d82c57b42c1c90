use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::NamedTempFile;
use tombolo_connector::{Error, ErrorCode, Result};

use super::writer::write_failed;

/// A file that appears whole or not at all.
///
/// Rows go to a hidden file beside it; [`OutputFile::commit`] puts that in its place in one step, over what was there. An
/// error, a cancel or a drop before that removes the hidden file and leaves what was there as it was. A link is followed.
/// What is no file, such as a named pipe or `/dev/null`, is written to as it is: there is nothing to put in its place.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    target: Arc<Mutex<Option<BufWriter<Target>>>>,
}

#[derive(Debug)]
enum Target {
    Hidden(NamedTempFile),
    Device(File),
}

impl OutputFile {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// `file_failed` where the folder does not exist or cannot be written to, or where the path is a folder.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let refused = |error: io::Error| {
            let hint = if error.kind() == io::ErrorKind::NotFound {
                "Make the folder first, or name another."
            } else {
                "See that the folder can be written to, or name another."
            };
            Error::new(ErrorCode::FileFailed, format!("cannot write {}", path.display()))
                .with_detail(error.to_string())
                .with_hint(hint)
                .with_cause(error)
        };
        if path.is_dir() {
            return Err(Error::new(ErrorCode::FileFailed, format!("{} is a folder", path.display()))
                .with_hint("Name a file in it."));
        }
        let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_device = std::fs::metadata(&place).is_ok_and(|metadata| !metadata.is_file());
        let target = if is_device {
            Target::Device(File::options().write(true).open(&place).map_err(refused)?)
        } else {
            Target::Hidden(hidden_beside(&place).map_err(refused)?)
        };
        let writer = BufWriter::with_capacity(1 << 16, target);
        Ok(Self { path: place, target: Arc::new(Mutex::new(Some(writer))) })
    }

    /// A writer into the file. What it takes is in the file once [`OutputFile::commit`] has been called; after that, it
    /// takes nothing more.
    pub(crate) fn writer(&self) -> Box<dyn Write + Send> {
        Box::new(Shared(Arc::clone(&self.target)))
    }

    /// Puts the file in its place.
    pub(crate) fn commit(self) -> Result<()> {
        let taken = self.target.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = taken.ok_or_else(|| Error::internal("an output file was put in its place twice"))?;
        match writer.into_inner().map_err(|error| write_failed(error.into_error()))? {
            Target::Device(mut file) => file.flush().map_err(write_failed),
            Target::Hidden(file) => {
                file.as_file().sync_all().map_err(write_failed)?;
                file.persist(&self.path).map(|_: File| ()).map_err(|error| {
                    Error::new(ErrorCode::FileFailed, format!("cannot put {} in its place", self.path.display()))
                        .with_detail(error.error.to_string())
                        .with_hint("See that the file is not open elsewhere and that its folder can be written to.")
                        .with_cause(error.error)
                })
            }
        }
    }
}

fn hidden_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tombolo-").suffix(".partial");
    // The permissions that any new file has here; tempfile alone would keep it from everybody else.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Hidden(file) => file.write(bytes),
            Self::Device(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Hidden(file) => file.flush(),
            Self::Device(file) => file.flush(),
        }
    }
}

struct Shared(Arc<Mutex<Option<BufWriter<Target>>>>);

impl Shared {
    fn with<T>(&self, write: impl FnOnce(&mut BufWriter<Target>) -> io::Result<T>) -> io::Result<T> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(writer) => write(writer),
            None => Err(io::Error::other("the file is finished")),
        }
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(BufWriter::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let file = OutputFile::create(&path).unwrap();
        file.writer().write_all(b"one").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn a_file_that_is_dropped_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "before").unwrap();
        let file = OutputFile::create(&path).unwrap();
        let mut writer = file.writer();
        writer.write_all(&[b'x'; 100_000]).unwrap();
        drop(file);
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(&folder.path().join("no/a.csv")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FileFailed);
        assert!(error.hint().unwrap().contains("folder"));
        assert_eq!(OutputFile::create(folder.path()).unwrap_err().hint(), Some("Name a file in it."));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "before").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = OutputFile::create(&link).unwrap();
        file.writer().write_all(b"after").unwrap();
        file.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "after");
        assert!(link.is_symlink());

        let file = OutputFile::create(Path::new("/dev/null")).unwrap();
        file.writer().write_all(b"gone").unwrap();
        file.commit().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_readable_as_any_new_file_is() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        OutputFile::create(&ours).unwrap().commit().unwrap();
        std::fs::write(&usual, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
