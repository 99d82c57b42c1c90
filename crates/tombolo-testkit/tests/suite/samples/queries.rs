use std::cell::RefCell;
use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use tombolo_engine::Engine;
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::harness::{MysqlHarness, PostgresHarness};
use tombolo_testkit::samples::{Sample, Server, film_rental, music_shop};
use tombolo_testkit::{Answer, Lab, Reference, ask};

use super::Loaded;

/// A query, in which `@` stands before each table's name.
struct Query {
    sql: &'static str,
    /// The sub-queries that it takes where all its tables are in PostgreSQL, and where they are in MariaDB.
    parts: [usize; 2],
}

/// A query that is one sub-query wherever all its tables are in one server.
const fn whole(sql: &'static str) -> Query {
    Query { sql, parts: [1, 1] }
}

/// A query of which a server does not do everything; `explain` says why.
const fn in_parts(parts: [usize; 2], sql: &'static str) -> Query {
    Query { sql, parts }
}

const RENTALS: &[Query] = &[
    whole(
        "SELECT film_id, title, synopsis, released, class, rental_rate, changed FROM @film \
         WHERE released >= 1980 AND class IN ('12+', 'adults''') ORDER BY film_id",
    ),
    whole(
        "SELECT c.customer_id, c.last_name, a.street, ci.name AS city, co.name AS country FROM @customer c \
         JOIN @address a ON a.address_id = c.address_id JOIN @city ci ON ci.city_id = a.city_id \
         JOIN @country co ON co.country_id = ci.country_id WHERE co.code <> 'DE' ORDER BY c.customer_id",
    ),
    // Two foreign keys to one table.
    whole(
        "SELECT f.film_id, l.name AS spoken, o.name AS original FROM @film f \
         JOIN @language l ON l.language_id = f.language_id \
         LEFT JOIN @language o ON o.language_id = f.original_language_id ORDER BY f.film_id",
    ),
    // A foreign key of two columns.
    whole(
        "SELECT i.store_id, i.copy, count(r.rental_id) AS times, max(r.taken) AS latest, min(r.returned) AS earliest \
         FROM @inventory i LEFT JOIN @rental r ON r.store_id = i.store_id AND r.copy = i.copy \
         GROUP BY i.store_id, i.copy ORDER BY 1, 2",
    ),
    // Two tables that refer to each other.
    whole(
        "SELECT s.store_id, m.login AS manager, w.login AS worker, s.opened FROM @store s \
         JOIN @staff m ON m.staff_id = s.manager_id JOIN @staff w ON w.store_id = s.store_id ORDER BY 1, 3",
    ),
    whole(
        "SELECT c.customer_id, c.first_name, c.note FROM @customer c \
         WHERE NOT EXISTS (SELECT 1 FROM @rental r WHERE r.customer_id = c.customer_id) ORDER BY 1",
    ),
    whole(
        "SELECT film_id, title FROM @film WHERE film_id NOT IN (SELECT film_id FROM @inventory) ORDER BY title, film_id",
    ),
    whole(
        "SELECT co.name, count(*) AS customers, count(DISTINCT c.store_id) AS stores FROM @customer c \
         JOIN @address a ON a.address_id = c.address_id JOIN @city ci ON ci.city_id = a.city_id \
         JOIN @country co ON co.country_id = ci.country_id GROUP BY co.name HAVING count(*) > 3 ORDER BY 2 DESC, 1",
    ),
    whole(
        "SELECT s.store_id, sum(p.amount) AS taken, count(p.rental_id) AS rentals, min(p.paid) AS earliest \
         FROM @payment p JOIN @staff s ON s.staff_id = p.staff_id WHERE p.amount > 0 GROUP BY s.store_id ORDER BY 1",
    ),
    whole(
        "SELECT g.name, f.title, f.rental_rate, \
         row_number() OVER (PARTITION BY g.category_id ORDER BY f.rental_rate DESC, f.film_id) AS place \
         FROM @film f JOIN @film_category fc ON fc.film_id = f.film_id \
         JOIN @category g ON g.category_id = fc.category_id ORDER BY g.category_id, place",
    ),
    whole(
        "SELECT first_name FROM @staff UNION SELECT first_name FROM @actor UNION SELECT first_name FROM @customer \
         ORDER BY first_name",
    ),
    // MariaDB has no full join, and PostgreSQL none under a condition of one side.
    in_parts(
        [2, 2],
        "SELECT a.actor_id, a.last_name, fa.film_id, fa.part FROM @film_actor fa \
         FULL JOIN @actor a ON a.actor_id = fa.actor_id AND fa.billing = 1 ORDER BY 1, 3",
    ),
    whole(
        "SELECT v.category, count(*) AS films, count(v.original) AS dubbed FROM @film_list v \
         JOIN @film f ON f.film_id = v.film_id WHERE f.minutes > 60 GROUP BY v.category ORDER BY 1",
    ),
    whole(
        "SELECT t.store_id, t.payments, t.taken, s.opened FROM @takings_of_stores t \
         JOIN @store s ON s.store_id = t.store_id ORDER BY 1",
    ),
    whole(
        "SELECT w.film_id, f.title FROM @waiting w RIGHT JOIN @film f ON f.film_id = w.film_id \
         WHERE f.original_language_id IS NOT NULL ORDER BY f.title, f.film_id LIMIT 9 OFFSET 4",
    ),
];

