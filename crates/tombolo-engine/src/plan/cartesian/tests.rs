use datafusion::common::TableReference;

use super::evidence::{Candidate, Evidence};
use super::rewrite::rewritten;
use crate::parse::parse_query;
use crate::plan::size::{How, Size, long};

#[test]
fn numbers_are_written_for_people() {
    let size = |rows| Size { rows, how: How::Exact }.to_string();
    let seen =
        [0.0, 7.0, 999.0, 8_120.0, 9_999.0, 10_000.0, 850_000.0, 999_960.0, 3_200_000.0, 12_449_000.0, 1.2e9, 4e13]
            .map(size);
    assert_eq!(seen, ["0", "7", "999", "8,120", "9,999", "10k", "850k", "1M", "3.2M", "12.4M", "1.2B", "40T"]);
    let seen = [999.0, 120_000.0, 999_999.0, 2.5e6, 3.2e6 * 12.4e6, 1e15, 2e19, 1e25].map(long);
    assert_eq!(
        seen,
        ["999", "120,000", "1 million", "2.5 million", "39.7 trillion", "1 quadrillion", "20 quintillion", "1.0e25"]
    );
    assert_eq!(Size { rows: 5.0, how: How::About }.to_string(), "about 5");
    assert_eq!(Size { rows: 5.0, how: How::AtMost }.to_string(), "at most 5");
}

fn condition(left: &str, right: &str, pairs: &[(&str, &str)]) -> Candidate {
    let pair = |(left, right): &(&str, &str)| ((*left).to_owned(), (*right).to_owned());
    Candidate {
        left: TableReference::from(left),
        right: TableReference::from(right),
        pairs: pairs.iter().map(pair).collect(),
        evidence: Evidence::SameName { weakness: 0 },
    }
}

fn changed(sql: &str, conditions: &[Candidate]) -> Vec<String> {
    let statement = parse_query(sql, &[]).unwrap();
    rewritten(&statement, conditions).into_iter().map(|changed| changed.statement.to_string()).collect()
}

/// The only way in which a statement is changed.
fn check(sql: &str, conditions: &[Candidate], wanted: &str) {
    assert_eq!(changed(sql, conditions), [wanted], "{sql}");
}

#[test]
fn a_condition_is_put_where_its_join_is() {
    let one = [condition("s.users", "s.orders", &[("id", "user_id")])];
    for (from, wanted) in [
        ("s.users CROSS JOIN s.orders", "s.users JOIN s.orders ON users.id = orders.user_id"),
        ("s.users JOIN s.orders ON true", "s.users JOIN s.orders ON users.id = orders.user_id"),
        ("s.users LEFT JOIN s.orders ON 1 = 1", "s.users LEFT JOIN s.orders ON users.id = orders.user_id"),
        (
            "s.orders JOIN s.users ON users.age > 3 OR users.age IS NULL",
            "s.orders JOIN s.users ON (users.age > 3 OR users.age IS NULL) AND users.id = orders.user_id",
        ),
        ("s.users, s.orders", "s.users, s.orders WHERE users.id = orders.user_id"),
        (
            "s.users, s.orders WHERE users.age = 3 OR orders.total = 4",
            "s.users, s.orders WHERE (users.age = 3 OR orders.total = 4) AND users.id = orders.user_id",
        ),
        (
            "s.a JOIN (s.users CROSS JOIN s.orders) ON a.x = users.x",
            "s.a JOIN (s.users JOIN s.orders ON users.id = orders.user_id) ON a.x = users.x",
        ),
        (
            "s.users CROSS JOIN s.items CROSS JOIN s.orders",
            "s.users CROSS JOIN s.items JOIN s.orders ON users.id = orders.user_id",
        ),
    ] {
        check(&format!("SELECT * FROM {from}"), &one, &format!("SELECT * FROM {wanted}"));
    }
}

#[test]
fn relations_are_named_as_the_statement_names_them() {
    let aliases = [condition("u", "o", &[("id", "userId"), ("shop", "shop")])];
    check(
        "SELECT * FROM s.users AS u CROSS JOIN (SELECT * FROM s.orders) AS o",
        &aliases,
        "SELECT * FROM s.users AS u JOIN (SELECT * FROM s.orders) AS o ON u.id = o.\"userId\" AND u.shop = o.shop",
    );
    let alike = [condition("a.t", "b.t", &[("id", "id")])];
    check("SELECT * FROM a.t, b.t", &alike, "SELECT * FROM a.t, b.t WHERE a.t.id = b.t.id");
    let long = [condition("a.\"d.s\".t", "u", &[("id", "id")])];
    check("SELECT * FROM a.d.s.t, u", &long, "SELECT * FROM a.d.s.t, u WHERE t.id = u.id");
}

#[test]
fn each_select_that_has_the_relations_may_be_meant() {
    let one = [condition("u", "o", &[("id", "user_id")])];
    let sql = "WITH w AS (SELECT * FROM u, o) SELECT * FROM w UNION ALL SELECT * FROM u CROSS JOIN o";
    assert_eq!(
        changed(sql, &one),
        [
            "WITH w AS (SELECT * FROM u, o WHERE u.id = o.user_id) SELECT * FROM w UNION ALL SELECT * FROM u CROSS JOIN o",
            "WITH w AS (SELECT * FROM u, o) SELECT * FROM w UNION ALL SELECT * FROM u JOIN o ON u.id = o.user_id",
        ]
    );
    assert!(changed("SELECT * FROM u, x", &one).is_empty());
    assert!(changed("SELECT * FROM u NATURAL LEFT JOIN o", &one).is_empty());
}
