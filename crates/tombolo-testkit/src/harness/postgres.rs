use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tombolo_connector::{ErrorCode, Options, Registry};
use tombolo_connectors::postgres::PostgresFactory;

use super::{
    Carriage, Evidence, Harness, Outage, RemoteEvent, RemoteLog, Site, cast_exactly, shown_in_sql, unchanged, widened,
};
use crate::fixtures::Fixture;

/// PostgreSQL, loaded through another driver. Its log is the server's own.
#[derive(Debug, Clone, Copy)]
pub struct PostgresHarness {
    /// A word for the server.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// The environment variable with its URL.
    pub variable: &'static str,
    /// What a database is made with: its collation.
    pub database: &'static str,
}

impl PostgresHarness {
    /// Debian's, with a collation for people: text is sorted by language.
    pub const DEBIAN: Self = Self {
        name: "postgres",
        title: "PostgreSQL 15, sorted by language",
        variable: "TOMBOLO_TEST_POSTGRES_URL",
        database: "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    };

    /// A newer one, with the collation of its cluster.
    pub const NEWER: Self = Self {
        name: "postgres18",
        title: "PostgreSQL 18, sorted by code point",
        variable: "TOMBOLO_TEST_POSTGRES18_URL",
        database: "TEMPLATE template0 LOCALE 'C'",
    };

    fn config(&self) -> Result<Config, String> {
        let url = std::env::var(self.variable).map_err(|_| format!("{} is not set", self.variable))?;
        url.parse().map_err(|error| format!("{}: {error}", self.variable))
    }
}

const NO_LOG: &str =
    "the server keeps no log of its statements: start it with logging_collector=on and log_statement=all";
const NO_NANOSECONDS: &str = "PostgreSQL keeps microseconds";

#[async_trait]
impl Harness for PostgresHarness {
    fn name(&self) -> &'static str {
        self.name
    }

    fn connector(&self) -> &'static str {
        "postgres"
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn missing(&self) -> Option<String> {
        std::env::var_os(self.variable).is_none().then(|| format!("{} is not set", self.variable))
    }

    fn carriage(&self, _fixture: &Fixture, _field: &Field, values: &ArrayRef) -> Carriage {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        match values.data_type() {
            DataType::Int8 | DataType::UInt8 => widened(values, &DataType::Int16),
            DataType::UInt16 => widened(values, &DataType::Int32),
            DataType::UInt32 => widened(values, &DataType::Int64),
            DataType::UInt64 => widened(values, &DataType::Decimal128(20, 0)),
            DataType::Float16 => widened(values, &DataType::Float32),
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => widened(values, &DataType::Utf8),
            DataType::FixedSizeBinary(_) => widened(values, &DataType::Binary),
            DataType::Date64 => widened(values, &DataType::Date32),
            DataType::Time32(TimeUnit::Second) => {
                widened(&cast_exactly(values, &DataType::Time32(TimeUnit::Millisecond)), &TIME)
            }
            DataType::Time32(_) => widened(values, &TIME),
            DataType::Time64(TimeUnit::Nanosecond) | DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Carriage::NotHeld(NO_NANOSECONDS)
            }
            DataType::Timestamp(_, None) => widened(values, &micros(None)),
            DataType::Timestamp(_, Some(_)) => widened(values, &micros(Some("UTC"))),
            DataType::Interval(IntervalUnit::MonthDayNano) => Carriage::NotHeld(NO_NANOSECONDS),
            DataType::Interval(_) => Carriage::Carried { expected: interval(values), note: "" },
            DataType::Struct(_) => Carriage::NotHeld("a composite type is carried as text"),
            DataType::List(item) if item.data_type().is_nested() => {
                Carriage::NotHeld("a composite type is carried as text")
            }
            DataType::Null => Carriage::NotHeld("PostgreSQL has no type of nulls alone"),
            _ => unchanged(values),
        }
    }

    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> Result<Box<dyn Site>, String> {
        let site = self.empty(source).await?;
        for fixture in fixtures {
            for statement in self.statements(fixture) {
                execute(&site.session, &statement).await?;
            }
        }
        execute(&site.session, "ANALYZE").await?;
        Ok(Box::new(site))
    }

    async fn outages(&self, _folder: &Path) -> Vec<Outage> {
        let Ok(config) = self.config() else { return Vec::new() };
        let outage = |name, options: Options, code, is_retryable| Outage {
            name,
            registry: registry(),
            options,
            statement: "SELECT id FROM broken.customers",
            code,
            is_retryable,
            held: None,
        };
        let options = || options(&config);
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        vec![
            outage("nobody listens", options().with("port", i64::from(free)), ErrorCode::SourceUnavailable, true),
            outage("a wrong password", options().with("password", "wrong"), ErrorCode::AuthenticationFailed, false),
            outage("no such user", options().with("user", "nobody_here"), ErrorCode::AuthenticationFailed, false),
            outage("no such database", options().with("database", "missing"), ErrorCode::SourceUnavailable, false),
            outage(
                "a certificate of nobody known",
                options().with("tls", "verify"),
                ErrorCode::SourceUnavailable,
                false,
            ),
        ]
    }
}

