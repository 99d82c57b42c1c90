//! A store that gives out only the files that were planned.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, coalesce_ranges,
};

use crate::REMOTE_LOG;

/// Reads each file only as long as it is the version that a scan was planned for.
///
/// A Parquet file is read in many requests by the offsets of its footer; were it replaced between two of them, the rows
/// could be wrong without any error. Every request therefore names the version (its entity tag). It writes nothing.
#[derive(Debug)]
pub(in crate::files) struct PinnedStore {
    source: String,
    inner: Arc<dyn ObjectStore>,
    versions: HashMap<Path, String>,
    local: bool,
}

impl PinnedStore {
    pub(in crate::files) fn new<'a>(
        source: &str,
        inner: Arc<dyn ObjectStore>,
        files: impl IntoIterator<Item = &'a ObjectMeta>,
        local: bool,
    ) -> Self {
        let versions = files.into_iter().filter_map(|meta| Some((meta.location.clone(), meta.e_tag.clone()?)));
        Self { source: source.to_owned(), inner, versions: versions.collect(), local }
    }

    fn pinned(&self, location: &Path, options: GetOptions) -> GetOptions {
        GetOptions { if_match: self.versions.get(location).cloned().or(options.if_match), ..options }
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "planned files of {}", self.inner)
    }
}

fn read_only() -> object_store::Error {
    object_store::Error::NotImplemented { operation: "write".to_owned(), implementer: "PinnedStore".to_owned() }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, self.pinned(location, options)).await?;
        log_read(&self.source, location, &found.range);
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if !self.local {
            return coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT)
                .await;
        }
        // On disk the ranges are read at once from one open file. That it was the planned one is looked at afterwards: a
        // file that is replaced later cannot have changed what was read.
        let read = self.inner.get_ranges(location, ranges).await;
        ranges.iter().for_each(|range| log_read(&self.source, location, range));
        self.inner.get_opts(location, self.pinned(location, GetOptions::new().with_head(true))).await?;
        read
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.and_then(|_| std::future::ready(Err(read_only()))).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

/// Tells the remote log which bytes of a file were read.
fn log_read(source: &str, path: &Path, range: &Range<u64>) {
    tracing::debug!(target: REMOTE_LOG, source, event = "read", text = format!("{path} {}..{}", range.start, range.end));
}

/// The bytes of one planned file from its start to its end.
pub(in crate::files) async fn stream_file(
    source: &str,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let options = GetOptions { if_match: meta.e_tag.clone(), ..GetOptions::default() };
    let found = store.get_opts(&meta.location, options).await?;
    log_read(source, &meta.location, &found.range);
    let object_store::GetResultPayload::File(file, path) = found.payload else { return Ok(found.into_stream()) };
    // The store's own stream reads 8 KB at a time, each on another thread.
    let chunks = stream::try_unfold(file, move |mut file| {
        let path = path.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut chunk = Vec::with_capacity(LOCAL_CHUNK_BYTES);
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, LOCAL_CHUNK_BYTES as u64), &mut chunk)?;
                std::io::Result::Ok((chunk, file))
            });
            let failed = |source| object_store::Error::Generic { store: "local disk", source };
            let (chunk, file) = match read.await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => return Err(failed(format!("{}: {error}", path.display()).into())),
                Err(error) => return Err(failed(error.into())),
            };
            Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), file)))
        }
    });
    Ok(chunks.boxed())
}

/// Bytes of a local file that are read at once.
const LOCAL_CHUNK_BYTES: usize = 1 << 20;