const MUSIC: &[Query] = &[
    whole(
        "SELECT r.\"Name\", count(*) AS lines, sum(l.\"Quantity\") AS sold FROM @\"InvoiceLine\" l \
         JOIN @\"Track\" t ON t.\"TrackId\" = l.\"TrackId\" JOIN @\"Album\" a ON a.\"AlbumId\" = t.\"AlbumId\" \
         JOIN @\"Artist\" r ON r.\"ArtistId\" = a.\"ArtistId\" GROUP BY r.\"Name\" ORDER BY 1",
    ),
    // A table that refers to itself.
    whole(
        "SELECT e.\"EmployeeId\", e.\"LastName\", e.\"IsRemote\", h.\"LastName\" AS \"Head\", h.\"HireDate\" \
         FROM @\"Employee\" e LEFT JOIN @\"Employee\" h ON h.\"EmployeeId\" = e.\"ReportsTo\" ORDER BY 1",
    ),
    whole(
        "SELECT e.\"EmployeeId\" FROM @\"Employee\" e WHERE NOT EXISTS (SELECT 1 FROM @\"Employee\" b \
         WHERE b.\"ReportsTo\" = e.\"EmployeeId\") ORDER BY 1",
    ),
    whole(
        "SELECT c.\"CustomerId\", c.\"Email\", count(i.\"InvoiceId\") AS \"Invoices\" FROM @\"Customer\" c \
         LEFT JOIN @\"Invoice\" i ON i.\"CustomerId\" = c.\"CustomerId\" GROUP BY 1, 2 ORDER BY 3 DESC, 1",
    ),
    whole(
        "SELECT g.\"GenreId\", g.\"Name\", count(t.\"TrackId\") AS \"Tracks\", max(t.\"Bytes\") AS \"Largest\" \
         FROM @\"Genre\" g LEFT JOIN @\"Track\" t ON t.\"GenreId\" = g.\"GenreId\" \
         GROUP BY g.\"GenreId\", g.\"Name\" ORDER BY 1",
    ),
    whole(
        "SELECT p.\"PlaylistId\", p.\"Name\", count(x.\"TrackId\") AS \"Tracks\" FROM @\"Playlist\" p \
         LEFT JOIN @\"PlaylistTrack\" x ON x.\"PlaylistId\" = p.\"PlaylistId\" \
         GROUP BY p.\"PlaylistId\", p.\"Name\" HAVING count(x.\"TrackId\") < 60 ORDER BY 1",
    ),
    whole(
        "SELECT \"CustomerId\", \"InvoiceId\", \"Total\", \
         rank() OVER (PARTITION BY \"CustomerId\" ORDER BY \"Total\" DESC) AS \"Place\", \
         lag(\"InvoiceDate\") OVER (PARTITION BY \"CustomerId\" ORDER BY \"InvoiceId\") AS \"Before\" \
         FROM @\"Invoice\" ORDER BY \"CustomerId\", \"InvoiceId\"",
    ),
    // No invoice is another than the sum of its lines.
    whole(
        "SELECT i.\"InvoiceId\", i.\"Total\", sum(l.\"UnitPrice\" * l.\"Quantity\") AS \"Sum\" FROM @\"Invoice\" i \
         JOIN @\"InvoiceLine\" l ON l.\"InvoiceId\" = i.\"InvoiceId\" GROUP BY i.\"InvoiceId\", i.\"Total\" \
         HAVING sum(l.\"UnitPrice\" * l.\"Quantity\") <> i.\"Total\"",
    ),
    whole(
        "SELECT \"LastName\", \"FirstName\", 'customer' AS \"Role\" FROM @\"Customer\" UNION ALL \
         SELECT \"LastName\", \"FirstName\", 'employee' FROM @\"Employee\" ORDER BY 1, 2, 3",
    ),
    whole(
        "SELECT m.\"Name\", count(t.\"Loudness\") AS \"Known\", min(t.\"Loudness\") AS \"Least\", \
         avg(t.\"Loudness\") AS \"Mean\" FROM @\"MediaType\" m \
         LEFT JOIN @\"Track\" t ON t.\"MediaTypeId\" = m.\"MediaTypeId\" GROUP BY m.\"Name\" ORDER BY 1",
    ),
    whole(
        "SELECT v.\"Artist\", v.\"Track Name\", l.\"InvoiceLineId\" FROM @\"Track List\" v \
         JOIN @\"InvoiceLine\" l ON l.\"TrackId\" = v.\"TrackId\" WHERE l.\"Quantity\" = 3 ORDER BY 3",
    ),
    whole(
        "SELECT c.\"Country\", s.\"Invoices\", s.\"Spent\" FROM @\"InvoiceTotals\" s \
         JOIN @\"Customer\" c ON c.\"CustomerId\" = s.\"CustomerId\" ORDER BY s.\"Spent\" DESC, c.\"CustomerId\" LIMIT 12",
    ),
    // Keys of text, and what differs in case alone.
    whole(
        "SELECT c.\"CustomerId\", i.\"InvoiceId\" FROM @\"Customer\" c JOIN @\"Invoice\" i \
         ON i.\"BillingCountry\" = c.\"Country\" AND i.\"CustomerId\" = c.\"CustomerId\" \
         WHERE c.\"Email\" LIKE 'buyer%' ORDER BY 2",
    ),
    whole(
        "SELECT t.\"TrackId\", a.\"Released On\" FROM @\"Track\" t JOIN @\"Genre\" g ON g.\"GenreId\" = t.\"GenreId\" \
         LEFT JOIN @\"Album\" a ON a.\"AlbumId\" = t.\"AlbumId\" WHERE g.\"Name\" = 'ambient' AND t.\"Composer\" <> '' \
         ORDER BY 1",
    ),
];

