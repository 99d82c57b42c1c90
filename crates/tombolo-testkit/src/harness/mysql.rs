mod driver;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use tokio::sync::Mutex;
use tombolo_connector::{ConnectorFactory, ErrorCode, Options, Registry};
use tombolo_connectors::mysql::MysqlFactory;

use self::driver::{Driver, Server};
use super::{
    Carriage, Evidence, Harness, Outage, RemoteEvent, RemoteLog, Site, cast_exactly, shown_in_sql, unchanged, widened,
};
use crate::fixtures::Fixture;

/// MySQL or MariaDB, loaded through a driver of its own. Its log is the server's own.
#[derive(Debug, Clone, Copy)]
pub struct MysqlHarness {
    /// A word for the server.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// The environment variable with its URL.
    pub variable: &'static str,
    /// The one with the file of who signed its certificate.
    pub authority: &'static str,
    /// Whether it takes passwords in the newer way alone, `caching_sha2_password`.
    pub is_native_gone: bool,
    /// The type of documents of which the server keeps the text.
    pub json: &'static str,
    /// The collation of keys of text.
    pub keys: &'static str,
    /// The collation of texts that have none of their own.
    pub collation: &'static str,
    /// Whether the server keeps a negative zero.
    pub has_negative_zero: bool,
    /// Whether statements are looked up in the server's log, which grows by each of them and has no index.
    pub is_logged: bool,
}

impl MysqlHarness {
    /// Debian's MariaDB.
    pub const MARIADB: Self = Self {
        name: "mariadb",
        title: "MariaDB 10.11",
        variable: "TOMBOLO_TEST_MARIADB_URL",
        authority: "TOMBOLO_TEST_MARIADB_CA",
        is_native_gone: false,
        json: "json",
        keys: "utf8mb4_nopad_bin",
        collation: "utf8mb4_general_ci",
        has_negative_zero: false,
        is_logged: true,
    };

    /// The oldest MySQL that is read.
    pub const MYSQL57: Self = Self {
        name: "mysql57",
        title: "MySQL 5.7",
        variable: "TOMBOLO_TEST_MYSQL57_URL",
        authority: "TOMBOLO_TEST_MYSQL57_CA",
        is_native_gone: false,
        // Its own JSON is another text: without blanks, the keys sorted.
        json: "longtext",
        keys: "utf8mb4_bin",
        collation: "utf8mb4_general_ci",
        has_negative_zero: true,
        is_logged: true,
    };

    /// A MySQL of today.
    pub const MYSQL9: Self = Self {
        name: "mysql9",
        title: "MySQL 9.7",
        variable: "TOMBOLO_TEST_MYSQL9_URL",
        authority: "TOMBOLO_TEST_MYSQL9_CA",
        is_native_gone: true,
        json: "longtext",
        keys: "utf8mb4_0900_bin",
        collation: "utf8mb4_0900_ai_ci",
        has_negative_zero: true,
        is_logged: true,
    };

    /// All of them.
    pub const ALL: [Self; 3] = [Self::MARIADB, Self::MYSQL57, Self::MYSQL9];

    fn options(&self) -> Result<Options, String> {
        let url = std::env::var(self.variable).map_err(|_| format!("{} is not set", self.variable))?;
        let options = MysqlFactory.parse_url(&url).ok_or_else(|| format!("{} is no URL of MySQL", self.variable))?;
        options.map_err(|error| error.to_string())
    }

    fn server(&self, options: &Options) -> Server {
        let text = |name: &str| options.text(name).unwrap_or_default().to_owned();
        let port = options.integer("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(3306);
        Server {
            host: text("host"),
            port,
            user: text("user"),
            password: text("password"),
            authority: std::env::var_os(self.authority).filter(|_| self.is_native_gone).map(Into::into),
        }
    }
}

const NO_NANOSECONDS: &str = "MySQL keeps microseconds";
const NO_ARRAYS: &str = "MySQL has no type for it";
const TO_2038: &str = "TIMESTAMP goes from 1970 to 2038: the others are null";

#[async_trait]
impl Harness for MysqlHarness {
    fn name(&self) -> &'static str {
        self.name
    }

