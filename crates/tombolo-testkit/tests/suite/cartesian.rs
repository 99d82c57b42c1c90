//! Cartesian products: which are refused, what is said of them, and what `auto_fix` makes of them.

use tombolo_connector::Options;
use tombolo_engine::{Engine, ErrorCode, QueryOptions, Settings};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask, ask_with, rows};

/// A shop in SQLite, with foreign keys; what its visitors did, in memory, with none; and sheets that name nothing alike.
async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE regions (code TEXT PRIMARY KEY, title TEXT);
         INSERT INTO regions VALUES ('n', 'North'), ('s', 'South');
         CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, region TEXT REFERENCES regions (code), boss INTEGER REFERENCES users (id));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO users SELECT i, 'user ' || i, CASE WHEN i % 2 = 0 THEN 'n' ELSE 's' END, i / 2 FROM n;
         CREATE TABLE orders (order_id INTEGER PRIMARY KEY, buyer INTEGER REFERENCES users (id), total INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
         INSERT INTO orders SELECT i, i % 30, i * 3 FROM n;
         CREATE TABLE gifts (id INTEGER PRIMARY KEY, giver INTEGER REFERENCES users (id), taker INTEGER REFERENCES users (id));
         INSERT INTO gifts SELECT i, i, i + 1 FROM (SELECT id AS i FROM users WHERE id < 20);
         CREATE VIEW everybody AS SELECT * FROM users;",
    );
    let visits = "SELECT value AS visit, value % 25 AS user_id, 'user ' || (value % 35) AS who, value % 7 AS pages \
                  FROM generate_series(1, 80)";
    lab.memory("web", "main", "visits", rows(visits).await);
    let payments = "SELECT value AS payment, value * 2 AS order_id, value * 10 AS amount FROM generate_series(1, 30)";
    lab.memory("web", "main", "payments", rows(payments).await);
    let notes = "SELECT value * 100 AS line, 'user ' || value AS about, 'x' AS mark FROM generate_series(1, 30)";
    lab.memory("sheets", "main", "remarks", rows(notes).await);
    lab.memory("sheets", "main", "colours", rows("SELECT 'c' || value AS colour FROM generate_series(1, 50)").await);
    lab
}

fn engine(lab: &Lab) -> Engine {
    lab.engine_with(Settings { max_cartesian_rows: Some(100), ..lab.settings() })
}

fn fixing() -> QueryOptions {
    QueryOptions { auto_fix: true, ..QueryOptions::default() }
}

/// What an error says, part by part.
async fn refused(engine: &Engine, sql: &str, options: QueryOptions) -> String {
    let error = match engine.query(sql, options).await {
        Ok(_) => panic!("{sql} is not refused"),
        Err(error) => error,
    };
    assert_eq!(error.code(), ErrorCode::CartesianProduct, "{sql}: {error}");
    let (detail, hint) = (error.detail().unwrap_or_default(), error.hint().unwrap_or_default());
    format!("{}\n{detail}\n{hint}", error.message())
}

#[tokio::test]
async fn a_product_is_refused_with_its_size_and_the_condition_of_a_foreign_key() {
    let lab = lab().await;
    let sql = "SELECT u.name, o.total FROM shop.users u CROSS JOIN shop.orders o";
    insta::assert_snapshot!(refused(&engine(&lab), sql, QueryOptions::default()).await, @r"
    a Cartesian product: u (40) × o (60) = 2,400 rows
    no condition is about both u and o; the most is `max_cartesian_rows`, 100 rows
    Add `ON u.id = o.buyer` (a foreign key of orders); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
}

#[tokio::test]
async fn names_and_types_say_it_where_no_foreign_key_does() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT count(*) FROM shop.users, web.visits";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: users (40) × visits (80) = 3,200 rows
    no condition is about both users and visits; the most is `max_cartesian_rows`, 100 rows
    Add `WHERE users.id = visits.user_id` (by names and types); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
    let sql = "SELECT count(*) FROM web.payments p JOIN shop.orders o ON true";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: p (30) × o (60) = 1,800 rows
    no condition is about both p and o; the most is `max_cartesian_rows`, 100 rows
    Add `ON p.order_id = o.order_id` (by names and types); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
}