/// The tables of both samples that are in one server where the others are in the other one: the ends of most foreign keys are apart.
const ONE_HALF: &[&str] = &[
    "actor",
    "address",
    "category",
    "country",
    "film",
    "payment",
    "rental",
    "store",
    "Artist",
    "Employee",
    "Invoice",
    "InvoiceTotals",
    "Playlist",
    "Track",
    "Track List",
];

/// A sample in PostgreSQL and in MariaDB, and in plain DataFusion under the same names.
struct Pair {
    sample: Sample,
    engine: Engine,
    reference: Reference,
    _lab: Lab,
    _sites: [Loaded; 2],
}

impl Pair {
    async fn new(sample: Sample) -> Option<Self> {
        let postgres = Loaded::postgres(PostgresHarness::DEBIAN, &sample).await?;
        let maria = Loaded::mysql(MysqlHarness::MARIADB, &sample).await?;
        let mut lab = Lab::new();
        lab.source("pg", postgres.kind(), postgres.options());
        lab.source("maria", maria.kind(), maria.options());
        let reference = Reference::careful();
        sample.add_to(&reference, "pg", Server::Postgres).await;
        sample.add_to(&reference, "maria", Server::Mysql).await;
        Some(Self { sample, engine: lab.engine(), reference, _lab: lab, _sites: [postgres, maria] })
    }

