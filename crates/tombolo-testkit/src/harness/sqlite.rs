use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit};
use async_trait::async_trait;
use tempfile::TempDir;
use tombolo_connector::{ErrorCode, Options, Registry};

use super::{
    Carriage, Evidence, Harness, Outage, RemoteEvent, Site, as_text, cast_exactly, shown_in_sql, unchanged, widened,
};
use crate::fixtures::Fixture;
use crate::lab::SqliteFile;

/// SQLite, loaded through its own library. Its log is what SQLite says each statement was that it compiled.
#[derive(Debug, Clone, Copy)]
pub struct SqliteHarness;

/// The most digits of a decimal that SQLite's floats carry without loss.
const MAX_DECIMAL_DIGITS: u8 = 15;

const NO_NAN: &str = "SQLite stores a NaN as NULL and a negative zero as zero";
const AS_TEXT: &str = "SQLite has no such type: kept as text";

#[async_trait]
impl Harness for SqliteHarness {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn connector(&self) -> &'static str {
        "sqlite"
    }

    fn title(&self) -> &'static str {
        "SQLite"
    }

    fn refuses_table(&self, fixture: &Fixture) -> Option<&'static str> {
        (fixture.name == "case twins").then_some("SQLite tells no two columns apart whose names differ in case alone")
    }

    fn carriage(&self, _fixture: &Fixture, _field: &Field, values: &ArrayRef) -> Carriage {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        match values.data_type() {
            DataType::UInt64 => texts(values),
            integer if integer.is_integer() => widened(values, &DataType::Int64),
            float if float.is_floating() => floats(values),
            DataType::Decimal128(precision, _) if *precision <= MAX_DECIMAL_DIGITS => unchanged(values),
            DataType::Decimal128(..) | DataType::Decimal256(..) => texts(values),
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => widened(values, &DataType::Utf8),
            DataType::FixedSizeBinary(_) => widened(values, &DataType::Binary),
            DataType::Date64 => widened(values, &DataType::Date32),
            // Nanoseconds would have to be cut, so the connector refuses them.
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Carriage::Refused(ErrorCode::InvalidValue),
            DataType::Timestamp(_, None) => widened(values, &micros(None)),
            DataType::Timestamp(_, Some(_)) => widened(values, &micros(Some("UTC"))),
            DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) => texts(values),
            DataType::List(_) | DataType::Struct(_) => Carriage::NotHeld("SQLite has no nested values"),
            _ => unchanged(values),
        }
    }

    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> Result<Box<dyn Site>, String> {
        let folder = TempDir::new().unwrap();
        let file = SqliteFile::create(folder.path().join(format!("{source}.db")));
        for fixture in fixtures.iter().filter(|fixture| self.refuses_table(fixture).is_none()) {
            file.table(fixture.name, fixture.primary_key, &[self.stored(fixture)]);
        }
        file.execute("PRAGMA optimize");
        Ok(Box::new(SqliteSite { _folder: folder, path: file.path().to_owned(), file: Mutex::new(file) }))
    }

    async fn outages(&self, folder: &Path) -> Vec<Outage> {
        let outage = |name, path: &Path, code| Outage {
            name,
            registry: tombolo_connectors::registry(),
            options: Options::default().with("path", path.to_str().unwrap()),
            statement: "SELECT id FROM broken.customers",
            code,
            is_retryable: false,
            held: None,
        };
        let nonsense = folder.join("nonsense.db");
        std::fs::write(
            &nonsense,
            "this is not a database file, however long the text that it holds may be. ".repeat(20),
        )
        .unwrap();
        let cut = folder.join("cut.db");
        let whole = SqliteFile::create(folder.join("whole.db"));
        whole.table("customers", &["id"], &[self.stored(crate::fixtures::named("customers"))]);
        let bytes = std::fs::read(whole.path()).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() - 5_000]).unwrap();
        let locked = SqliteFile::create(folder.join("locked.db"));
        locked.table("customers", &["id"], &[self.stored(crate::fixtures::named("customers"))]);
        locked.execute("BEGIN EXCLUSIVE");
        let options = Options::default().with("path", locked.path().to_str().unwrap()).with("busy_timeout", "100ms");
        let busy = outage("locked by another program", locked.path(), ErrorCode::SourceBusy);
        let busy = Outage { options, is_retryable: true, held: Some(Box::new(Mutex::new(locked))), ..busy };
        vec![
            outage("missing", &folder.join("gone.db"), ErrorCode::SourceUnavailable),
            outage("a folder", folder, ErrorCode::SourceUnavailable),
            outage("not a database", &nonsense, ErrorCode::CorruptData),
            outage("cut off", &cut, ErrorCode::CorruptData),
            busy,
        ]
    }
}

impl SqliteHarness {
    /// What is written to the file: what must come back, and what must be refused as it is.
    fn stored(&self, fixture: &Fixture) -> RecordBatch {
        let batch = fixture.batch();
        let columns = fixture.schema.fields().iter().zip(batch.columns()).filter_map(|(field, values)| {
            let stored = match self.carriage(fixture, field, values) {
                Carriage::Carried { expected, .. } => expected,
                Carriage::Refused(_) => Arc::clone(values),
                Carriage::NotHeld(_) => return None,
            };
            Some((Field::new(field.name(), stored.data_type().clone(), field.is_nullable()), stored))
        });
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }
}

fn texts(values: &ArrayRef) -> Carriage {
    Carriage::Carried { expected: as_text(values), note: AS_TEXT }
}

fn floats(values: &ArrayRef) -> Carriage {
    let wide = cast_floats(values);
    let kept = |number: f64| if number.is_nan() { None } else { Some(if number == 0.0 { 0.0 } else { number }) };
    let expected: Float64Array = wide.iter().map(|number| number.and_then(kept)).collect();
    let changed = wide.iter().flatten().any(|number| number.is_nan() || (number == 0.0 && number.is_sign_negative()));
    Carriage::Carried { expected: Arc::new(expected), note: if changed { NO_NAN } else { "" } }
}

fn cast_floats(values: &ArrayRef) -> Float64Array {
    cast_exactly(values, &DataType::Float64).as_primitive::<Float64Type>().clone()
}

#[derive(Debug)]
struct SqliteSite {
    /// Removed with the site.
    _folder: TempDir,
    path: PathBuf,
    file: Mutex<SqliteFile>,
}

impl SqliteSite {
    fn execute(&self, sql: &str) {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).execute(sql);
    }
}

#[async_trait]
impl Site for SqliteSite {
    fn registry(&self) -> Registry {
        tombolo_connectors::registry()
    }

    fn options(&self) -> Options {
        Options::default().with("path", self.path.to_str().unwrap())
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String> {
        shown_in_sql(log, evidence)
    }

    async fn drop_table(&mut self, table: &str) -> Result<(), String> {
        self.execute(&format!("DROP TABLE \"{table}\""));
        Ok(())
    }

    async fn add_column(&mut self, table: &str) -> Result<(), String> {
        self.execute(&format!("ALTER TABLE \"{table}\" ADD COLUMN added INTEGER DEFAULT 7"));
        Ok(())
    }
}