#[tokio::test]
async fn sampled_values_say_it_where_names_do_not() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT count(*) FROM web.visits v CROSS JOIN sheets.remarks r";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: v (80) × r (30) = 2,400 rows
    no condition is about both v and r; the most is `max_cartesian_rows`, 100 rows
    Add `ON v.who = r.about` (30 of 30 sampled values are on both sides); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
}

/// A key is unique among the rows of its table, and not among those of a join.
#[tokio::test]
async fn a_key_that_a_join_repeats_makes_no_single_row() {
    let lab = lab().await;
    let engine = engine(&lab);
    let joined = "SELECT u.id, o.order_id FROM shop.users u JOIN shop.orders o ON o.buyer = u.id";
    for sql in [
        format!("SELECT count(*) FROM web.visits v CROSS JOIN ({joined} LIMIT 50) s WHERE s.id = 7"),
        format!(
            "SELECT count(*) FROM ({joined}) s JOIN shop.users p ON p.id = s.id CROSS JOIN (SELECT * FROM web.visits LIMIT 2) v"
        ),
    ] {
        assert!(refused(&engine, &sql, QueryOptions::default()).await.contains("Cartesian product"), "{sql}");
    }
}

/// Of a large table only the first rows are sampled; what is sampled of the other is looked for in all of it.
#[tokio::test]
async fn sampled_values_are_looked_for_in_all_of_a_large_table() {
    let mut lab = Lab::new();
    let seen = "SELECT 'k' || value AS seen, value * 3 AS weighed FROM generate_series(1, 7000)";
    lab.memory("a", "main", "events", rows(seen).await);
    let marks = "SELECT 'k' || (value + 6500) AS mark, 'other ' || value AS remark FROM generate_series(1, 60)";
    lab.memory("b", "main", "marks", rows(marks).await);
    let sql = "SELECT * FROM a.events CROSS JOIN b.marks";
    let said = refused(&engine(&lab), sql, QueryOptions::default()).await;
    assert!(said.contains("`ON events.seen = marks.mark` (60 of 60 sampled values are on both sides)"), "{said}");
}

/// Both tables number their rows from 1; what refers to the other's is kept as text.
#[tokio::test]
async fn numbers_of_rows_say_nothing_and_numbers_as_text_do() {
    let mut lab = Lab::new();
    lab.memory("a", "main", "members", rows("SELECT value AS id, 'm' AS sort FROM generate_series(1, 200)").await);
    let orders = "SELECT value AS order_id, cast(value % 150 + 1 AS varchar) AS user_id, value % 9 AS pieces \
                  FROM generate_series(1, 400)";
    lab.memory("b", "main", "orders", rows(orders).await);
    let sql = "SELECT * FROM a.members m CROSS JOIN b.orders o";
    let said = refused(&engine(&lab), sql, QueryOptions::default()).await;
    assert!(said.contains("`ON m.id = o.user_id` (150 of 150 sampled values are on both sides)"), "{said}");
    let sql = "SELECT count(*) AS n FROM a.members m CROSS JOIN (SELECT user_id AS member_id FROM b.orders) o";
    let said = refused(&engine(&lab), sql, QueryOptions::default()).await;
    assert!(said.contains("`ON m.id = o.member_id` (by names)"), "{said}");
    let (answer, _) = fixed(&engine(&lab), sql).await;
    let wanted = ask(&engine(&lab), "SELECT count(*) AS n FROM b.orders").await.unwrap();
    assert_eq!(answer.table(), wanted.table());
}

/// Six small numbers are among the numbers of everything.
#[tokio::test]
async fn few_small_numbers_say_nothing() {
    let mut lab = Lab::new();
    let members = "SELECT value AS id, value % 6 + 1 AS region_id FROM generate_series(1, 200)";
    lab.memory("a", "main", "members", rows(members).await);
    let orders = "SELECT value AS order_id, value % 90 AS buyer_id FROM generate_series(1, 400)";
    lab.memory("b", "main", "orders", rows(orders).await);
    let sql = "SELECT * FROM (SELECT region_id FROM a.members) m CROSS JOIN b.orders o";
    let said = refused(&engine(&lab), sql, fixing()).await;
    assert!(said.contains("found no condition"), "{said}");
    let said = refused(&engine(&lab), "SELECT * FROM a.members m CROSS JOIN b.orders o", QueryOptions::default()).await;
    assert!(said.contains("`ON m.id = o.buyer_id` (89 of 90 sampled values are on both sides)"), "{said}");
}

