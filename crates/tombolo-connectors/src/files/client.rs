//! The store that holds the files: local disk or an object store, behind one interface.

pub(super) mod pinned;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tombolo_connector::{Error, ErrorCode, Result};

use self::pinned::PinnedStore;
use super::config::{FilesConfig, Location, S3Config, is_glob};

/// Footers of Parquet files that are kept between queries.
const FOOTER_CACHE_BYTES: usize = 32 << 20;

/// The store of one source.
#[derive(Clone)]
pub(super) struct FileStore {
    /// The source's name in the config.
    pub(super) source: Arc<str>,
    pub(super) store: Arc<dyn ObjectStore>,
    /// Under which the store is registered for DataFusion's readers. It is the source's own, since two sources may reach
    /// buckets of one name at different endpoints.
    pub(super) url: ObjectStoreUrl,
    /// Footers by path; the source's own for the same reason.
    pub(super) footers: Arc<FileMetadataCache>,
    /// What stands before a path when it is shown.
    display: String,
}

/// What stands where the source points.
pub(super) enum Place {
    /// One file.
    File(ObjectMeta),
    /// A folder or a prefix.
    Folder(Path),
    /// A pattern, and the folder above its first wildcard.
    Glob { base: Path, pattern: String },
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("display", &self.display).finish_non_exhaustive()
    }
}

impl FileStore {
    /// Sets the store up; reaches nothing.
    pub(super) fn try_new(config: &FilesConfig) -> Result<Self> {
        let (store, display): (Arc<dyn ObjectStore>, String) = match &config.location {
            Location::Local(_) => (Arc::new(LocalFileSystem::new()), "/".to_owned()),
            Location::S3 { bucket, .. } => (Arc::new(s3(bucket, &config.s3)?), format!("s3://{bucket}/")),
        };
        let mut hasher = DefaultHasher::new();
        (&config.source, &display, &config.s3.endpoint, &config.s3.access_key_id_env).hash(&mut hasher);
        let url = ObjectStoreUrl::parse(format!("tombolo-files://{:016x}", hasher.finish()))
            .map_err(|error| Error::internal("the store's own address is not a URL").with_cause(error))?;
        let footers = DefaultCache::new(FOOTER_CACHE_BYTES).with_name("tombolo files");
        Ok(Self { source: config.source.as_str().into(), store, url, footers: Arc::new(footers), display })
    }

    /// Makes the store known to DataFusion's readers of one query.
    pub(super) fn register(&self, runtime: &RuntimeEnv) {
        // Without versions, so that it only tells what is read.
        let store = PinnedStore::new(&self.source, Arc::clone(&self.store), [], false);
        runtime.register_object_store(self.url.as_ref(), Arc::new(store));
    }

    /// A path as the user knows it.
    pub(super) fn show(&self, path: &Path) -> String {
        format!("{}{path}", self.display)
    }

    /// A pattern as the user knows it.
    pub(super) fn show_pattern(&self, pattern: &str) -> String {
        format!("{}{pattern}", self.display)
    }

    /// Looks what stands where the source points.
    ///
    /// # Errors
    /// [`ErrorCode::SourceUnavailable`] where nothing does.
    pub(super) async fn locate(&self, config: &FilesConfig) -> Result<Place> {
        match &config.location {
            Location::Local(path) => locate_local(path).await,
            Location::S3 { prefix, .. } if is_glob(prefix) => {
                let (base, _) = split_glob(prefix);
                Ok(Place::Glob { base: Path::from(base), pattern: prefix.clone() })
            }
            Location::S3 { prefix, .. } => {
                let path = Path::from(prefix.as_str());
                if !prefix.is_empty() {
                    match self.store.head(&path).await {
                        Ok(meta) => return Ok(Place::File(meta)),
                        Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(self.unavailable(&path, error)),
                    }
                }
                let listed =
                    self.store.list_with_delimiter(Some(&path)).await.map_err(|e| self.unavailable(&path, e))?;
                if !prefix.is_empty() && listed.objects.is_empty() && listed.common_prefixes.is_empty() {
                    return Err(missing(&self.show(&path)));
                }
                Ok(Place::Folder(path))
            }
        }
    }

    /// The files and folders directly in a folder, by name.
    pub(super) async fn list_folder(&self, folder: &Path) -> Result<(Vec<ObjectMeta>, Vec<Path>)> {
        let listed = self.store.list_with_delimiter(Some(folder)).await.map_err(|e| self.unavailable(folder, e))?;
        let (mut files, mut folders) = (listed.objects, listed.common_prefixes);
        files.sort_by(|left, right| left.location.cmp(&right.location));
        folders.sort();
        Ok((files, folders))
    }

    /// All files below a folder, by name.
    pub(super) async fn list_below(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let mut files: Vec<ObjectMeta> =
            self.store.list(Some(folder)).try_collect().await.map_err(|e| self.unavailable(folder, e))?;
        files.sort_by(|left, right| left.location.cmp(&right.location));
        Ok(files)
    }

    /// One file's size and age.
    pub(super) async fn head(&self, path: &Path) -> Result<ObjectMeta> {
        self.store.head(path).await.map_err(|error| self.failed(path, error))
    }

