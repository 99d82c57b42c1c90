//! Which tables there are, which files each one has, and what is known of it.

pub(super) mod partition;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use object_store::ObjectMeta;
use object_store::path::Path;
use tombolo_connector::{
    ColumnDescription, ColumnStatistics, Error, ErrorCode, Result, RowCount, TableDescription, TableKind, TableRef,
    nearest_name,
};

use self::partition::PartitionColumn;
use super::client::{FileStore, Place};
use super::config::{FilesConfig, SCHEMA};
use super::scan::format;
use super::types::{Format, format_of, split_compression, type_name};

/// A table by name, with where its files are.
#[derive(Debug, Clone)]
pub(super) struct TableEntry {
    pub(super) name: String,
    place: EntryPlace,
}

#[derive(Debug, Clone)]
enum EntryPlace {
    File(ObjectMeta),
    Folder(Path),
    Glob { base: Path, pattern: String },
}

/// One file of a table.
#[derive(Debug, Clone)]
pub(super) struct DataFile {
    pub(super) meta: ObjectMeta,
    pub(super) compression: FileCompressionType,
    /// The values of the `k=v` folders above it, in the order of the table's partition columns.
    pub(super) partitions: Vec<Option<String>>,
}

/// The files of one table.
#[derive(Debug, Clone)]
pub(super) struct TableFiles {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) files: Vec<DataFile>,
    pub(super) partitions: Vec<PartitionColumn>,
    /// What stands for all of the files when the table is shown: a file, a folder or a pattern.
    pub(super) shown: String,
}

impl TableFiles {
    /// Changes whenever a file of the table does.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for file in &self.files {
            let meta = &file.meta;
            (meta.location.as_ref(), meta.size, meta.last_modified.timestamp_nanos_opt(), &meta.e_tag)
                .hash(&mut hasher);
        }
        format!("{}-{:016x}", self.files.len(), hasher.finish())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.meta.size).sum()
    }
}

/// Finds the tables. The names of two files that differ only in their extension are kept whole, so both can be reached.
pub(super) async fn discover(store: &FileStore, config: &FilesConfig) -> Result<Vec<TableEntry>> {
    let one = |name: String, place| vec![TableEntry { name: config.table.clone().unwrap_or(name), place }];
    match store.locate(config).await? {
        Place::File(meta) => {
            let name = file_name(&meta.location);
            let stem = stem_of(name, config).unwrap_or(split_compression(name).0).to_owned();
            Ok(one(stem, EntryPlace::File(meta)))
        }
        Place::Glob { base, pattern } => Ok(one(glob_name(&pattern, &base), EntryPlace::Glob { base, pattern })),
        Place::Folder(folder) if config.table.is_some() => Ok(one(String::new(), EntryPlace::Folder(folder))),
        Place::Folder(folder) => {
            let (files, folders) = store.list_folder(&folder).await?;
            if folders.iter().any(|folder| partition::key_value(file_name(folder)).is_some()) {
                // The folder holds partitions: it is itself the table, as Hive and Spark write it.
                return Ok(one(file_name(&folder).to_owned(), EntryPlace::Folder(folder)));
            }
            Ok(folder_tables(store, config, files, folders).await?)
        }
    }
}

async fn folder_tables(
    store: &FileStore,
    config: &FilesConfig,
    files: Vec<ObjectMeta>,
    folders: Vec<Path>,
) -> Result<Vec<TableEntry>> {
    let mut found: Vec<(String, String, EntryPlace)> = Vec::new();
    for meta in files {
        let name = file_name(&meta.location).to_owned();
        if let Some(stem) = stem_of(&name, config).filter(|_| !is_hidden(&name)) {
            found.push((stem.to_owned(), name, EntryPlace::File(meta)));
        }
    }
    for folder in folders {
        let name = file_name(&folder).to_owned();
        if !is_hidden(&name) && holds_parts(store, config, &folder).await? {
            found.push((name.clone(), format!("{name}/"), EntryPlace::Folder(folder)));
        }
    }
    let mut stems: BTreeMap<&str, usize> = BTreeMap::new();
    for (stem, ..) in &found {
        *stems.entry(stem).or_default() += 1;
    }
    let clashes: Vec<&str> = stems.iter().filter(|(_, count)| **count > 1).map(|(stem, _)| *stem).collect();
    if !clashes.is_empty() {
        tracing::warn!(
            source = config.source,
            names = clashes.join(", "),
            "several files have these names; their tables are named by the full file names"
        );
    }
    let clashes: Vec<String> = clashes.into_iter().map(str::to_owned).collect();
    let entries = found.into_iter().map(|(stem, full, place)| {
        let name = if clashes.contains(&stem) { full } else { stem };
        TableEntry { name, place }
    });
    Ok(entries.collect())
}