#[tokio::test]
async fn nothing_is_suggested_where_nothing_says_anything() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT count(*) FROM shop.users CROSS JOIN sheets.colours";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: users (40) × colours (50) = 2,000 rows
    no condition is about both users and colours; the most is `max_cartesian_rows`, 100 rows
    Join them ON a condition. --allow-cartesian runs it as it is.
    ");
    insta::assert_snapshot!(refused(&engine, sql, fixing()).await, @r"
    a Cartesian product: users (40) × colours (50) = 2,000 rows
    --auto-fix found no condition: no foreign key, name or sampled value says how users and colours belong together
    Join them ON a condition. --allow-cartesian runs the query as it is.
    ");
}

#[tokio::test]
async fn of_two_conditions_alike_none_is_chosen() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT count(*) FROM shop.users u, shop.gifts g";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: u (40) × g (19) = 760 rows
    no condition is about both u and g; the most is `max_cartesian_rows`, 100 rows
    Join them ON u.id = g.taker or ON u.id = g.giver, of which neither is likelier. --allow-cartesian runs it as it is.
    ");
    let itself = refused(&engine, "SELECT count(*) FROM shop.users a, shop.users b", fixing()).await;
    assert!(itself.contains("cannot choose between a.boss = b.id"), "{itself}");
    insta::assert_snapshot!(refused(&engine, sql, fixing()).await, @r"
    a Cartesian product: u (40) × g (19) = 760 rows
    --auto-fix cannot choose between u.id = g.taker (a foreign key of gifts) and u.id = g.giver (a foreign key of gifts)
    Write the one that is meant after ON. --allow-cartesian runs the query as it is.
    ");
}

#[tokio::test]
async fn the_size_is_told_for_people() {
    let mut lab = Lab::new();
    let file = lab.sqlite("big");
    file.execute(
        "CREATE TABLE users (id INTEGER PRIMARY KEY);
         CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER);
         INSERT INTO users VALUES (3200000);
         INSERT INTO orders VALUES (12400000, 1);",
    );
    // Without a look at the rows, the greatest row id is what the source knows of their number.
    let options = Options::default().with("path", file.path().to_str().unwrap()).with("verify_types", "never");
    lab.source("trusted", "sqlite", options);
    let engine = lab.engine();
    let sql = "SELECT * FROM trusted.users, trusted.orders";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: users (about 3.2M) × orders (about 12.4M) = about 39.7 trillion rows
    no condition is about both users and orders; the most is `max_cartesian_rows`, 1 million rows
    Add `WHERE users.id = orders.user_id` (by names and types); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
    let sql = "SELECT * FROM trusted.users, trusted.orders WHERE orders.user_id > 5 AND users.id < 1000";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: users (about 1.1M) × orders (about 4.1M) = about 4.4 trillion rows
    no condition is about both users and orders; the most is `max_cartesian_rows`, 1 million rows
    Add `WHERE users.id = orders.user_id` (by names and types); --auto-fix adds it and runs the query. --allow-cartesian runs it as it is.
    ");
}