    /// The error for a store that does not answer.
    fn unavailable(&self, path: &Path, error: object_store::Error) -> Error {
        use object_store::Error as Store;
        let shown = self.show(path);
        let (code, message, hint) = match &error {
            Store::NotFound { .. } => return missing(&shown).with_cause(error),
            Store::Unauthenticated { .. } => (
                ErrorCode::AuthenticationFailed,
                format!("the object store refused the credentials for `{shown}`"),
                "Check the variables that `access_key_id_env` and `secret_access_key_env` name, and the region.",
            ),
            Store::PermissionDenied { .. } => (
                ErrorCode::PermissionDenied,
                format!("not permitted to read `{shown}`"),
                "Check the permissions of the file, or of the key in the object store.",
            ),
            _ => (
                ErrorCode::SourceUnavailable,
                format!("cannot read `{shown}`"),
                "Check the path, or the endpoint, region and credentials of the object store.",
            ),
        };
        Error::new(code, message).with_detail(error.to_string()).with_hint(hint).with_cause(error)
    }

    /// The error for a file that was there and cannot be read now.
    pub(super) fn failed(&self, path: &Path, error: object_store::Error) -> Error {
        match error {
            object_store::Error::NotFound { .. } => vanished(&self.show(path)).with_cause(error),
            object_store::Error::Precondition { .. } => replaced(&self.show(path)).with_cause(error),
            error => self.unavailable(path, error),
        }
    }
}

/// The error for a file that was there when its table was described.
pub(super) fn vanished(shown: &str) -> Error {
    Error::new(ErrorCode::SourceFailed, format!("`{shown}` is no longer there"))
        .with_hint("It was removed or renamed while it was in use; run the query again.")
        .retryable()
}

/// The error for a file that is another than the one that was planned.
pub(super) fn replaced(shown: &str) -> Error {
    Error::new(ErrorCode::SourceFailed, format!("`{shown}` was changed while it was in use"))
        .with_hint("Run the query again when the file is written.")
        .retryable()
}

fn missing(shown: &str) -> Error {
    Error::new(ErrorCode::SourceUnavailable, format!("there is nothing at `{shown}`"))
        .with_hint("Check the path; a relative one is taken from the folder of the config file.")
}

async fn locate_local(path: &std::path::Path) -> Result<Place> {
    let shown = path.display().to_string();
    let absolute = |path: std::path::PathBuf| {
        Path::from_absolute_path(&path).map_err(|error| {
            Error::new(ErrorCode::ConfigInvalid, format!("the path `{}` cannot be used", path.display()))
                .with_hint("Use a path of valid UTF-8 without control characters.")
                .with_cause(error)
        })
    };
    // A name that exists is meant as it stands, even with a bracket in it.
    match tokio::fs::canonicalize(path).await {
        Ok(found) => {
            let metadata = tokio::fs::metadata(&found).await.map_err(|error| unreadable(&shown, error))?;
            let location = absolute(found)?;
            if metadata.is_dir() {
                return Ok(Place::Folder(location));
            }
            let meta = LocalFileSystem::new().head(&location).await;
            Ok(Place::File(meta.map_err(|error| unreadable(&shown, error))?))
        }
        Err(_) if is_glob(&shown) => {
            let (base, rest) = split_glob(&shown);
            let base = if base.is_empty() && !shown.starts_with('/') { "." } else { base };
            let base = if base.is_empty() { "/" } else { base };
            let found = tokio::fs::canonicalize(base).await.map_err(|_| missing(base))?;
            let base = absolute(found)?;
            Ok(Place::Glob { pattern: format!("{}/{rest}", glob::Pattern::escape(base.as_ref())), base })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(&shown)),
        Err(error) => Err(unreadable(&shown, error)),
    }
}

fn unreadable(shown: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorCode::SourceUnavailable, format!("cannot read `{shown}`"))
        .with_detail(error.to_string())
        .with_hint("Check that the path exists and that you may read it.")
        .with_cause(error)
}

/// Splits a pattern before the first part that has a wildcard.
fn split_glob(pattern: &str) -> (&str, &str) {
    let wildcard = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    match pattern[..wildcard].rfind('/') {
        Some(slash) => (&pattern[..slash], &pattern[slash + 1..]),
        None => ("", pattern),
    }
}

fn s3(bucket: &str, config: &S3Config) -> Result<object_store::aws::AmazonS3> {
    let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
    let allow_http = config.allow_http || std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value == "true");
    let client = ClientOptions::new().with_connect_timeout(Duration::from_secs(5)).with_allow_http(allow_http);
    let mut builder =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client).with_retry(retry);
    if config.anonymous {
        builder = builder.with_skip_signature(true);
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(name) = &config.access_key_id_env {
        builder = builder.with_access_key_id(variable("access_key_id_env", name)?);
    }
    if let Some(name) = &config.secret_access_key_env {
        builder = builder.with_secret_access_key(variable("secret_access_key_env", name)?);
    }
    if let Some(name) = &config.session_token_env {
        builder = builder.with_token(variable("session_token_env", name)?);
    }
    builder.build().map_err(|error| {
        // The store's own text may repeat the settings, so only its kind is kept.
        Error::new(ErrorCode::ConfigInvalid, format!("the object store of bucket `{bucket}` cannot be set up"))
            .with_hint("Check `endpoint`, `region`, `allow_http` and the credentials.")
            .with_cause(error)
    })
}

fn variable(option: &str, name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| {
        Error::new(ErrorCode::ConfigInvalid, format!("the environment variable `{name}` of `{option}` is not set"))
            .with_hint(format!("Set `{name}`, or name another variable in `{option}`."))
    })
}