/// Whether a folder is a table: it has data files in it or in `k=v` folders.
async fn holds_parts(store: &FileStore, config: &FilesConfig, folder: &Path) -> Result<bool> {
    let (files, folders) = store.list_folder(folder).await?;
    let data = files
        .iter()
        .map(|meta| file_name(&meta.location))
        .any(|name| !is_hidden(name) && stem_of(name, config).is_some());
    Ok(data || folders.iter().any(|folder| partition::key_value(file_name(folder)).is_some()))
}

/// Finds a table among those that there are.
pub(super) fn find<'a>(entries: &'a [TableEntry], table: &TableRef) -> Result<&'a TableEntry> {
    let found = (table.schema == SCHEMA).then(|| entries.iter().find(|entry| entry.name == table.table)).flatten();
    found.ok_or_else(|| {
        let error = Error::new(ErrorCode::TableNotFound, format!("there is no file for table `{table}`"));
        match nearest_name(&table.table, entries.iter().map(|entry| entry.name.as_str())) {
            Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
            None => error.with_hint("List the source's tables; a file may have been removed or renamed."),
        }
    })
}

/// Lists the files of one table.
///
/// # Errors
/// [`ErrorCode::InvalidPlan`] where its files are of several formats, or lie in different `k=v` folders.
pub(super) async fn files_of(store: &FileStore, config: &FilesConfig, entry: &TableEntry) -> Result<TableFiles> {
    let (base, metas, shown) = match &entry.place {
        EntryPlace::File(meta) => {
            let base = Path::from_iter(meta.location.parts().take(meta.location.parts().count().saturating_sub(1)));
            (base, vec![store.head(&meta.location).await?], store.show(&meta.location))
        }
        EntryPlace::Folder(folder) => {
            (folder.clone(), below(store, config, folder).await?, format!("{}/", store.show(folder)))
        }
        EntryPlace::Glob { base, pattern } => {
            let matcher = glob::Pattern::new(pattern).map_err(|error| {
                Error::new(ErrorCode::ConfigInvalid, format!("`{pattern}` is not a pattern"))
                    .with_detail(error.to_string())
                    .with_hint("Use * and ? within a name, ** across folders, [abc] for one of several letters.")
            })?;
            let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
            let mut metas = store.list_below(base).await?;
            metas.retain(|meta| {
                matcher.matches_with(meta.location.as_ref(), options) && !hidden_below(base, &meta.location)
            });
            (base.clone(), metas, store.show_pattern(pattern))
        }
    };
    let mut files = Vec::with_capacity(metas.len());
    let mut formats: BTreeMap<Format, String> = BTreeMap::new();
    let mut keys: Option<(Vec<String>, String)> = None;
    for meta in metas {
        let name = file_name(&meta.location).to_owned();
        let (format, compression) = match (config.format, format_of(&name)) {
            (Some(format), _) => (format, split_compression(&name).1),
            (None, Some((format, compression, _))) => (format, compression),
            (None, None) => continue,
        };
        let pairs = partition::pairs_below(&base, &meta.location);
        let names: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let file = store.show(&meta.location);
        match &keys {
            None => keys = Some((names, file.clone())),
            Some((known, other)) if *known != names => {
                return Err(Error::new(
                    ErrorCode::InvalidPlan,
                    format!("the files of table `{}` lie in different partition folders", entry.name),
                )
                .with_detail(format!("`{other}` has [{}], `{file}` has [{}]", known.join(", "), names.join(", ")))
                .with_hint("Move the odd file away, or connect a glob that names only files with the same folders."));
            }
            Some(_) => {}
        }
        formats.entry(format).or_insert(file);
        files.push(DataFile { meta, compression, partitions: pairs.into_iter().map(|(_, value)| value).collect() });
    }
    let format = match formats.keys().collect::<Vec<_>>()[..] {
        [format] => *format,
        [] => {
            return Err(Error::new(ErrorCode::TableNotFound, format!("no file of table `{}` is there", entry.name))
                .with_detail(format!("looked at {shown}"))
                .with_hint("Check the path or the pattern; names end in .parquet, .csv, .json, .jsonl or .arrow."));
        }
        _ => {
            let found: Vec<String> = formats.iter().map(|(format, file)| format!("`{file}` is {format}")).collect();
            return Err(Error::new(
                ErrorCode::InvalidPlan,
                format!("the files of table `{}` are of several formats", entry.name),
            )
            .with_detail(found.join(", "))
            .with_hint("Connect each format by a glob of its own, such as `folder/*.parquet`."));
        }
    };
    let names = keys.map(|(names, _)| names).unwrap_or_default();
    let partitions = partition::columns(&entry.name, &names, &files, config)?;
    Ok(TableFiles { name: entry.name.clone(), format, files, partitions, shown })
}

