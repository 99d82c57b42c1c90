//! Sorts, limits and unions.

use super::{Operator, statements};
use crate::conformance::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let sort = |name: &str, table: &str, keys: &[&str]| {
        let list: Vec<String> = keys
            .iter()
            .map(|key| {
                let column = key.split([' ', ',']).next().unwrap_or_default();
                let also = if column == "id" { String::new() } else { format!("{column}, ") };
                format!("SELECT {also}id FROM {{s}}.{table} ORDER BY {key}, id")
            })
            .collect();
        statements(Operator::Sort, name, &list)
    };
    let ways = |column: &str| {
        ["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"]
            .map(|way| format!("{column} {way}"))
    };
    let by = |name: &str, table: &str, column: &str| sort(name, table, &ways(column).each_ref().map(String::as_str));
    let limit = |name: &str, templates: &[&str]| statements(Operator::Limit, name, templates);
    let union = |name: &str, templates: &[&str]| statements(Operator::Union, name, templates);
    vec![
        by("integers", "ties", "k"),
        by("text", "texts", "t"),
        by("text with ties", "ties", "word"),
        by("floats", "floats", "f64"),
        by("ordinary floats", "floats", "plain"),
        by("decimals", "decimals", "d12_4"),
        by("dates", "dates", "d"),
        by("timestamps", "timestamps", "ts_us"),
        by("truth values", "truths", "a"),
        by("bytes", "bytes", "bytes"),
        sort("nulls where nothing is said", "ties", &["k", "k DESC", "word", "word DESC"]),
        sort("two keys", "ties", &["k DESC, word", "word DESC NULLS LAST, k NULLS FIRST"]),
        statements(
            Operator::Sort,
            "an expression",
            &[
                "SELECT id FROM {s}.orders ORDER BY customer_id % 3, id",
                "SELECT id FROM {s}.ties ORDER BY coalesce(k, 99), id",
            ],
        ),
        statements(
            Operator::Sort,
            "a column that is not put out",
            &["SELECT id FROM {s}.customers ORDER BY since, id"],
        ),
        statements(
            Operator::Sort,
            "what is grouped",
            &["SELECT status, count(*) AS n FROM {s}.orders GROUP BY status ORDER BY n DESC, status"],
        ),
        statements(
            Operator::Sort,
            "many rows",
            &["SELECT value, id FROM {s}.big ORDER BY value DESC NULLS LAST, id LIMIT 100"],
        ),
        limit(
            "after a sort",
            &[
                "SELECT id FROM {s}.orders ORDER BY id DESC LIMIT 4",
                "SELECT id, quantity FROM {s}.orders ORDER BY quantity NULLS FIRST, id LIMIT 9",
            ],
        ),
        limit(
            "with an offset",
            &[
                "SELECT id FROM {s}.orders ORDER BY id LIMIT 4 OFFSET 3",
                "SELECT id FROM {s}.orders ORDER BY id OFFSET 55",
                "SELECT id FROM {s}.orders ORDER BY id LIMIT 5 OFFSET 58",
                "SELECT id FROM {s}.orders ORDER BY id LIMIT 5 OFFSET 100",
            ],
        ),
        limit(
            "beyond the rows",
            &["SELECT id FROM {s}.customers LIMIT 1000", "SELECT id FROM {s}.customers ORDER BY id LIMIT 1000"],
        ),
        limit("above a filter", &["SELECT id FROM {s}.orders WHERE customer_id = 1 ORDER BY id LIMIT 2"]),
        limit(
            "below another",
            &["SELECT id FROM (SELECT id FROM {s}.orders ORDER BY id LIMIT 10 OFFSET 2) t ORDER BY id DESC LIMIT 3"],
        ),
        limit(
            "of groups",
            &["SELECT customer_id, count(*) AS n FROM {s}.orders GROUP BY customer_id ORDER BY customer_id LIMIT 3"],
        ),
        union(
            "all rows",
            &[
                "SELECT id FROM {s}.customers UNION ALL SELECT id FROM {s}.orders",
                "SELECT name, id FROM {s}.customers UNION ALL SELECT note, id FROM {s}.orders WHERE id < 5",
            ],
        ),
        union("of the same table", &["SELECT k FROM {s}.pairs UNION ALL SELECT k FROM {s}.pairs"]),
        union("distinct rows", &["SELECT k, label FROM {s}.pairs UNION SELECT k, label FROM {s}.pairs"]),
        union(
            "of limited rows",
            &[
                "(SELECT id FROM {s}.orders ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM {s}.customers ORDER BY id DESC LIMIT 3)",
            ],
        ),
        union(
            "below an aggregate",
            &[
                "SELECT count(*) AS n, sum(id) AS x FROM (SELECT id FROM {s}.customers UNION ALL SELECT id FROM {s}.orders) t",
            ],
        ),
        union(
            "of three",
            &["SELECT id FROM {s}.customers UNION ALL SELECT id FROM {s}.orders UNION ALL SELECT id FROM {s}.people"],
        ),
    ]
}
