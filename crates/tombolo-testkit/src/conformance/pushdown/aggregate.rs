//! Groups and aggregates.

use super::{Operator, statements};
use crate::conformance::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let aggregate = |name: &str, templates: &[&str]| statements(Operator::Aggregate, name, templates);
    let of = |name: &str, exprs: &[&str], table: &str, group: &str| {
        let list: Vec<String> = exprs
            .iter()
            .flat_map(|expr| {
                [
                    format!("SELECT {expr} AS x FROM {{s}}.{table}"),
                    format!("SELECT {group}, {expr} AS x FROM {{s}}.{table} GROUP BY {group}"),
                ]
            })
            .collect();
        statements(Operator::Aggregate, name, &list)
    };
    vec![
        of("count", &["count(*)", "count(customer_id)", "count(note)"], "orders", "status"),
        of("count distinct", &["count(DISTINCT customer_id)", "count(DISTINCT note)"], "orders", "status"),
        of("sum of integers", &["sum(quantity)", "sum(DISTINCT quantity)", "sum(id)"], "orders", "customer_id"),
        of("sum of decimals", &["sum(amount)", "sum(DISTINCT amount)"], "orders", "status"),
        of("sum of floats", &["sum(x)", "sum(DISTINCT x)"], "ties", "k"),
        of("avg of integers", &["avg(quantity)"], "orders", "status"),
        of("avg of decimals", &["avg(amount)"], "orders", "status"),
        of("avg of floats", &["avg(x)"], "ties", "k"),
        of("min and max of integers", &["min(quantity)", "max(customer_id)"], "orders", "status"),
        of("min and max of decimals", &["min(amount)", "max(amount)"], "orders", "status"),
        of("min and max of floats", &["min(x)", "max(x)"], "ties", "k"),
        of("min and max of text", &["min(word)", "max(word)"], "ties", "k"),
        of("min and max of dates", &["min(day)", "max(day)"], "ties", "k"),
        of("min and max of timestamps", &["min(placed)", "max(placed)"], "orders", "status"),
        of(
            "with FILTER",
            &[
                "count(*) FILTER (WHERE quantity > 3)",
                "sum(quantity) FILTER (WHERE customer_id = 1)",
                "max(id) FILTER (WHERE note IS NULL)",
            ],
            "orders",
            "status",
        ),
        of("median and deviation", &["median(quantity)", "stddev(quantity)", "var_pop(quantity)"], "orders", "status"),
        of("of truth values", &["bool_and(active)", "bool_or(active)"], "customers", "region"),
        aggregate("text in order", &["SELECT k, string_agg(word, ',' ORDER BY id) AS x FROM {s}.ties GROUP BY k"]),
        aggregate(
            "groups of null",
            &[
                "SELECT k, count(*) AS n FROM {s}.pairs GROUP BY k",
                "SELECT k, label, count(*) AS n FROM {s}.pairs GROUP BY k, label",
            ],
        ),
        aggregate(
            "groups of text",
            &[
                "SELECT t, count(*) AS n FROM {s}.texts GROUP BY t",
                "SELECT lower_t, count(*) AS n FROM {s}.texts GROUP BY lower_t",
                "SELECT region, count(*) AS n FROM {s}.customers GROUP BY region",
            ],
        ),
        aggregate(
            "groups of floats",
            &[
                "SELECT f64, count(*) AS n FROM {s}.floats GROUP BY f64",
                "SELECT plain, count(*) AS n FROM {s}.floats GROUP BY plain",
            ],
        ),
        aggregate(
            "groups of decimals and dates",
            &[
                "SELECT pay, count(*) AS n FROM {s}.people GROUP BY pay",
                "SELECT day, count(*) AS n FROM {s}.ties GROUP BY day",
            ],
        ),
        aggregate(
            "groups of an expression",
            &[
                "SELECT customer_id % 3 AS g, count(*) AS n FROM {s}.orders GROUP BY customer_id % 3",
                "SELECT CASE WHEN quantity > 3 THEN 'many' ELSE 'few' END AS g, sum(id) AS x FROM {s}.orders GROUP BY 1",
            ],
        ),
        aggregate(
            "grouping sets",
            &["SELECT status, quantity, count(*) AS n FROM {s}.orders GROUP BY ROLLUP (status, quantity)"],
        ),
        aggregate(
            "distinct rows",
            &[
                "SELECT DISTINCT k, label FROM {s}.pairs",
                "SELECT DISTINCT status FROM {s}.orders",
                "SELECT DISTINCT t FROM {s}.texts",
            ],
        ),
        aggregate(
            "of no rows",
            &[
                "SELECT count(*) AS n, sum(id) AS x, max(name) AS y FROM {s}.empty",
                "SELECT id, count(*) AS n FROM {s}.empty GROUP BY id",
                "SELECT count(*) AS n, sum(quantity) AS x FROM {s}.orders WHERE id < 0",
            ],
        ),
        aggregate(
            "with HAVING",
            &[
                "SELECT status, sum(quantity) AS q FROM {s}.orders GROUP BY status HAVING sum(quantity) > 20 AND min(id) < 10",
            ],
        ),
        aggregate(
            "of limited rows",
            &["SELECT count(*) AS n, sum(id) AS x FROM (SELECT id FROM {s}.orders ORDER BY id DESC LIMIT 7) t"],
        ),
        aggregate(
            "of aggregates",
            &[
                "SELECT max(n) AS m, count(*) AS c FROM (SELECT customer_id, count(*) AS n FROM {s}.orders GROUP BY customer_id) t",
            ],
        ),
        aggregate(
            "of many rows",
            &["SELECT grp, count(*) AS n, sum(value) AS x, min(label) AS l FROM {s}.big GROUP BY grp"],
        ),
    ]
}
