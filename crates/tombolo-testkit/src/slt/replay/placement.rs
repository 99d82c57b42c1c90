//! Where the tables of a file are placed.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::TableReference;
use tombolo_connector::Result;
use tombolo_engine::{Engine, PushdownRules, QueryOptions, Settings};

use super::loader::{Loader, Snapshot};
use crate::lab::{Answer, FileFolder, Lab, SqliteFile, ask_with};

/// The memory source, which has the name and the schema that tables have in the files.
const MEMORY: &str = "datafusion";
const SCHEMA: &str = "public";

/// The longest that a query may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A kind of source to place tables in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// Batches in memory: everything is computed by the engine.
    Memory,
    /// A SQLite file.
    Sqlite,
    /// A Parquet file for each table.
    Parquet,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Parquet => "parquet",
        })
    }
}

/// The tables that are placed now. What the source cannot hold is in memory beside it.
pub(super) struct Placed {
    placement: Placement,
    sources: Option<Sources>,
}

struct Sources {
    lab: Lab,
    place: Place,
    tables: HashMap<TableReference, (Snapshot, bool)>,
    /// With the time zone that it has.
    engine: Option<(Engine, Option<String>)>,
}

enum Place {
    Memory,
    Sqlite(SqliteFile),
    Parquet(FileFolder),
}

impl Placed {
    pub(super) fn new(placement: Placement) -> Self {
        Self { placement, sources: None }
    }

    /// Begins anew where a placed table is no more what it was.
    pub(super) async fn forget_changed(&mut self, loader: &Loader) {
        let Some(sources) = &self.sources else { return };
        for (snapshot, _) in sources.tables.values() {
            if !loader.is_current(snapshot).await {
                self.sources = None;
                return;
            }
        }
    }

    fn sources(&mut self) -> &mut Sources {
        let placement = self.placement;
        self.sources.get_or_insert_with(|| {
            let mut lab = Lab::new();
            let place = match placement {
                Placement::Memory => Place::Memory,
                Placement::Sqlite => Place::Sqlite(lab.sqlite("sqlite")),
                Placement::Parquet => Place::Parquet(lab.files("parquet")),
            };
            // Memory is there even where nothing is in it, for the queries that name it.
            let nothing = RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty()));
            lab.memory(MEMORY, SCHEMA, "\u{0}", vec![nothing]);
            Sources { lab, place, tables: HashMap::new(), engine: None }
        })
    }

    /// Places a table, if it is not placed already.
    pub(super) fn place(&mut self, snapshot: Snapshot) {
        let sources = self.sources();
        if sources.tables.contains_key(&snapshot.name) {
            return;
        }
        sources.engine = None;
        let name = snapshot.name.table();
        let batches = vec![snapshot.batch.clone()];
        // A qualified name is looked for as it is.
        let bare = snapshot.name.schema().is_none();
        let placed = bare
            && match &sources.place {
                Place::Memory => false,
                Place::Sqlite(file) => {
                    let fits = sqlite_can_hold(&snapshot.batch);
                    if fits {
                        file.table(name, &[], &batches);
                    }
                    fits
                }
                Place::Parquet(folder) => {
                    parquet_can_hold(&snapshot.batch) && folder.try_parquet(name, 1024, &batches).is_ok()
                }
            };
        if !placed {
            let source = snapshot.name.catalog().unwrap_or(MEMORY);
            let schema = snapshot.name.schema().unwrap_or(SCHEMA);
            sources.lab.memory(source, schema, name, batches);
        }
        sources.tables.insert(snapshot.name.clone(), (snapshot, placed));
    }

    /// Asks Tombolo with nothing pushed into the source.
    pub(super) async fn ask_unpushed(&mut self, sql: &str, time_zone: Option<String>) -> Result<Answer> {
        let path = self.search_path();
        let lab = &self.sources().lab;
        let engine = lab.engine_with(Settings { time_zone, pushdown: PushdownRules::NONE, ..lab.settings() });
        ask_with(&engine, sql, options(path)).await
    }

    fn search_path(&self) -> Vec<String> {
        match self.placement {
            Placement::Memory => vec![MEMORY.to_owned()],
            other => vec![other.to_string(), MEMORY.to_owned()],
        }
    }

    /// Asks Tombolo, in a time zone.
    pub(super) async fn ask(&mut self, sql: &str, time_zone: Option<String>) -> Result<Answer> {
        let path = self.search_path();
        let sources = self.sources();
        if sources.engine.as_ref().is_some_and(|(_, known)| *known != time_zone) {
            sources.engine = None;
        }
        let lab = &sources.lab;
        let (engine, _) = sources.engine.get_or_insert_with(|| {
            let settings = Settings { time_zone: time_zone.clone(), ..lab.settings() };
            (lab.engine_with(settings), time_zone)
        });
        ask_with(engine, sql, options(path)).await
    }
}

fn options(search_path: Vec<String>) -> QueryOptions {
    QueryOptions { timeout: Some(TIME_LIMIT), search_path, allow_cartesian: true, ..QueryOptions::default() }
}

/// Whether the writer of Parquet can be asked at all: of a union it does not say that it cannot write it.
fn parquet_can_hold(batch: &RecordBatch) -> bool {
    !batch.schema().flattened_fields().iter().any(|field| matches!(field.data_type(), DataType::Union(..)))
}

/// Whether SQLite can hold every value of a table.
fn sqlite_can_hold(batch: &RecordBatch) -> bool {
    let schema = batch.schema();
    let mut names: Vec<String> = schema.fields().iter().map(|field| field.name().to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let distinct = names.len() == schema.fields().len() && !names.is_empty() && !names.iter().any(String::is_empty);
    distinct && batch.columns().iter().all(|column| sqlite_can_hold_column(column))
}

fn sqlite_can_hold_column(column: &dyn Array) -> bool {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    match column.data_type() {
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        integer if integer.is_integer() => cast_with_options(column, &DataType::Int64, &strict).is_ok(),
        DataType::Float32 | DataType::Float64 => {
            let floats = cast_with_options(column, &DataType::Float64, &strict).unwrap();
            // SQLite stores no NaN.
            !floats.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan)
        }
        DataType::Decimal128(precision, scale) => *precision <= 15 && *scale >= 0,
        DataType::Date32 => years_are_plain(column),
        DataType::Timestamp(unit, _) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
            let fits = *unit != TimeUnit::Nanosecond || {
                let there = cast_with_options(column, &micros, &strict).unwrap();
                let zoned = cast_with_options(&there, column.data_type(), &strict);
                zoned.is_ok_and(|back| back.to_data() == column.to_data())
            };
            fits && years_are_plain(column)
        }
        _ => false,
    }
}

/// Whether all years have four digits, as in the text that SQLite holds.
fn years_are_plain(column: &dyn Array) -> bool {
    let Ok(text) = cast_with_options(column, &DataType::Utf8, &CastOptions::default()) else { return false };
    let texts = text.as_string::<i32>();
    let plain =
        texts.iter().flatten().all(|text| text.as_bytes().get(4) == Some(&b'-') && !text.starts_with(['-', '+']));
    plain && texts.null_count() == column.logical_null_count()
}
