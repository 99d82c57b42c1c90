use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use tokio::task::JoinSet;
use tombolo_connector::Registry;
use tombolo_engine::{
    Engine, ErrorCode, JoinOrder, KeyShipping, PushdownRule, PushdownRules, QueryOptions, Settings, Strategy,
};

use super::alone::Alone;
use crate::fixtures::Fixture;
use crate::generate::{Random, Table, TableData};
use crate::harness::{Harness, MysqlHarness, PostgresHarness, Site};
use crate::{Lab, Reference, ask_with};

/// The longest that a query over small tables may take, in a build that is not optimised, beside others.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What the databases `shop` and `crm` are.
#[derive(Debug, Clone, Copy)]
pub enum Databases {
    /// SQLite files.
    Sqlite,
    /// Databases of a PostgreSQL server.
    Postgres(PostgresHarness),
    /// Databases of a server of MySQL or MariaDB.
    Mysql(MysqlHarness),
}

/// Where a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// A database.
    Shop,
    /// Another database.
    Crm,
    /// Parquet files.
    Lake,
    /// Memory.
    Mem,
}

impl Home {
    const ALL: [Self; 4] = [Self::Shop, Self::Crm, Self::Lake, Self::Mem];

    /// The source's name.
    pub fn source(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Crm => "crm",
            Self::Lake => "lake",
            Self::Mem => "mem",
        }
    }
}

/// Which table is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement(pub BTreeMap<String, Home>);

impl Placement {
    /// Places tables at random. In every fourth case all are in one database, where whole queries can be pushed.
    pub fn random(random: &mut Random, tables: &[TableData]) -> Self {
        let together = random.chance(25);
        let mut place = || match together {
            true => Home::Shop,
            false => random.weighted(&[(38, Home::Shop), (14, Home::Crm), (26, Home::Lake), (22, Home::Mem)]),
        };
        Self(tables.iter().map(|table| (table.name.clone(), place())).collect())
    }