    fn connector(&self) -> &'static str {
        "mysql"
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn missing(&self) -> Option<String> {
        std::env::var_os(self.variable).is_none().then(|| format!("{} is not set", self.variable))
    }

    fn refuses_table(&self, fixture: &Fixture) -> Option<&'static str> {
        (fixture.name == "case twins").then_some("MySQL's columns are the same whatever their case")
    }

    fn carriage(&self, fixture: &Fixture, field: &Field, values: &ArrayRef) -> Carriage {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        if field.name().ends_with(' ') || field.name().chars().any(|c| c > '\u{ffff}') {
            return Carriage::NotHeld("MySQL has no column of this name");
        }
        let is_key = fixture.primary_key.contains(&field.name().as_str());
        let ends_blank = |text: Option<&str>| text.is_some_and(|text| text.ends_with(' '));
        if is_key
            && self.keys == "utf8mb4_bin"
            && values.as_string_opt::<i32>().is_some_and(|t| t.iter().any(ends_blank))
        {
            return Carriage::NotHeld(
                "MySQL 5.7 has no key of text that tells apart what differs in blanks at its end",
            );
        }
        match values.data_type() {
            DataType::UInt8 => widened(values, &DataType::Int16),
            DataType::UInt16 => widened(values, &DataType::Int32),
            DataType::UInt32 => widened(values, &DataType::Int64),
            DataType::UInt64 => widened(values, &DataType::Decimal128(20, 0)),
            DataType::Float16 => widened(values, &DataType::Float32),
            DataType::Float32 | DataType::Float64 => self.floats(values),
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
            DataType::Timestamp(_, Some(_)) => moments(&cast_exactly(values, &micros(Some("UTC")))),
            DataType::Interval(_) | DataType::Struct(_) | DataType::List(_) | DataType::Null => {
                Carriage::NotHeld(NO_ARRAYS)
            }
            _ => unchanged(values),
        }
    }

    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> Result<Box<dyn Site>, String> {
        static DATABASES: AtomicUsize = AtomicUsize::new(1);
        let options = self.options()?;
        let server = self.server(&options);
        let mut driver = Driver::connect(&server).await?;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = format!("tombolo_{}_{}_{number}", std::process::id(), source);
        let user = format!("reader_{}_{number}", std::process::id());
        // The site's own statements would only hide the others in the log.
        if self.is_logged {
            driver.query("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1").await?;
        }
        for statement in [
            "SET sql_log_off = 1".to_owned(),
            SETTINGS.to_owned(),
            format!("CREATE DATABASE {} CHARACTER SET utf8mb4", quoted(&database)),
            // Who may read this database alone, so that no other test's is seen.
            format!("CREATE USER {user}@'%' IDENTIFIED BY {}", text(&server.password)),
            format!("GRANT SELECT, SHOW VIEW ON {}.* TO {user}@'%'", quoted(&database)),
            format!("USE {}", quoted(&database)),
        ] {
            driver.query(&statement).await?;
        }
        for fixture in fixtures.iter().filter(|fixture| self.refuses_table(fixture).is_none()) {
            for statement in self.statements(fixture) {
                driver.query(&statement).await?;
            }
            driver.query(&format!("ANALYZE TABLE {}", quoted(fixture.name))).await?;
        }
        let options = options.with("database", database.as_str()).with("user", user.as_str());
        let database = Box::leak(database.into_boxed_str());
        Ok(Box::new(MysqlSite { options, server, database, user, driver: Mutex::new(driver) }))
    }

    async fn outages(&self, _folder: &Path) -> Vec<Outage> {
        let Ok(options) = self.options() else { return Vec::new() };
        let outage = |name, options: Options, code, is_retryable| Outage {
            name,
            registry: registry(),
            options,
            statement: "SELECT id FROM broken.customers",
            code,
            is_retryable,
            held: None,
        };
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let with = |name: &str, value: &str| options.clone().with(name, value);
        let nobody = options.clone().with("port", i64::from(free));
        vec![
            outage("nobody listens", nobody, ErrorCode::SourceUnavailable, true),
            outage("a wrong password", with("password", "wrong"), ErrorCode::AuthenticationFailed, false),
            outage("no such user", with("user", "nobody_here"), ErrorCode::AuthenticationFailed, false),
            outage("no such database", with("database", "missing"), ErrorCode::SourceUnavailable, false),
            outage("a certificate of nobody known", with("tls", "verify"), ErrorCode::SourceUnavailable, false),
        ]
    }
}