/// The data files of a folder that is a table. With the `table` option everything below counts; otherwise only the folder
/// itself and its `k=v` folders.
async fn below(store: &FileStore, config: &FilesConfig, folder: &Path) -> Result<Vec<ObjectMeta>> {
    let mut metas = store.list_below(folder).await?;
    metas.retain(|meta| {
        let inner = partition::folders_below(folder, &meta.location);
        !hidden_below(folder, &meta.location)
            && (config.table.is_some() || inner.iter().all(|name| partition::key_value(name).is_some()))
    });
    Ok(metas)
}

/// Describes a table by reading footers, headers or a sample.
pub(super) async fn describe(store: &FileStore, config: &FilesConfig, table: &TableFiles) -> Result<TableDescription> {
    let found = format::describe(store, config, table).await?;
    let schema = with_partitions(&found.schema, &table.partitions);
    let mut seen = BTreeSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(Error::new(
                ErrorCode::InvalidPlan,
                format!("table `{}` has two columns called `{}`", table.name, field.name()),
            )
            .with_detail(table.shown.clone())
            .with_hint("Rename one of them in the file."));
        }
    }
    let text = matches!(table.format, Format::Csv | Format::Json);
    let columns = schema.fields().iter().map(|field| {
        let remote = if text { type_name(field.data_type()) } else { field.data_type().to_string() };
        ColumnDescription::new(Arc::clone(field), remote)
    });
    let mut description =
        TableDescription::new(TableRef::new(SCHEMA, &table.name), TableKind::Files, columns.collect());
    description.statistics.rows = found.rows;
    description.statistics.bytes = Some(table.bytes());
    description.statistics.columns = found.columns;
    for (index, column) in table.partitions.iter().enumerate() {
        let values: BTreeSet<_> = table.files.iter().filter_map(|file| file.partitions.get(index)?.as_ref()).collect();
        let statistics = ColumnStatistics { distinct: Some(values.len() as u64), ..ColumnStatistics::default() };
        description.statistics.columns.insert(column.name.clone(), statistics);
    }
    description.comment = Some(format!("{} {}", table.format, table.shown));
    Ok(description)
}

/// What a format knows of a table.
#[derive(Debug)]
pub(super) struct Found {
    /// The columns in the files.
    pub(super) schema: SchemaRef,
    pub(super) rows: RowCount,
    pub(super) columns: BTreeMap<String, ColumnStatistics>,
}

/// The columns of the files and then those of the folders. A folder's value stands for a file's column of the same name,
/// as Hive and Spark read it.
pub(super) fn with_partitions(files: &SchemaRef, partitions: &[PartitionColumn]) -> SchemaRef {
    let stored = file_fields(files, partitions);
    let folders = partitions.iter().map(|column| Arc::new(column.field()));
    Arc::new(arrow::datatypes::Schema::new(stored.into_iter().chain(folders).collect::<Vec<_>>()))
}

fn file_fields(files: &SchemaRef, partitions: &[PartitionColumn]) -> Vec<Arc<Field>> {
    let hidden = |field: &&Arc<Field>| !partitions.iter().any(|column| column.name == *field.name());
    files.fields().iter().filter(hidden).cloned().collect()
}

/// The part of a file's name that names its table, where the file is data.
fn stem_of<'a>(name: &'a str, config: &FilesConfig) -> Option<&'a str> {
    match (format_of(name), config.format) {
        (Some((_, _, stem)), _) => Some(stem),
        (None, Some(_)) => Some(name),
        (None, None) => None,
    }
}

/// The name of the table that a pattern is: what stands before the first wildcard of the last part, or else of the last
/// part that has letters before its wildcard, or else the folder above.
fn glob_name(pattern: &str, base: &Path) -> String {
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    let literal = match last.find(['*', '?', '[']) {
        Some(at) => last[..at].trim_end_matches(['-', '_', '.', ' ', '=']),
        None => format_of(last).map_or(last, |(_, _, stem)| stem),
    };
    if literal.is_empty() { file_name(base).to_owned() } else { literal.to_owned() }
}

fn file_name(path: &Path) -> &str {
    path.filename().unwrap_or("files")
}

/// Names that Hadoop, Spark and file managers use for what is not data.
fn is_hidden(name: &str) -> bool {
    (name.starts_with(['.', '_']) && partition::key_value(name).is_none()) || name.ends_with(".crc")
}

fn hidden_below(base: &Path, path: &Path) -> bool {
    partition::folders_below(base, path).iter().any(|name| is_hidden(name)) || is_hidden(file_name(path))
}

/// Whether a column of this type is carried as text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