    /// Places tables where a query names them, and the others in memory.
    pub fn of(sql: &str, tables: &[TableData]) -> Self {
        let home = |table: &TableData| {
            let named = |home: &Home| {
                let plain = format!("{}.{}", home.source(), table.name);
                let quoted = format!("{}.\"{}\"", home.source(), table.name);
                let ends = |at: usize| !sql[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
                sql.contains(&quoted) || sql.match_indices(&plain).any(|(at, found)| ends(at + found.len()))
            };
            Home::ALL.into_iter().find(named).unwrap_or(Home::Mem)
        };
        Self(tables.iter().map(|table| (table.name.clone(), home(table))).collect())
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.0.iter().map(|(table, home)| format!("{}.{table}", home.source())).collect();
        f.write_str(&places.join(", "))
    }
}

/// A way to run a query.
#[derive(Debug, Clone)]
pub struct Way {
    pub name: String,
    pub engine: Engine,
}

/// Tables in sources, the ways to ask for them, and the engines that have all of them to themselves.
#[derive(Debug)]
pub struct World {
    pub tables: Vec<Table>,
    pub placement: Placement,
    pub data: Vec<TableData>,
    pub databases: Databases,
    pub ways: Vec<Way>,
    pub(super) reference: Reference,
    pub(super) alone: Alone,
    // Dropped last, with the files in it.
    _lab: Lab,
    _sites: Vec<Box<dyn Site>>,
}

/// An answer: columns and rows.
pub(super) type Rows = (SchemaRef, Vec<RecordBatch>);

/// Why a way gave no answer.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: ErrorCode,
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl World {
    /// Puts the tables where they are to be.
    pub async fn new(data: &[TableData], placement: &Placement, databases: Databases) -> Self {
        Self::with_registry(data, placement, databases, tombolo_connectors::registry).await
    }

    /// Puts the tables where they are to be, and asks for them through these kinds of source.
    pub async fn with_registry(
        data: &[TableData],
        placement: &Placement,
        databases: Databases,
        registry: impl Fn() -> Registry,
    ) -> Self {
        let (lab, sites) = lab(data, placement, databases).await;
        let settings = |change: &dyn Fn(&mut Settings)| {
            let mut settings = lab.settings();
            change(&mut settings);
            lab.engine_over(registry(), settings)
        };
        let mut ways = vec![
            Way { name: "pushed down".to_owned(), engine: settings(&|_| ()) },
            Way {
                name: "nothing pushed down".to_owned(),
                engine: settings(&|settings| {
                    (settings.pushdown, settings.join_order) = (PushdownRules::NONE, JoinOrder::Written);
                    settings.shared_rows = Strategy::Never;
                }),
            },
            Way {
                name: "one stream, batches of eight rows".to_owned(),
                engine: settings(&|settings| {
                    // Of two rows each, DataFusion's sort of string views can take all memory: every batch that it gives has a list
                    // of all its inputs' buffers.
                    (settings.parallel, settings.batch_size, settings.join_counts) = (1, 8, false);
                    (settings.join_order, settings.shared_rows) = (JoinOrder::Worst, Strategy::Always);
                }),
            },
        ];
        for (name, pushdown, batch_keys, max_keys, ranges, local_work) in [
            (
                "keys always shipped, three in a request",
                PushdownRules::ALL,
                3,
                usize::MAX,
                Strategy::Never,
                Strategy::Never,
            ),
            (
                "nothing but keys pushed down",
                PushdownRules::only(PushdownRule::Keys),
                10_000,
                50,
                Strategy::Never,
                Strategy::Never,
            ),
            (
                "ranges in place of keys, of which three are kept, and all work done here",
                PushdownRules::ALL,
                10_000,
                3,
                Strategy::Always,
                Strategy::Always,
            ),
        ] {
            let (strategy, lookup) = (Strategy::Always, Strategy::Never);
            let key_shipping = KeyShipping { strategy, ranges, lookup, batch_keys, max_keys };
            let change = |settings: &mut Settings| {
                (settings.pushdown, settings.key_shipping) = (pushdown, key_shipping);
                (settings.split_aggregates, settings.join_order) = (Strategy::Always, JoinOrder::Worst);
                settings.shared_rows = Strategy::Always;
                settings.local_work = local_work;
            };
            ways.push(Way { name: name.to_owned(), engine: settings(&change) });
        }
        ways.push(Way {
            name: "partners looked up part by part".to_owned(),
            engine: settings(&|settings| settings.key_shipping.lookup = Strategy::Always),
        });
        // Without keys there is what all other ways do.
        for &rule in PushdownRule::ALL.iter().filter(|rule| **rule != PushdownRule::Keys) {
            ways.push(Way {
                name: format!("no push-down of {rule:?}"),
                engine: settings(&|settings| settings.pushdown = PushdownRules::ALL.without(rule)),
            });
        }
        let described = described(data, placement, &ways[0].engine).await;
        let reference = Reference::careful();
        for table in &described {
            reference.memory(placement.0[&table.name].source(), &table.name, table.batches.clone());
        }
        let tables = described.iter().map(|table| table.placed(placement.0[&table.name].source())).collect();
        let alone = Alone::new(&described);
        Self {
            tables,
            placement: placement.clone(),
            data: data.to_vec(),
            databases,
            ways,
            reference,
            alone,
            _lab: lab,
            _sites: sites,
        }
    }

    /// Asks one way. A panic is a failure too.
    pub(super) async fn ask(way: &Way, sql: &str) -> Result<Rows, Failure> {
        let (engine, sql) = (way.engine.clone(), sql.to_owned());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let options = QueryOptions { timeout: Some(PATIENCE), allow_cartesian: true, ..QueryOptions::default() };
            let answer = ask_with(&engine, &sql, options).await;
            answer.map(|answer| (answer.schema, answer.batches)).map_err(|error| {
                let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                Failure { code: error.code(), message: format!("{}{detail}", error.message()) }
            })
        });
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Err(Failure { code: ErrorCode::Internal, message: format!("it panicked: {error}") }),
            None => unreachable!("a task was spawned"),
        }
    }

    /// Asks plain DataFusion.
    pub(super) async fn ask_reference(&self, sql: &str) -> Result<Rows, String> {
        let (reference, sql) = (self.reference.clone(), sql.to_owned());
        let mut task = JoinSet::new();
        task.spawn(async move {
            match tokio::time::timeout(PATIENCE, reference.ask(&sql)).await {
                Ok(answer) => answer.map_err(|error| error.strip_backtrace()),
                Err(_) => Err("it takes too long".to_owned()),
            }
        });
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Err(format!("it panicked: {error}")),
            None => unreachable!("a task was spawned"),
        }
    }
}