    /// The answer to a query, which is that of plain DataFusion.
    async fn answer(&self, sql: &str) -> Result<Answer, String> {
        let (schema, rows) = self.reference.ask(sql).await.map_err(|error| format!("{error} in {sql}"))?;
        let answer = ask(&self.engine, sql).await;
        let answer = answer.map_err(|error| format!("{sql}: {error}: {:?} {:?}", error.detail(), error.hint()))?;
        same(sql, (&answer.schema, &answer.batches), (&schema, &rows), Rules::default())
            .map_err(|difference| format!("{sql}: {difference}"))?;
        Ok(answer)
    }

    /// The query with half of the tables in each server. What is named twice is in both, each time in another.
    fn halves(&self, sql: &str, first: usize) -> String {
        let seen = RefCell::new(Vec::new());
        let place = |name: &str| {
            assert!(self.sample.names().contains(&name), "no table {name}");
            let times = seen.borrow().iter().filter(|known| *known == name).count();
            seen.borrow_mut().push(name.to_owned());
            let half = usize::from(ONE_HALF.contains(&name));
            ["pg.", "maria."][(half + times + first) % 2].to_owned()
        };
        Sample::placed(sql, place)
    }

    /// All rows of all tables and views, and the queries within a server and across the two.
    async fn check(&self, queries: &[Query]) {
        let mut wrong = Vec::new();
        for name in self.sample.names() {
            for source in ["pg", "maria"] {
                let answer = self.answer(&format!("SELECT * FROM {source}.\"{name}\"")).await;
                wrong.extend(answer.err());
            }
        }
        let (mut rows, mut across) = (0, 0);
        for query in queries {
            for (source, parts) in ["pg.", "maria."].into_iter().zip(query.parts) {
                let sql = Sample::placed(query.sql, |_| source.to_owned());
                match self.answer(&sql).await {
                    Err(difference) => wrong.push(difference),
                    Ok(answer) => {
                        rows += answer.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
                        let asked = &answer.receipt.sub_queries;
                        let told: Vec<_> = asked.iter().map(|part| (&part.native, &part.not_pushed)).collect();
                        if asked.len() != parts {
                            wrong.push(format!("{sql}: {} sub-queries in place of {parts}: {told:#?}", asked.len()));
                        }
                        if parts > 1 && asked.iter().all(|part| part.not_pushed.is_empty()) {
                            wrong.push(format!("{sql}: nothing says why it is not one sub-query"));
                        }
                    }
                }
            }
            for first in [0, 1] {
                let sql = self.halves(query.sql, first);
                match self.answer(&sql).await {
                    Err(difference) => wrong.push(difference),
                    Ok(answer) => {
                        let sources = answer.receipt.sub_queries.iter().map(|part| part.source.as_str());
                        across += usize::from(sources.collect::<BTreeSet<_>>().len() == 2);
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
        assert!(rows > queries.len() * 40, "{rows} rows are too few to tell an answer by");
        // A few queries have one table alone.
        assert!(across >= queries.len() * 3 / 2, "{across} queries went to both servers");
        eprintln!("{}: {rows} rows within a server, {across} queries across two", self.sample.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_over_a_film_rental_are_right_within_a_server_and_across_two() {
    let Some(pair) = Pair::new(film_rental()).await else { return };
    pair.check(RENTALS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_over_a_music_shop_are_right_within_a_server_and_across_two() {
    let Some(pair) = Pair::new(music_shop()).await else { return };
    pair.check(MUSIC).await;
}
