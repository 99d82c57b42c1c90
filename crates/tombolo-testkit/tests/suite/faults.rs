//! Sources that fail in the midst of their work: the query fails with what the source said, never with rows that look complete;
//! the next query finds everything in order.

mod calls;
mod rows;
mod silence;

use std::time::Duration;

use tombolo_connector::layer::{ChaosPlan, ChaosSwitch};
use tombolo_engine::{Engine, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, SqliteFile, ask, rows};

/// Rows in each of the large tables.
const ROWS: u64 = 2_000;

/// The sources' own time limit in these labs: long enough for those that are well on a machine that does other things too.
const SOURCE_LIMIT: Duration = Duration::from_secs(2);

/// The sources, each with a way of its own to read: SQLite on a thread, Parquet and memory by DataFusion's plans, text by a
/// reader.
const SOURCES: [&str; 4] = ["shop", "lake", "desk", "cache"];

/// Queries of all shapes, the sources that they read to the end, and whether they stop before that.
const SHAPES: &[(&str, &[&str])] = &[
    ("SELECT id, customer, amount FROM shop.orders", &["shop"]),
    ("SELECT id, seconds FROM lake.visits", &["lake"]),
    ("SELECT id, note FROM desk.notes", &["desk"]),
    ("SELECT id, name FROM cache.main.customers", &["cache"]),
    ("SELECT id FROM lake.visits WHERE md5(cast(seconds AS varchar)) LIKE 'a%'", &["lake"]),
    (
        "SELECT c.name, o.amount, v.seconds FROM shop.orders o JOIN cache.main.customers c ON c.id = o.customer
         JOIN lake.visits v ON v.id = o.id",
        &["shop", "lake", "cache"],
    ),
    ("SELECT o.id, n.note FROM shop.orders o LEFT JOIN desk.notes n ON n.id = o.id + 1000", &["shop", "desk"]),
    ("SELECT customer, count(*) AS n, sum(seconds) AS total FROM lake.visits GROUP BY customer", &["lake"]),
    ("SELECT count(*) AS n, count(DISTINCT note) AS notes FROM desk.notes", &["desk"]),
    (
        "SELECT o.amount, v.seconds FROM shop.orders o JOIN lake.visits v ON o.id = v.id ORDER BY 1, 2",
        &["shop", "lake"],
    ),
    (
        "SELECT id FROM shop.orders UNION ALL SELECT id FROM lake.visits UNION ALL SELECT id FROM desk.notes",
        &["shop", "lake", "desk"],
    ),
    ("SELECT id FROM shop.orders EXCEPT SELECT id FROM lake.visits WHERE seconds > 50", &["shop", "lake"]),
    (
        "SELECT count(*) AS n FROM shop.orders WHERE id NOT IN (SELECT id FROM lake.visits WHERE seconds < 60)",
        &["shop", "lake"],
    ),
    (
        "SELECT id FROM lake.visits v WHERE NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.id = v.id + 500)",
        &["shop", "lake"],
    ),
    ("SELECT id, amount - (SELECT avg(seconds) FROM lake.visits) AS d FROM shop.orders", &["shop", "lake"]),
    ("SELECT id, row_number() OVER (PARTITION BY customer ORDER BY id) AS r FROM lake.visits", &["lake"]),
];

struct Fixture {
    lab: Lab,
    shop: SqliteFile,
    switches: Vec<(&'static str, ChaosSwitch)>,
}

impl Fixture {
    async fn new() -> Self {
        let mut lab = Lab::new();
        let n = ROWS;
        let table = |columns: &str| format!("SELECT value AS id, {columns} FROM generate_series(1, {n})");
        let shop = lab.sqlite("shop");
        let orders = rows(&table("value % 97 AS customer, (value * 7919) % 1009 AS amount")).await;
        shop.table("orders", &["id"], &orders);
        let visits = rows(&table("value % 89 AS customer, (value * 31) % 101 AS seconds")).await;
        lab.files("lake").parquet("visits", 300, &visits);
        lab.files("desk").csv("notes", &rows(&table("'note ' || cast(value % 53 AS varchar) AS note")).await);
        let customers =
            rows("SELECT value AS id, 'name ' || cast(value AS varchar) AS name FROM generate_series(0, 96)").await;
        let pieces = customers.iter().flat_map(|batch| {
            (0..batch.num_rows()).step_by(10).map(|at| batch.slice(at, 10.min(batch.num_rows() - at)))
        });
        lab.memory("cache", "main", "customers", pieces.collect());
        for source in SOURCES {
            lab.timeout(source, SOURCE_LIMIT);
            lab.max_concurrency(source, 2);
        }
        let switches = SOURCES.map(|source| (source, lab.chaos(source, ChaosPlan::default())));
        Self { lab, shop, switches: switches.into() }
    }

    /// Small batches, so that there are many places at which a stream can fail.
    fn engine(&self) -> Engine {
        self.lab.engine_with(Settings { batch_size: 128, ..self.lab.settings() })
    }

    fn switch(&self, source: &str) -> &ChaosSwitch {
        &self.switches.iter().find(|(name, _)| *name == source).unwrap().1
    }

    /// Lets this go wrong in one source, and nothing in the others.
    fn spoil(&self, source: &str, plan: ChaosPlan) -> &ChaosSwitch {
        self.switches.iter().for_each(|(_, switch)| switch.clear());
        let switch = self.switch(source);
        switch.set(plan);
        switch
    }

    /// Asserts that what failed left nothing behind: the same query gives the same answer, and a writer may write.
    async fn assert_well(&self, engine: &Engine, sql: &str, wanted: &Answer) {
        self.switches.iter().for_each(|(_, switch)| switch.clear());
        let answer = ask(engine, sql).await.unwrap_or_else(|error| panic!("afterwards {sql}: {error}"));
        assert_same(sql, &answer, wanted);
        self.shop.try_execute("UPDATE orders SET amount = amount WHERE id = 1").unwrap();
    }
}

fn assert_same(sql: &str, answer: &Answer, wanted: &Answer) {
    let (given, wanted) =
        ((answer.schema.as_ref(), &answer.batches[..]), (wanted.schema.as_ref(), &wanted.batches[..]));
    same(sql, given, wanted, Rules::default()).unwrap();
}