const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);

fn registry() -> Registry {
    Registry::default().with(Arc::new(PostgresFactory))
}

fn options(config: &Config) -> Options {
    let host = match config.get_hosts() {
        [tokio_postgres::config::Host::Tcp(host), ..] => host.clone(),
        _ => "localhost".to_owned(),
    };
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    Options::default()
        .with("host", host)
        .with("port", i64::from(config.get_ports().first().copied().unwrap_or(5432)))
        .with("user", config.get_user().unwrap_or("postgres"))
        .with("password", password)
        .with("database", config.get_dbname().unwrap_or("postgres"))
        .with("tls", "off")
}

/// A client, and the task that its driver works in.
struct Session {
    client: Client,
    _driver: JoinSet<()>,
}

async fn connect(config: &Config) -> Result<Session, String> {
    let connected = config.connect(NoTls).await;
    let (client, connection) =
        connected.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string))?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // What goes wrong is told to the client too.
        let _ = connection.await;
    });
    Ok(Session { client, _driver: driver })
}

async fn execute(session: &Session, sql: &str) -> Result<(), String> {
    let shown: String = sql.chars().take(200).collect();
    session.client.batch_execute(sql).await.map_err(|error| match error.as_db_error() {
        Some(said) => format!("{said} in {shown}"),
        None => format!("{error} in {shown}"),
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn interval(values: &ArrayRef) -> ArrayRef {
    arrow::compute::cast(values, &DataType::Interval(IntervalUnit::MonthDayNano)).unwrap()
}

impl PostgresHarness {
    /// Makes a database without tables.
    ///
    /// # Errors
    /// Why the server is not there.
    pub async fn empty(&self, source: &str) -> Result<PostgresSite, String> {
        static DATABASES: AtomicUsize = AtomicUsize::new(1);
        let mut config = self.config()?;
        let admin = connect(&config).await?;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = format!("tombolo_{}_{source}_{number}", std::process::id());
        execute(&admin, &format!("CREATE DATABASE {} {}", quoted(&database), self.database)).await?;
        config.dbname(&database);
        let session = connect(&config).await?;
        let authority = std::env::var(self.variable.replace("_URL", "_CA")).ok();
        let site = PostgresSite { config, database, session, log: Mutex::default(), authority };
        // What other tests have written before is not read.
        let size = site.one("SELECT size FROM pg_stat_file(pg_current_logfile())").await;
        site.log.lock().await.read_bytes = size.and_then(|size| size.parse().ok()).ok_or(NO_LOG)?;
        Ok(site)
    }

    /// What makes a fixture's table, and fills it.
    fn statements(&self, fixture: &Fixture) -> Vec<String> {
        let batch = fixture.batch();
        let held: Vec<(&Field, &ArrayRef)> = fixture
            .schema
            .fields()
            .iter()
            .map(AsRef::as_ref)
            .zip(batch.columns())
            .filter(|(field, values)| !matches!(self.carriage(fixture, field, values), Carriage::NotHeld(_)))
            .collect();
        let mut statements = Vec::new();
        let mut columns = Vec::new();
        for (field, values) in &held {
            let mut remote = remote_type(fixture, field);
            if let DataType::Dictionary(..) = field.data_type() {
                remote = quoted(&format!("{} of {}", field.name(), fixture.name));
                statements.push(format!("CREATE TYPE {remote} AS ENUM ({})", labels(values)));
            }
            let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
            columns.push(format!("{} {remote}{not_null}", quoted(field.name())));
        }
        if !fixture.primary_key.is_empty() {
            let key: Vec<String> = fixture.primary_key.iter().map(|name| quoted(name)).collect();
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        statements.push(format!("CREATE TABLE {} ({})", quoted(fixture.name), columns.join(", ")));
        statements.extend(inserts(fixture.name, &held, &batch));
        statements
    }
}

fn labels(values: &ArrayRef) -> String {
    let texts = arrow::compute::cast(values, &DataType::Utf8).unwrap();
    let mut labels: Vec<String> = texts.as_string::<i32>().iter().flatten().map(text).collect();
    labels.sort_unstable_by(|a, b| b.cmp(a));
    labels.dedup();
    labels.join(", ")
}

fn inserts(table: &str, held: &[(&Field, &ArrayRef)], batch: &RecordBatch) -> Vec<String> {
    const ROWS: usize = 2_000;
    if held.is_empty() {
        return Vec::new();
    }
    let starts = (0..batch.num_rows()).step_by(ROWS);
    let insert = |start: usize| {
        let mut sql = format!("INSERT INTO {} VALUES ", quoted(table));
        for row in start..batch.num_rows().min(start + ROWS) {
            let values: Vec<String> = held.iter().map(|(_, values)| literal(values, row)).collect();
            let comma = if row == start { "" } else { ", " };
            write!(sql, "{comma}({})", values.join(", ")).unwrap();
        }
        sql
    };
    starts.map(insert).collect()
}

fn remote_type(fixture: &Fixture, field: &Field) -> String {
    match (fixture.name, field.name().as_str()) {
        ("identifiers", "uuid_text") => return "uuid".to_owned(),
        ("json", "doc") => return "json".to_owned(),
        _ => {}
    }
    match field.data_type() {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint".to_owned(),
        DataType::UInt16 | DataType::Int32 => "integer".to_owned(),
        DataType::UInt32 | DataType::Int64 => "bigint".to_owned(),
        DataType::UInt64 => "numeric(20, 0)".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("numeric({precision}, {scale})")
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::List(item) => format!("{}[]", remote_type(fixture, item)),
        _ => "text".to_owned(),
    }
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn literal(values: &ArrayRef, row: usize) -> String {
    if values.is_null(row) {
        return "NULL".to_owned();
    }
    match values.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = arrow::compute::cast(&values.slice(row, 1), &DataType::Binary).unwrap();
            let digits: String = bytes.as_binary::<i32>().value(0).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'")
        }
        DataType::Timestamp(_, Some(_)) => {
            let utc =
                arrow::compute::cast(values, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).unwrap();
            text(&shown(&utc, row))
        }
        DataType::Interval(_) => {
            let parts = interval(values);
            let parts = parts.as_primitive::<IntervalMonthDayNanoType>().value(row);
            format!("'{} months {} days {} microseconds'", parts.months, parts.days, parts.nanoseconds / 1_000)
        }
        DataType::List(item) => {
            let items = values.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len()).map(|at| literal(&items, at)).collect();
            let of = if item.data_type().is_integer() { "bigint" } else { "text" };
            format!("ARRAY[{}]::{of}[]", items.join(", "))
        }
        _ => text(&shown(values, row)),
    }
}

fn shown(values: &ArrayRef, row: usize) -> String {
    ArrayFormatter::try_new(values, &FormatOptions::default()).unwrap().value(row).to_string()
}

/// A database on a server, dropped with this.
pub struct PostgresSite {
    config: Config,
    database: String,
    session: Session,
    log: Mutex<ServerLog>,
    /// The file of the authority that signed the server's certificate.
    authority: Option<String>,
}

impl std::fmt::Debug for PostgresSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSite").field("database", &self.database).finish_non_exhaustive()
    }
}

