//! Joins of tables of the source: every type, every kind of key.

use futures::FutureExt;

use super::{Operator, place_of, plain, statements};
use crate::ask;
use crate::conformance::{Bench, Outcome, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let join = |name: &str, templates: &[&str]| statements(Operator::Join, name, templates);
    let mut trials = vec![
        join("inner", &["SELECT c.name, o.id FROM {s}.customers c JOIN {s}.orders o ON o.customer_id = c.id"]),
        join(
            "left",
            &[
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id",
                "SELECT o.id, c.name FROM {s}.orders o LEFT JOIN {s}.customers c ON o.customer_id = c.id",
            ],
        ),
        join("right", &["SELECT c.id, o.id AS o FROM {s}.customers c RIGHT JOIN {s}.orders o ON o.customer_id = c.id"]),
        join("full", &["SELECT c.id, o.id AS o FROM {s}.customers c FULL JOIN {s}.orders o ON o.customer_id = c.id"]),
        join("cross", &["SELECT p.id, t.id AS t FROM {s}.people p CROSS JOIN {s}.truths t"]),
        join(
            "left with a condition on one side",
            &[
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id AND o.quantity > 3",
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id AND c.id > 3",
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id WHERE o.id IS NULL",
            ],
        ),
        join(
            "with itself",
            &["SELECT a.name, b.name AS boss FROM {s}.people a LEFT JOIN {s}.people b ON a.boss = b.id"],
        ),
        join(
            "with an inequality",
            &[
                "SELECT a.id, b.id AS b FROM {s}.people a JOIN {s}.people b ON a.boss = b.id AND a.pay < b.pay",
                "SELECT a.id, b.id AS b FROM {s}.people a JOIN {s}.people b ON a.pay < b.pay",
            ],
        ),
        join(
            "semi",
            &[
                "SELECT id FROM {s}.customers c WHERE EXISTS (SELECT 1 FROM {s}.orders o WHERE o.customer_id = c.id)",
                "SELECT id FROM {s}.customers WHERE id IN (SELECT customer_id FROM {s}.orders)",
            ],
        ),
        join(
            "anti",
            &[
                "SELECT id FROM {s}.customers c WHERE NOT EXISTS (SELECT 1 FROM {s}.orders o WHERE o.customer_id = c.id)",
            ],
        ),
        join(
            "NOT IN with nulls",
            &[
                "SELECT id FROM {s}.customers WHERE id NOT IN (SELECT customer_id FROM {s}.orders)",
                "SELECT id FROM {s}.customers WHERE id NOT IN (SELECT customer_id FROM {s}.orders WHERE customer_id IS NOT NULL)",
            ],
        ),
        join(
            "keys that are null and come several times",
            &[
                "SELECT a.k, a.label, b.label AS other FROM {s}.pairs a JOIN {s}.pairs b ON a.k = b.k",
                "SELECT a.k, b.label FROM {s}.pairs a LEFT JOIN {s}.pairs b ON a.k = b.k",
            ],
        ),
        join(
            "null equal to null",
            &[
                "SELECT a.k, a.label, b.label AS other FROM {s}.pairs a JOIN {s}.pairs b ON a.k IS NOT DISTINCT FROM b.k",
            ],
        ),
        join(
            "on text",
            &[
                "SELECT i.order_id, i.line, p.title FROM {s}.items i JOIN {s}.products p ON i.sku = p.sku",
                "SELECT a.id, b.id AS b FROM {s}.texts a JOIN {s}.texts b ON a.t = b.t",
                "SELECT a.id, b.id AS b FROM {s}.texts a JOIN {s}.texts b ON a.lower_t = b.t",
            ],
        ),
        join("on text by order", &["SELECT a.id, b.id AS b FROM {s}.texts a JOIN {s}.texts b ON a.t < b.t"]),
        join("on decimals", &["SELECT a.id, b.id AS b FROM {s}.people a JOIN {s}.people b ON a.pay = b.pay"]),
        join(
            "on floats",
            &[
                "SELECT a.id, b.id AS b FROM {s}.floats a JOIN {s}.floats b ON a.f64 = b.f64",
                "SELECT a.id, b.id AS b FROM {s}.floats a JOIN {s}.floats b ON a.plain = b.plain",
            ],
        ),
        join(
            "on dates",
            &["SELECT a.id, b.id AS b FROM {s}.visits a JOIN {s}.visits b ON a.day = b.day AND a.id < b.id"],
        ),
        join(
            "on two columns",
            &[
                "SELECT a.order_id, b.sku FROM {s}.items a JOIN {s}.items b ON a.order_id = b.order_id AND a.line = b.line",
            ],
        ),
        join(
            "on keys of different types",
            &["SELECT c.id, v.id AS v FROM {s}.customers c JOIN {s}.visits v ON CAST(c.id AS VARCHAR) = v.customer"],
        ),
        join(
            "on an expression",
            &["SELECT c.id, o.id AS o FROM {s}.customers c JOIN {s}.orders o ON o.customer_id + 1 = c.id"],
        ),
        join(
            "of three tables",
            &[
                "SELECT c.name, o.id, i.sku FROM {s}.customers c JOIN {s}.orders o ON o.customer_id = c.id JOIN {s}.items i ON i.order_id = o.id",
                "SELECT c.name, o.id, i.sku FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id LEFT JOIN {s}.items i ON i.order_id = o.id",
            ],
        ),
        join("with an empty table", &["SELECT c.id, e.name FROM {s}.customers c LEFT JOIN {s}.empty e ON e.id = c.id"]),
        join(
            "below an aggregate",
            &[
                "SELECT c.region, count(*) AS n, sum(o.quantity) AS q FROM {s}.customers c JOIN {s}.orders o ON o.customer_id = c.id GROUP BY c.region",
            ],
        ),
        join(
            "below a sort and a limit",
            &[
                "SELECT o.id, c.name FROM {s}.orders o JOIN {s}.customers c ON o.customer_id = c.id ORDER BY o.id LIMIT 5",
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN {s}.orders o ON o.customer_id = c.id ORDER BY c.id, o LIMIT 7 OFFSET 2",
            ],
        ),
        join(
            "of limited rows",
            &[
                "SELECT t.id, o.id AS o FROM (SELECT id FROM {s}.customers ORDER BY id LIMIT 3) t JOIN {s}.orders o ON o.customer_id = t.id",
            ],
        ),
    ];
    trials.push(plain(
        "join/a limit above it counts the joined rows",
        "a limit without an order above a join gives as many joined rows as it says",
        |bench| async move { limit_above(bench).await }.boxed(),
    ));
    trials
}