const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);

/// Names and text as the fixtures have them, and no value that is not taken as it is.
const SETTINGS: &str = "SET NAMES utf8mb4, time_zone = '+00:00', \
                        sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE'";

fn registry() -> Registry {
    Registry::default().with(Arc::new(MysqlFactory))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn moments(values: &ArrayRef) -> Carriage {
    // The first second stands for no moment at all.
    let is_held = |micros: &i64| (1_000_000..=2_147_483_647_999_999).contains(micros);
    let micros = values.as_primitive::<TimestampMicrosecondType>();
    let note = if micros.iter().flatten().all(|micros| is_held(&micros)) { "" } else { TO_2038 };
    let kept: TimestampMicrosecondArray = micros.iter().map(|micros| micros.filter(is_held)).collect();
    Carriage::Carried { expected: Arc::new(kept.with_timezone("UTC")), note }
}

impl MysqlHarness {
    /// Runs statements as one who may do all.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run(&self, statements: &[String]) -> Result<(), String> {
        let mut driver = Driver::connect(&self.server(&self.options()?)).await?;
        driver.query("SET sql_log_off = 1").await?;
        for statement in statements {
            driver.query(statement).await?;
        }
        Ok(())
    }

    /// Asks as one who may see all.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let mut driver = Driver::connect(&self.server(&self.options()?)).await?;
        driver.query("SET sql_log_off = 1").await?;
        driver.query(sql).await
    }

    fn floats(&self, values: &ArrayRef) -> Carriage {
        let kept = |number: f64| number.is_finite().then_some(number);
        let kept = |number: f64| kept(number).map(|n| if n == 0.0 && !self.has_negative_zero { 0.0 } else { n });
        let wide = cast(values, &DataType::Float64).unwrap();
        let wide = wide.as_primitive::<Float64Type>();
        let expected: Float64Array = wide.iter().map(|number| number.and_then(kept)).collect();
        let is_special = |number: f64| !number.is_finite() || (number == 0.0 && number.is_sign_negative());
        let note = match (wide.iter().flatten().any(is_special), self.has_negative_zero) {
            (false, _) => "",
            (true, true) => "MySQL has no NaN and no infinity: they are null",
            (true, false) => "MariaDB has no NaN, no infinity and no negative zero: null, null and zero",
        };
        // As it is where that is as wide; each number of the narrower type is one of the wider.
        let expected = cast(&expected, values.data_type()).unwrap();
        Carriage::Carried { expected, note }
    }

    /// What makes a fixture's table, and fills it.
    fn statements(&self, fixture: &Fixture) -> Vec<String> {
        let batch = fixture.batch();
        let held: Vec<(&Field, ArrayRef)> = fixture
            .schema
            .fields()
            .iter()
            .map(AsRef::as_ref)
            .zip(batch.columns())
            .filter_map(|(field, values)| match self.carriage(fixture, field, values) {
                Carriage::Carried { expected, .. } => Some((field, expected)),
                _ => None,
            })
            .collect();
        let mut columns = Vec::new();
        for (field, values) in &held {
            let is_key = fixture.primary_key.contains(&field.name().as_str());
            let remote = self.remote_type(fixture, field, values, is_key);
            // TIMESTAMP would not be null without being told.
            let nullable = if field.is_nullable() { "NULL" } else { "NOT NULL" };
            columns.push(format!("{} {remote} {nullable}", quoted(field.name())));
        }
        let holds = |name: &&str| held.iter().any(|(field, _)| field.name() == name);
        if !fixture.primary_key.is_empty() && fixture.primary_key.iter().all(holds) {
            let key: Vec<String> = fixture.primary_key.iter().map(|name| quoted(name)).collect();
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        let create = format!("CREATE TABLE {} ({}) ENGINE = InnoDB", quoted(fixture.name), columns.join(", "));
        [create].into_iter().chain(inserts(fixture.name, &held, &batch)).collect()
    }

    fn remote_type(&self, fixture: &Fixture, field: &Field, values: &ArrayRef, is_key: bool) -> String {
        // Another form for every other column, so that each is met.
        let turn = field.name().bytes().map(usize::from).sum::<usize>();
        match (fixture.name, field.name().as_str()) {
            ("identifiers", "uuid_text") => return "char(36)".to_owned(),
            ("json", "doc") => return self.json.to_owned(),
            _ => {}
        }
        match field.data_type() {
            DataType::Boolean => ["bit(1)", "tinyint(1)"][turn % 2].to_owned(),
            DataType::Int8 => "tinyint".to_owned(),
            DataType::UInt8 => "tinyint unsigned".to_owned(),
            DataType::Int16 => "smallint".to_owned(),
            DataType::UInt16 => "smallint unsigned".to_owned(),
            DataType::Int32 => ["int", "mediumint"][usize::from(turn % 2 == 1 && fits_24_bits(values))].to_owned(),
            DataType::UInt32 => "int unsigned".to_owned(),
            DataType::Int64 => "bigint".to_owned(),
            DataType::UInt64 => "bigint unsigned".to_owned(),
            DataType::Float16 | DataType::Float32 => "float".to_owned(),
            DataType::Float64 => "double".to_owned(),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                format!("decimal({precision}, {scale})")
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                ["varbinary(300)", "longblob"][turn % 2].to_owned()
            }
            DataType::FixedSizeBinary(size) => format!("binary({size})"),
            DataType::Date32 | DataType::Date64 => "date".to_owned(),
            DataType::Time32(_) | DataType::Time64(_) => "time(6)".to_owned(),
            DataType::Timestamp(_, None) => "datetime(6)".to_owned(),
            DataType::Timestamp(_, Some(_)) => "timestamp(6)".to_owned(),
            DataType::Dictionary(..) => format!("enum({}) COLLATE utf8mb4_bin", labels(values)),
            // Keys of another case are other keys.
            _ if is_key => format!("varchar(100) COLLATE {}", self.keys),
            _ => {
                let longest = values.as_string::<i32>().iter().flatten().map(|text| text.chars().count()).max();
                let size = match longest.unwrap_or(0) {
                    0..=40 => "varchar(70)",
                    41..=200 => "varchar(255)",
                    _ => "longtext",
                };
                let collation = ["utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci", self.collation][turn % 4];
                format!("{size} COLLATE {collation}")
            }
        }
    }
}