/// What was read of the server's log: statements in this database, and when each began, in seconds since 1970.
#[derive(Debug, Default)]
struct ServerLog {
    read_bytes: i64,
    /// The begin of a line whose end was not read.
    rest: String,
    statements: Vec<(f64, String)>,
    marks: usize,
}

impl PostgresSite {
    /// Runs statements in the database.
    pub async fn run(&self, sql: &str) {
        execute(&self.session, sql).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// How to connect to the database.
    pub fn options(&self) -> Options {
        options(&self.config)
    }

    /// The file of the authority that signed the server's certificate, where it is known.
    pub fn certificate_authority(&self) -> Option<&String> {
        self.authority.as_ref()
    }

    async fn one(&self, sql: &str) -> Option<String> {
        let messages = self.session.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error}"));
        messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    /// Reads the server's log up to now.
    async fn read_log(&self, log: &mut ServerLog) {
        log.marks += 1;
        let mark = format!("SELECT 'mark {} of {}'", log.marks, self.database);
        self.one(&mark).await;
        let begun = std::time::Instant::now();
        // The server's logger is a process of its own, and a connection that is given back may say so after the mark.
        while !log.has(&mark) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the server's log does not show {mark}");
            let read = format!(
                "SELECT encode(pg_read_binary_file(pg_current_logfile(), {}, 16000000), 'hex')",
                log.read_bytes
            );
            let digits = self.one(&read).await.expect("the server keeps a log: logging_collector is on");
            let bytes: Vec<u8> =
                (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect();
            log.read_bytes += bytes.len() as i64;
            log.take(&String::from_utf8_lossy(&bytes), &self.database);
            if !log.has(&mark) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl ServerLog {
    fn has(&self, statement: &str) -> bool {
        self.statements.iter().rev().any(|(_, text)| text == statement)
    }

    fn take(&mut self, text: &str, database: &str) {
        let text = std::mem::take(&mut self.rest) + text;
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        self.rest = rest.to_owned();
        let begin = format!("{database}|");
        for line in whole.split('\n') {
            let Some((time, said)) = line.strip_prefix(&begin).and_then(|line| line.split_once('|')) else { continue };
            let Some(statement) = said.trim_start_matches("LOG:").trim_start().strip_prefix("statement: ") else {
                continue;
            };
            if !statement.contains("pg_read_binary_file") {
                self.statements.push((time.parse().unwrap_or_default(), statement.to_owned()));
            }
        }
    }
}

#[async_trait]
impl Site for PostgresSite {
    fn registry(&self) -> Registry {
        registry()
    }

    fn options(&self) -> Options {
        Self::options(self)
    }

    fn schema(&self) -> &'static str {
        "public"
    }

    async fn remote_log(&self, from: &RemoteLog) -> Vec<RemoteEvent> {
        let mut log = self.log.lock().await;
        self.read_log(&mut log).await;
        let copies = log.statements.iter().filter(|(time, text)| *time >= from.since() && text.contains("COPY ("));
        let event = |text: &String| RemoteEvent {
            source: from.source().to_owned(),
            event: "begin".to_owned(),
            text: text.clone(),
        };
        copies.map(|(_, text)| event(text)).collect()
    }

    async fn running(&self, _: &RemoteLog) -> usize {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = {} AND application_name = 'tombolo' AND state <> 'idle'",
            text(&self.database)
        );
        self.one(&sql).await.and_then(|count| count.parse().ok()).expect("a count is a number")
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String> {
        shown_in_sql(log, evidence)
    }

    async fn drop_table(&mut self, table: &str) -> Result<(), String> {
        execute(&self.session, &format!("DROP TABLE {}", quoted(table))).await
    }

    async fn add_column(&mut self, table: &str) -> Result<(), String> {
        execute(&self.session, &format!("ALTER TABLE {} ADD COLUMN added bigint DEFAULT 7", quoted(table))).await
    }

    fn secret(&self) -> Option<String> {
        self.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
    }
}

impl Drop for PostgresSite {
    fn drop(&mut self) {
        let (mut config, database) = (self.config.clone(), self.database.clone());
        config.dbname("postgres");
        // The site is dropped inside a runtime, which cannot be waited in.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin = connect(&config).await?;
                execute(&admin, &format!("DROP DATABASE {} WITH (FORCE)", quoted(&database))).await
            })
        });
        // A database that is left over hinders no other test.
        let _ = dropped.join();
    }
}