/// Which rows come is free, so only their number can be looked at, and that each is one of those without the limit.
async fn limit_above(bench: &Bench) -> Outcome {
    let all = bench.statement("SELECT o.id, c.name FROM {s}.orders o JOIN {s}.customers c ON o.customer_id = c.id");
    let sql = format!("{all} LIMIT 30");
    let found = async {
        let (place, _) = place_of(bench, &sql, Operator::Limit).await?;
        let answer = ask(&bench.engine, &sql).await.map_err(|error| error.to_string())?;
        let (_, whole) = bench.reference.ask(&all).await?;
        let rows = |batches: &[arrow::array::RecordBatch]| -> Vec<String> {
            let text = arrow::util::pretty::pretty_format_batches(batches).unwrap().to_string();
            text.lines().skip(3).filter(|line| line.starts_with('|')).map(squeezed).collect()
        };
        let whole = rows(&whole);
        if answer.rows() != 30 {
            return Err(format!("{} rows in place of 30", answer.rows()));
        }
        match rows(&answer.batches).into_iter().find(|row| !whole.contains(row)) {
            Some(row) => Err(format!("{row} is not a joined row")),
            None => Ok(place),
        }
    };
    match found.await {
        Err(reason) => Outcome::Failed(reason),
        Ok(super::Place::Here(reason)) => Outcome::Declined(reason),
        Ok(place) => Outcome::Passed(Some(place)),
    }
}

/// A drawn row without the blanks that its column's width has put into it.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
