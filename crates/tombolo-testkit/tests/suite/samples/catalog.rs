use tombolo_connector::{RowCount, TableDescription};
use tombolo_engine::Engine;
use tombolo_testkit::harness::{MysqlHarness, PostgresHarness};
use tombolo_testkit::samples::{Sample, Server, film_rental, first_difference, music_shop};
use tombolo_testkit::{Lab, ask};

use super::Loaded;

/// The sample on each server that is there.
async fn everywhere(sample: &Sample) -> Vec<Loaded> {
    let mut loaded = Vec::new();
    for harness in [PostgresHarness::DEBIAN, PostgresHarness::NEWER] {
        loaded.extend(Loaded::postgres(harness, sample).await);
    }
    for harness in MysqlHarness::ALL {
        loaded.extend(Loaded::mysql(harness, sample).await);
    }
    loaded
}

pub(super) fn engine(loaded: &Loaded) -> (Lab, Engine) {
    let mut lab = Lab::new();
    lab.source("s", loaded.kind(), loaded.options());
    let engine = lab.engine();
    (lab, engine)
}

/// What the catalog tells of a table, and what it must tell.
async fn told(engine: &Engine, loaded: &Loaded, sample: &Sample, name: &str) -> (TableDescription, TableDescription) {
    let described = engine.describe_table(&format!("s.\"{name}\"")).await;
    let (source, told) = described.unwrap_or_else(|error| panic!("{name}: {error}: {:?}", error.detail()));
    assert_eq!(source, "s");
    let place = loaded.place();
    let wanted = sample.description(name, &place);
    let mut told = (*told).clone();
    // InnoDB looks at some pages of a table, and takes the others to be like them.
    if let (Server::Mysql, RowCount::Estimated(rows), RowCount::Estimated(all)) =
        (place.server, told.statistics.rows, wanted.statistics.rows)
        && rows.abs_diff(all) <= all / 2
    {
        told.statistics.rows = wanted.statistics.rows;
    }
    (told, wanted)
}

/// Compares all of a catalog.
pub(super) async fn differences(engine: &Engine, loaded: &Loaded, sample: &Sample) -> Vec<String> {
    let mut different = Vec::new();
    let mut listed: Vec<String> =
        engine.list_tables("s").await.unwrap().iter().map(|table| format!("{table}")).collect();
    let schema = loaded.place().schema;
    let mut wanted: Vec<String> = sample.names().iter().map(|name| format!("{schema}.{name}")).collect();
    listed.sort();
    wanted.sort();
    if listed != wanted {
        different.push(format!("the tables are {listed:?} in place of {wanted:?}"));
    }
    for name in sample.names() {
        let (told, wanted) = told(engine, loaded, sample, name).await;
        different.extend(first_difference(&told, &wanted));
        if let Some(rows) = wanted.statistics.rows.value() {
            let counted = ask(engine, &format!("SELECT count(*) AS n FROM s.\"{name}\"")).await.unwrap().table();
            if !counted.contains(&format!("| {rows} ")) {
                different.push(format!("{name} has not {rows} rows but\n{counted}"));
            }
        }
    }
    different.into_iter().map(|difference| format!("{}, {}: {difference}", loaded.title(), sample.name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_of_a_film_rental_says_all_that_there_is() {
    let sample = film_rental();
    assert_eq!((sample.tables.len(), sample.views.len()), (16, 2));
    let mut different = Vec::new();
    for loaded in everywhere(&sample).await {
        different.extend(differences(&engine(&loaded).1, &loaded, &sample).await);
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_of_a_music_shop_says_all_that_there_is() {
    let sample = music_shop();
    assert_eq!((sample.tables.len(), sample.views.len()), (11, 2));
    let mut different = Vec::new();
    for loaded in everywhere(&sample).await {
        let (_lab, engine) = engine(&loaded);
        different.extend(differences(&engine, &loaded, &sample).await);
        // Where names differ in more than case, the case need not be written.
        let plain = ask(&engine, "SELECT count(*) AS n FROM s.invoiceline WHERE quantity > 0").await.unwrap();
        assert!(plain.table().contains(&format!("| {} ", sample.table("InvoiceLine").rows.len())), "{}", plain.table());
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Changes of the film rental's tables, a statement for PostgreSQL and one for MariaDB; the table; and a part of what the first
/// difference must say.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    (
        "COMMENT ON TABLE country IS 'another'",
        "ALTER TABLE country COMMENT = 'another'",
        "country",
        "comment Some(\"another\")",
    ),
    (
        "COMMENT ON COLUMN store.manager_id IS NULL",
        "ALTER TABLE store MODIFY manager_id smallint NOT NULL",
        "store",
        "\"manager_id\": Int16 not null, smallint, Binary, Plain, of its type",
    ),
    (
        "ALTER TABLE city ALTER name DROP NOT NULL",
        "ALTER TABLE city MODIFY name varchar(80) NULL",
        "city",
        "\"name\": Utf8 or null",
    ),
    (
        "ALTER TABLE actor ALTER born TYPE timestamp",
        "ALTER TABLE actor MODIFY born datetime(6) NULL",
        "actor",
        "\"born\": Timestamp",
    ),
    ("DROP INDEX address_by_code", "DROP INDEX address_by_code ON address", "address", "address_by_code"),
    (
        "ALTER TABLE customer DROP CONSTRAINT customer_email",
        "ALTER TABLE customer DROP INDEX customer_email",
        "customer",
        "unique key [\"email\"]",
    ),
    (
        "ALTER TABLE film DROP CONSTRAINT film_original_language",
        "ALTER TABLE film DROP FOREIGN KEY film_original_language",
        "film",
        "foreign key [\"original_language_id\"]",
    ),
    (
        "ALTER TABLE waiting DROP CONSTRAINT waiting_pkey",
        "ALTER TABLE waiting DROP FOREIGN KEY waiting_film, DROP PRIMARY KEY",
        "waiting",
        "primary key []",
    ),
    (
        "ALTER TABLE language ADD COLUMN added bigint",
        "ALTER TABLE language ADD COLUMN added bigint",
        "language",
        "column \"added\"",
    ),
    (
        "DELETE FROM film_category WHERE film_id > 80; ANALYZE film_category",
        "DELETE FROM film_category WHERE film_id > 80",
        "film_category",
        "rows Estimated(",
    ),
    (
        "DROP VIEW takings_of_stores; CREATE TABLE takings_of_stores (store_id smallint, payments bigint, taken numeric)",
        "DROP VIEW takings_of_stores",
        "takings_of_stores",
        "table public.takings_of_stores",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_table_is_the_first_difference() {
    let sample = film_rental();
    let mut servers = Vec::new();
    servers.extend(Loaded::postgres(PostgresHarness::DEBIAN, &sample).await);
    servers.extend(Loaded::mysql(MysqlHarness::MARIADB, &sample).await);
    for loaded in servers {
        let is_postgres = loaded.place().server == Server::Postgres;
        for (on_postgres, on_mysql, table, part) in CHANGES {
            // How many rows MariaDB takes a table to have, and views in place of tables, are PostgreSQL's here.
            if !is_postgres && matches!(*table, "film_category" | "takings_of_stores") {
                continue;
            }
            loaded.run(&[if is_postgres { on_postgres } else { on_mysql }]).await;
            let (told, wanted) = told(&engine(&loaded).1, &loaded, &sample, table).await;
            let difference = first_difference(&told, &wanted);
            let title = loaded.title();
            assert!(difference.as_ref().is_some_and(|said| said.contains(part)), "{title}, {table}: {difference:?}");
        }
    }
}
