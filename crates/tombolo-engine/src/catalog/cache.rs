use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tombolo_connector::{TableDescription, TableRef};

/// What is remembered of one source between runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct CachedSource {
    /// Ties the facts to the options they were read with.
    key: String,
    pub(super) schemas: Option<Aged<Vec<String>>>,
    pub(super) tables: HashMap<String, Aged<Vec<TableRef>>>,
    pub(super) descriptions: HashMap<String, Aged<Arc<TableDescription>>>,
}

/// A fact and when it was last known to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Aged<T> {
    pub(super) value: T,
    pub(super) checked_at: DateTime<Utc>,
}

impl<T> Aged<T> {
    pub(super) fn now(value: T) -> Self {
        Self { value, checked_at: Utc::now() }
    }

    /// True when the fact was checked less than `ttl` ago. A clock that went backwards makes it stale.
    pub(super) fn is_fresh(&self, ttl: std::time::Duration) -> bool {
        (Utc::now() - self.checked_at).to_std().is_ok_and(|age| age < ttl)
    }
}

/// Where the facts of one source are kept.
#[derive(Debug)]
pub(super) struct CacheFile {
    path: Option<PathBuf>,
    key: String,
}

impl CacheFile {
    /// The file of this source in `folder`; without a folder nothing is kept.
    pub(super) fn new(folder: Option<&Path>, source: &str, key: String) -> Self {
        Self { path: folder.map(|folder| source_file(folder, source, "json")), key }
    }

    /// Reads what was kept; anything unreadable, or read with other options, counts as nothing.
    pub(super) fn load(&self) -> CachedSource {
        let kept = self.path.as_deref().and_then(read_json).filter(|cached: &CachedSource| cached.key == self.key);
        kept.unwrap_or_else(|| CachedSource { key: self.key.clone(), ..CachedSource::default() })
    }

    /// Keeps the facts. A failure costs only speed, so it is logged and passed over.
    pub(super) fn save(&self, cached: &CachedSource) {
        if let Some(path) = &self.path
            && let Err(error) = write_json(path, cached)
        {
            tracing::warn!(path = %path.display(), %error, "could not keep the catalog");
        }
    }
}

/// The file of a source in a folder.
pub(super) fn source_file(folder: &Path, source: &str, extension: &str) -> PathBuf {
    // Names of sources may hold what names of files may not.
    let safe = |b: u8| {
        if b.is_ascii_alphanumeric() || b == b'-' { char::from(b).to_string() } else { format!("_{b:02x}") }
    };
    let name: String = source.bytes().map(safe).collect();
    folder.join(format!("{name}.{extension}"))
}

/// Reads a file; what is not there or unreadable is nothing.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a file and the folder that it is in.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Written aside and renamed, so that another process never reads half of it.
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&aside, serde_json::to_vec(value)?)?;
    std::fs::rename(&aside, path)
}