#[tokio::test]
async fn a_size_that_is_not_known_is_refused() {
    let mut lab = Lab::new();
    let file = lab.sqlite("shop");
    file.execute(
        "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE VIEW v AS SELECT a AS b FROM t;",
    );
    let options = Options::default().with("path", file.path().to_str().unwrap()).with("verify_types", "never");
    lab.source("trusted", "sqlite", options);
    let engine = lab.engine();
    let sql = "SELECT * FROM trusted.t CROSS JOIN trusted.v";
    insta::assert_snapshot!(refused(&engine, sql, QueryOptions::default()).await, @r"
    a Cartesian product: t (about 2) × v (size not known)
    no condition is about both t and v; the most is `max_cartesian_rows`, 1 million rows
    Join them ON a condition. --allow-cartesian runs it as it is.
    ");
    for sql in [
        "SELECT * FROM trusted.v CROSS JOIN (SELECT max(a) FROM trusted.t)",
        "SELECT * FROM trusted.t CROSS JOIN (SELECT * FROM trusted.v LIMIT 3)",
        "SELECT * FROM trusted.t CROSS JOIN trusted.v LIMIT 3",
    ] {
        ask(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[tokio::test]
async fn what_is_no_danger_runs() {
    let lab = lab().await;
    let engine = engine(&lab);
    for sql in [
        // One row on a side.
        "SELECT u.id, t.n FROM shop.users u CROSS JOIN (SELECT count(*) AS n FROM shop.orders) t",
        "SELECT u.id, t.total FROM shop.users u, (SELECT total FROM shop.orders ORDER BY total LIMIT 1) t",
        "SELECT u.id, t.x FROM shop.users u CROSS JOIN (VALUES (1)) AS t(x)",
        "SELECT u.id, o.total FROM shop.users u CROSS JOIN shop.orders o WHERE o.order_id = 7",
        "SELECT u.id, (SELECT max(total) FROM shop.orders) AS most FROM shop.users u",
        "SELECT id FROM shop.users WHERE id > (SELECT avg(pages) FROM web.visits)",
        "WITH most AS (SELECT max(total) AS total FROM shop.orders) SELECT u.id FROM shop.users u, most",
        // Small.
        "SELECT u.id, r.title FROM shop.users u CROSS JOIN shop.regions r",
        "SELECT u.id, n.value FROM shop.users u CROSS JOIN generate_series(1, 2) n",
        "SELECT u.id, n.x FROM shop.users u, (VALUES (1), (2)) AS n(x)",
        "SELECT a.i, b.x FROM (SELECT unnest([1, 2, 3]) AS i) a CROSS JOIN (VALUES (1), (2)) b(x)",
        "SELECT * FROM shop.users CROSS JOIN shop.orders LIMIT 5",
        "SELECT * FROM shop.users, shop.orders WHERE false",
        // Joined after all.
        "SELECT count(*) FROM shop.users u, shop.orders o WHERE o.buyer = u.id",
        "SELECT count(*) FROM shop.users u CROSS JOIN shop.orders o JOIN web.payments p ON p.order_id = o.order_id AND p.payment = u.id",
        "SELECT count(*) FROM shop.users u, shop.orders o, web.visits v WHERE v.user_id = u.id AND o.buyer = v.user_id",
        "SELECT count(*) FROM shop.users u CROSS JOIN shop.orders o WHERE o.buyer + 1 = u.id * 2",
        // Joined by another condition than an equality.
        "SELECT count(*) FROM shop.users u JOIN shop.orders o ON o.buyer < u.id",
        "SELECT count(*) FROM shop.users u JOIN web.visits v ON v.who LIKE u.name || '%'",
        "SELECT count(*) FROM shop.users u JOIN shop.orders o ON o.buyer = u.id OR o.total = u.boss",
        "SELECT count(*) FROM shop.users u JOIN shop.orders o ON o.buyer IS NOT DISTINCT FROM u.id",
        // A partner is looked for, not every pair.
        "SELECT id FROM shop.users WHERE EXISTS (SELECT 1 FROM shop.orders)",
        "SELECT id FROM shop.users WHERE id NOT IN (SELECT order_id FROM shop.orders)",
        "SELECT id FROM shop.users WHERE id = 1 OR EXISTS (SELECT 1 FROM shop.orders WHERE buyer = users.id)",
    ] {
        ask(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let limited = QueryOptions { limit: Some(5), ..QueryOptions::default() };
    ask_with(&engine, "SELECT * FROM shop.users, shop.orders", limited).await.unwrap();
}

#[tokio::test]
async fn products_are_found_wherever_they_are() {
    let lab = lab().await;
    let engine = engine(&lab);
    for sql in [
        "SELECT * FROM shop.users JOIN shop.orders ON orders.buyer = 3 OR orders.buyer = 4",
        "SELECT * FROM shop.users u JOIN shop.orders o ON o.buyer > o.order_id",
        "SELECT * FROM shop.users u LEFT JOIN shop.orders o ON true",
        "SELECT * FROM shop.users u FULL JOIN shop.orders o ON 1 = 1",
        "SELECT count(*) FROM (SELECT u.id FROM shop.users u, shop.orders o) t",
        "WITH w AS (SELECT u.id FROM shop.users u, shop.orders o) SELECT max(id) FROM w",
        "SELECT 1 UNION ALL SELECT u.id FROM shop.users u, shop.orders o",
        "SELECT name FROM shop.users WHERE id IN (SELECT u.boss FROM shop.users u, shop.orders o)",
        "SELECT name FROM shop.users WHERE id > (SELECT count(*) FROM shop.users u, shop.orders o)",
        "SELECT * FROM shop.users u CROSS JOIN generate_series(1, 50) n",
        "SELECT * FROM shop.users u, shop.orders o, web.visits v WHERE u.id = v.user_id",
        "SELECT * FROM shop.users u, shop.orders o ORDER BY u.name LIMIT 3",
        "SELECT * FROM shop.users u, shop.orders o WHERE u.id + o.buyer > 0 OR true",
    ] {
        let error = engine.query(sql, QueryOptions::default()).await.err().map(|error| error.code());
        assert_eq!(error, Some(ErrorCode::CartesianProduct), "{sql}");
        let allowed = QueryOptions { allow_cartesian: true, ..QueryOptions::default() };
        let answer = ask_with(&engine, sql, allowed).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let notice = "a Cartesian product was allowed: ";
        assert!(answer.receipt.notices.iter().any(|said| said.starts_with(notice)), "{:?}", answer.receipt.notices);
    }
    let unlimited = lab.engine_with(Settings { max_cartesian_rows: None, ..lab.settings() });
    let answer = ask(&unlimited, "SELECT count(*) FROM shop.users, shop.orders").await.unwrap();
    assert_eq!(answer.receipt.notices, Vec::<String>::new());
}

async fn fixed(engine: &Engine, sql: &str) -> (Answer, String) {
    let running =
        engine.query(sql, fixing()).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail()));
    let change = running.change().unwrap_or_else(|| panic!("{sql} was not changed"));
    drop(running);
    let answer = ask_with(engine, sql, fixing()).await.unwrap();
    assert_eq!(answer.receipt.statement, sql);
    assert!(answer.receipt.notices.iter().any(|notice| notice.contains("the statement was changed: ")));
    (answer, change.after)
}

#[tokio::test]
async fn auto_fix_runs_what_was_meant() {
    let lab = lab().await;
    let engine = engine(&lab);
    for (sql, meant) in [
        (
            "SELECT u.name, o.total FROM shop.users u CROSS JOIN shop.orders o",
            "SELECT u.name, o.total FROM shop.users u JOIN shop.orders o ON o.buyer = u.id",
        ),
        (
            "SELECT users.name, orders.total FROM shop.users, shop.orders WHERE total > 30 OR total < 10",
            "SELECT users.name, orders.total FROM shop.users JOIN shop.orders ON buyer = id WHERE total > 30 OR total < 10",
        ),
        (
            "SELECT u.name, o.total FROM shop.users u LEFT JOIN shop.orders o ON true",
            "SELECT u.name, o.total FROM shop.users u LEFT JOIN shop.orders o ON o.buyer = u.id",
        ),
        (
            "SELECT u.name, o.total FROM shop.users u LEFT JOIN shop.orders o ON o.total > 20",
            "SELECT u.name, o.total FROM shop.users u LEFT JOIN shop.orders o ON o.buyer = u.id AND o.total > 20",
        ),
        (
            "SELECT v.visit, u.name FROM web.visits v JOIN shop.users u ON 1 = 1 WHERE v.pages > 2",
            "SELECT v.visit, u.name FROM web.visits v JOIN shop.users u ON u.id = v.user_id WHERE v.pages > 2",
        ),
        (
            "SELECT count(*) AS n FROM (SELECT id, name FROM shop.users WHERE id > 3) u, (SELECT * FROM shop.orders) o",
            "SELECT count(*) AS n FROM shop.users u JOIN shop.orders o ON o.buyer = u.id WHERE u.id > 3",
        ),
        (
            "WITH w AS (SELECT u.id, o.total FROM shop.users u, shop.orders o) SELECT sum(total) AS s FROM w",
            "SELECT sum(o.total) AS s FROM shop.users u JOIN shop.orders o ON o.buyer = u.id",
        ),
        (
            "WITH o AS (SELECT buyer, total FROM shop.orders) SELECT u.id, o.total FROM o CROSS JOIN shop.users u",
            "SELECT u.id, o.total FROM shop.users u JOIN shop.orders o ON o.buyer = u.id",
        ),
        (
            "SELECT name FROM shop.users WHERE id IN (SELECT u.boss FROM shop.users u, shop.orders o WHERE o.total > 100)",
            "SELECT name FROM shop.users WHERE id IN (SELECT u.boss FROM shop.users u, shop.orders o WHERE o.total > 100 AND o.buyer = u.id)",
        ),
        (
            "SELECT u.id, o.total, p.amount FROM shop.users u, shop.orders o, web.payments p",
            "SELECT u.id, o.total, p.amount FROM shop.users u JOIN shop.orders o ON o.buyer = u.id JOIN web.payments p ON p.order_id = o.order_id",
        ),
        (
            "SELECT u.id, o.total, p.amount FROM web.payments p CROSS JOIN shop.users u CROSS JOIN shop.orders o",
            "SELECT u.id, o.total, p.amount FROM shop.users u JOIN shop.orders o ON o.buyer = u.id JOIN web.payments p ON p.order_id = o.order_id",
        ),
        (
            "SELECT u.id, o.total, p.amount FROM shop.users u JOIN shop.orders o ON o.buyer = u.id CROSS JOIN web.payments p",
            "SELECT u.id, o.total, p.amount FROM shop.users u JOIN shop.orders o ON o.buyer = u.id JOIN web.payments p ON p.order_id = o.order_id",
        ),
        (
            "SELECT u.id FROM shop.users u, shop.orders o UNION ALL SELECT u.id FROM shop.users u CROSS JOIN shop.orders o",
            "SELECT u.id FROM shop.users u JOIN shop.orders o ON o.buyer = u.id UNION ALL SELECT u.id FROM shop.users u JOIN shop.orders o ON o.buyer = u.id",
        ),
        (
            "SELECT v.visit, r.line FROM web.visits v, sheets.remarks r",
            "SELECT v.visit, r.line FROM web.visits v JOIN sheets.remarks r ON r.about = v.who",
        ),
    ] {
        let (answer, after) = fixed(&engine, sql).await;
        let wanted = ask(&engine, meant).await.unwrap_or_else(|error| panic!("{meant}: {error}"));
        assert!(wanted.rows() > 0, "{meant}");
        same(sql, (&answer.schema, &answer.batches), (&wanted.schema, &wanted.batches), Rules::default())
            .unwrap_or_else(|difference| panic!("{sql}\n{after}\n{difference}"));
    }
}

#[tokio::test]
async fn auto_fix_leaves_alone_what_needs_no_mending() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT u.name, o.total FROM shop.users u JOIN shop.orders o ON o.buyer = u.id";
    let running = engine.query(sql, fixing()).await.unwrap();
    assert_eq!(running.change(), None);
    let sql = "SELECT * FROM shop.users CROSS JOIN shop.regions";
    assert_eq!(engine.query(sql, fixing()).await.unwrap().change(), None);
}

#[tokio::test]
async fn an_explanation_tells_the_change() {
    let lab = lab().await;
    let engine = engine(&lab);
    let sql = "SELECT u.name, o.total FROM shop.users u CROSS JOIN shop.orders o WHERE o.total > 5";
    let (explanation, _) = engine.explain(sql, true, fixing()).await.unwrap();
    let change = explanation.change.unwrap();
    insta::assert_snapshot!(change.after, @r"
    SELECT
      u.name,
      o.total
    FROM
      shop.users u
      JOIN shop.orders o ON u.id = o.buyer
    WHERE
      o.total > 5
    ");
    insta::assert_snapshot!(change.reasons.join("\n"), @"`ON u.id = o.buyer` (a foreign key of orders)");
    insta::assert_snapshot!(explanation.notices.join("\n"), @"the statement was changed: `ON u.id = o.buyer` (a foreign key of orders) was added, which it lacked between u and o");
}
