use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};

/// The folder, made when something is first written to it. Only its owner can read it, since it holds statements and rows.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Finds the folder: `TOMBOLO_HOME`, else `tombolo` in the user's state folder, or in the data folder on systems that
    /// have no state folder.
    pub(crate) fn find() -> Result<Self> {
        if let Some(home) = std::env::var_os("TOMBOLO_HOME").filter(|home| !home.is_empty()) {
            let path = std::path::absolute(&home)
                .or_error(ErrorCode::FileFailed, || "TOMBOLO_HOME cannot be made absolute".to_owned())?;
            return Ok(Self { path });
        }
        let strategy = etcetera::choose_base_strategy().map_err(|error| {
            Error::new(ErrorCode::FileFailed, "there is no home folder to keep the state in")
                .with_hint("Set TOMBOLO_HOME to a folder.")
                .with_cause(error)
        })?;
        let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        Ok(Self { path: base.join("tombolo") })
    }

    /// A folder at this path.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The folder, whether it exists or not.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder.
    pub(crate) fn create(&self) -> Result<&Path> {
        create_private(&self.path).map_err(|error| {
            Error::new(ErrorCode::FileFailed, format!("the state folder {} cannot be made", self.path.display()))
                .with_detail(error.to_string())
                .with_hint("Set TOMBOLO_HOME to a folder that you can write to.")
                .with_cause(error)
        })?;
        Ok(&self.path)
    }

    /// A folder in it, made.
    pub(crate) fn create_below(&self, name: &str) -> Result<PathBuf> {
        let path = self.create()?.join(name);
        create_private(&path).or_error(ErrorCode::FileFailed, || format!("{} cannot be made", path.display()))?;
        Ok(path)
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}