fn fits_24_bits(values: &ArrayRef) -> bool {
    let wide = cast(values, &DataType::Int64).unwrap();
    let wide = wide.as_primitive::<arrow::datatypes::Int64Type>();
    wide.iter().flatten().all(|number| (-8_388_608..8_388_608).contains(&number))
}

fn labels(values: &ArrayRef) -> String {
    let mut labels: Vec<String> = values.as_string::<i32>().iter().flatten().map(text).collect();
    labels.sort_unstable_by(|a, b| b.cmp(a));
    labels.dedup();
    labels.join(", ")
}

fn inserts(table: &str, held: &[(&Field, ArrayRef)], batch: &RecordBatch) -> Vec<String> {
    // Below what the oldest server takes by default, 4 MB.
    const BYTES: usize = 1 << 20;
    if held.is_empty() {
        return Vec::new();
    }
    let mut statements: Vec<String> = Vec::new();
    for row in 0..batch.num_rows() {
        let values: Vec<String> = held.iter().map(|(_, values)| literal(values, row)).collect();
        match statements.last_mut().filter(|statement| statement.len() < BYTES) {
            Some(statement) => write!(statement, ", ({})", values.join(", ")).unwrap(),
            None => statements.push(format!("INSERT INTO {} VALUES ({})", quoted(table), values.join(", "))),
        }
    }
    statements
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn literal(values: &ArrayRef, row: usize) -> String {
    if values.is_null(row) {
        return "NULL".to_owned();
    }
    match values.data_type() {
        DataType::Boolean => usize::from(values.as_boolean().value(row)).to_string(),
        DataType::Binary => {
            let bytes = values.as_binary::<i32>().value(row);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("X'{digits}'")
        }
        DataType::Float32 => format!("{:e}", f64::from(values.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => format!("{:e}", values.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(_, Some(_)) => {
            text(&shown(&cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap(), row))
        }
        _ => text(&shown(values, row)),
    }
}

fn shown(values: &ArrayRef, row: usize) -> String {
    ArrayFormatter::try_new(values, &FormatOptions::default()).unwrap().value(row).to_string()
}

#[derive(Debug)]
struct MysqlSite {
    options: Options,
    server: Server,
    database: &'static str,
    user: String,
    driver: Mutex<Driver>,
}

impl MysqlSite {
    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.driver.lock().await.query(sql).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

#[async_trait]
impl Site for MysqlSite {
    fn registry(&self) -> Registry {
        registry()
    }

    fn options(&self) -> Options {
        self.options.clone()
    }

    fn schema(&self) -> &'static str {
        self.database
    }

    async fn remote_log(&self, from: &RemoteLog) -> Vec<RemoteEvent> {
        let sql = format!(
            "SELECT convert(argument USING utf8mb4) FROM mysql.general_log WHERE event_time >= from_unixtime({:.3}) \
             AND command_type = 'Execute' AND argument LIKE '/* tombolo query %' AND argument LIKE '%\"{}\".%' \
             ORDER BY event_time",
            from.since(),
            self.database
        );
        let event = |row: Vec<Option<String>>| RemoteEvent {
            source: from.source().to_owned(),
            event: "begin".to_owned(),
            text: row.into_iter().next().flatten().unwrap_or_default(),
        };
        self.query(&sql).await.into_iter().map(event).collect()
    }

    async fn running(&self, _: &RemoteLog) -> usize {
        let sql = format!(
            "SELECT count(*) FROM information_schema.processlist WHERE command <> 'Sleep' \
             AND info LIKE '/* tombolo query %' AND info LIKE '%\"{}\".%'",
            self.database
        );
        self.query(&sql).await[0][0].as_ref().and_then(|count| count.parse().ok()).expect("a count is a number")
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> Result<(), String> {
        shown_in_sql(log, evidence)
    }

    async fn drop_table(&mut self, table: &str) -> Result<(), String> {
        let sql = format!("DROP TABLE {}", quoted(table));
        self.driver.get_mut().query(&sql).await.map(|_| ())
    }

    async fn add_column(&mut self, table: &str) -> Result<(), String> {
        let sql = format!("ALTER TABLE {} ADD COLUMN added bigint DEFAULT 7", quoted(table));
        self.driver.get_mut().query(&sql).await.map(|_| ())
    }

    fn secret(&self) -> Option<String> {
        Some(self.server.password.clone())
    }
}

impl Drop for MysqlSite {
    fn drop(&mut self) {
        let (server, database, user) = (self.server.clone(), self.database, self.user.clone());
        // The site is dropped inside a runtime, which cannot be waited in.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut driver = Driver::connect(&server).await?;
                driver.query("SET sql_log_off = 1").await?;
                driver.query(&format!("DROP USER {user}@'%'")).await?;
                driver.query(&format!("DROP DATABASE `{database}`")).await
            })
        });
        // A database that is left over hinders no other test.
        let _ = dropped.join();
    }
}
