use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
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
        // Names of sources may hold what names of files may not.
        let name: String =
            source
                .bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() || b == b'-' { char::from(b).to_string() } else { format!("_{b:02x}") }
                })
                .collect();
        Self { path: folder.map(|folder| folder.join(format!("{name}.json"))), key }
    }

    /// Reads what was kept; anything unreadable, or read with other options, counts as nothing.
    pub(super) fn load(&self) -> CachedSource {
        let read = |path: &PathBuf| -> Option<CachedSource> {
            serde_json::from_slice(&std::fs::read(path).ok()?)
                .ok()
                .filter(|cached: &CachedSource| cached.key == self.key)
        };
        self.path
            .as_ref()
            .and_then(read)
            .unwrap_or_else(|| CachedSource { key: self.key.clone(), ..CachedSource::default() })
    }

    /// Keeps the facts. A failure costs only speed, so it is logged and passed over.
    pub(super) fn save(&self, cached: &CachedSource) {
        let Some(path) = &self.path else { return };
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            // Written aside and renamed, so that another process never reads half of it.
            let aside = path.with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&aside, serde_json::to_vec(cached)?)?;
            std::fs::rename(&aside, path)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), %error, "could not keep the catalog");
        }
    }
}