/// Rows in a row group: so few that small tables have several to prune.
const ROWS_IN_GROUP: usize = 7;

async fn lab(data: &[TableData], placement: &Placement, databases: Databases) -> (Lab, Vec<Box<dyn Site>>) {
    let (mut lab, mut sites) = (Lab::new(), Vec::new());
    let at = |home| data.iter().filter(move |table| placement.0[&table.name] == home);
    for home in [Home::Shop, Home::Crm] {
        if at(home).next().is_none() {
            continue;
        }
        let harness: Option<&dyn Harness> = match &databases {
            Databases::Sqlite => None,
            Databases::Postgres(harness) => Some(harness),
            Databases::Mysql(harness) => Some(harness),
        };
        if let Some(harness) = harness {
            let fixtures: Vec<Fixture> = at(home).map(fixture).collect();
            let site = harness.open(home.source(), &fixtures.iter().collect::<Vec<_>>()).await;
            let site = site.unwrap_or_else(|error| panic!("{error}"));
            lab.source(home.source(), harness.connector(), site.options());
            sites.push(site);
        } else {
            let file = lab.sqlite(home.source());
            for table in at(home) {
                let key: Vec<&str> = table.key.iter().map(String::as_str).collect();
                file.table(&table.name, &key, &table.batches);
            }
        }
    }
    if at(Home::Lake).next().is_some() {
        let folder = lab.files(Home::Lake.source());
        for table in at(Home::Lake) {
            folder.parquet(&table.name, ROWS_IN_GROUP, &table.batches);
        }
    }
    for table in at(Home::Mem) {
        lab.memory(Home::Mem.source(), "main", &table.name, table.batches.clone());
    }
    (lab, sites)
}

/// A made table as a harness takes it. Its names live as long as the tests do.
fn fixture(table: &TableData) -> Fixture {
    let key: Vec<&'static str> = table.key.iter().map(|name| -> &'static str { name.clone().leak() }).collect();
    Fixture {
        name: table.name.clone().leak(),
        purpose: "made at random",
        primary_key: key.leak(),
        schema: table.batches[0].schema(),
        batches: table.batches.clone(),
    }
}

/// The tables with the types that their sources give them.
async fn described(data: &[TableData], placement: &Placement, engine: &Engine) -> Vec<TableData> {
    let mut tables = Vec::new();
    for table in data {
        let name = format!("{}.\"{}\"", placement.0[&table.name].source(), table.name);
        let (_, description) =
            engine.describe_table(&name).await.unwrap_or_else(|error| panic!("{name}: {error} {:?}", error.detail()));
        let schema = description.arrow_schema();
        // Without what a source writes beside its types.
        let fields: Vec<_> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_metadata(Default::default())).collect();
        let schema = Arc::new(Schema::new(fields));
        let batches = table.batches.iter().map(|batch| {
            // By name, since a source may not hold all of them.
            let column = |field: &arrow::datatypes::FieldRef| {
                cast(batch.column_by_name(field.name()).unwrap(), field.data_type()).unwrap()
            };
            let columns = schema.fields().iter().map(column).collect();
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        });
        tables.push(TableData { batches: batches.collect(), ..table.clone() });
    }
    tables
}
