//! Window functions. Each window is over an order without ties where its value depends on it.

use futures::FutureExt;
use tombolo_connector::ErrorCode;

use super::{Operator, plain, statements};
use crate::ask;
use crate::conformance::{Bench, Outcome, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let window = |name: &str, templates: &[&str]| statements(Operator::Window, name, templates);
    // Calls over one window of one table.
    let over = |name: &str, table: &str, calls: &[&str], window: &str| {
        let list: Vec<String> = calls
            .iter()
            .map(|call| format!("SELECT id, {call} OVER ({window}) AS x FROM {{s}}.{table} ORDER BY id"))
            .collect();
        statements(Operator::Window, name, &list)
    };
    // One call over several windows of one table.
    let windows = |name: &str, table: &str, call: &str, windows: &[&str]| {
        let list: Vec<String> = windows
            .iter()
            .map(|window| format!("SELECT id, {call} OVER ({window}) AS x FROM {{s}}.{table} ORDER BY id"))
            .collect();
        statements(Operator::Window, name, &list)
    };
    let ways = |column: &str| {
        ["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"]
            .map(|way| format!("ORDER BY {column} {way}, id"))
    };
    let by = |name: &str, table: &str, column: &str| {
        windows(name, table, "row_number()", &ways(column).each_ref().map(String::as_str))
    };
    let parts =
        |name: &str, table: &str, column: &str| windows(name, table, "count(*)", &[&format!("PARTITION BY {column}")]);
    let passed_on = |name: &str, table: &str, column: &str| {
        let calls = ["lag", "lead", "first_value", "last_value"].map(|function| format!("{function}({column})"));
        over(name, table, &calls.each_ref().map(String::as_str), "ORDER BY id")
    };
    vec![
        by("an order of integers", "ties", "k"),
        by("an order of text", "texts", "t"),
        by("an order of text with ties", "ties", "word"),
        by("an order of floats", "floats", "f64"),
        by("an order of ordinary floats", "floats", "plain"),
        by("an order of decimals", "decimals", "d12_4"),
        by("an order of dates", "dates", "d"),
        by("an order of timestamps", "timestamps", "ts_us"),
        by("an order of truth values", "truths", "a"),
        windows(
            "an order where nothing is said of nulls",
            "ties",
            "row_number()",
            &["ORDER BY k, id", "ORDER BY k DESC, id", "ORDER BY word, k DESC, id"],
        ),
        windows(
            "an order of an expression",
            "orders",
            "row_number()",
            &["ORDER BY customer_id % 3, id", "ORDER BY coalesce(quantity, 99) DESC, id"],
        ),
        parts("partitions of integers", "ties", "k"),
        parts("partitions of text", "texts", "t"),
        parts("partitions of text in lower case", "texts", "lower_t"),
        parts("partitions of truth values", "truths", "a"),
        parts("partitions of decimals", "people", "pay"),
        parts("partitions of dates", "ties", "day"),
        parts("partitions of ordinary floats", "floats", "plain"),
        windows(
            "partitions of several columns",
            "orders",
            "count(*)",
            &["PARTITION BY status, customer_id", "PARTITION BY customer_id % 3, note"],
        ),
        over(
            "ranks of peers",
            "ties",
            &["rank()", "dense_rank()", "percent_rank()", "cume_dist()"],
            "PARTITION BY k ORDER BY word NULLS FIRST",
        ),
        over("ranks of peers from the end", "ties", &["rank()", "dense_rank()"], "ORDER BY word DESC NULLS LAST, k"),
        over("ranks of text", "texts", &["rank()", "dense_rank()"], "ORDER BY t"),
        over("ntile", "orders", &["ntile(1)", "ntile(4)", "ntile(7)", "ntile(100)"], "ORDER BY id"),
        over(
            "lag and lead",
            "orders",
            &[
                "lag(quantity)",
                "lead(quantity)",
                "lag(quantity, 3)",
                "lead(customer_id, 2)",
                "lag(id, 0)",
                "lead(id, 100)",
            ],
            "PARTITION BY status ORDER BY id DESC",
        ),
        over(
            "lag and lead with a default",
            "orders",
            &[
                "lag(id, 1, -1)",
                "lead(customer_id, 2, 0)",
                "lag(quantity, 1, 7)",
                "lag(note, 1, 'none')",
                "lag(amount, 1, 1.5)",
            ],
            "PARTITION BY status ORDER BY id",
        ),
        over(
            "lag that passes over nulls",
            "orders",
            &["lag(quantity) IGNORE NULLS", "first_value(note) IGNORE NULLS"],
            "ORDER BY id",
        ),
        passed_on("values of truth", "truths", "a"),
        passed_on("values of integers", "integers", "i64"),
        passed_on("values of small integers", "integers", "i16"),
        passed_on("values without a sign", "unsigned", "u64"),
        passed_on("values of decimals", "decimals", "d12_4"),
        passed_on("values of wide decimals", "decimals", "d38_10"),
        passed_on("values of floats", "floats", "f64"),
        passed_on("values of short floats", "floats", "f32"),
        passed_on("values of text", "texts", "t"),
        passed_on("values of bytes", "bytes", "bytes"),
        passed_on("values of dates", "dates", "d"),
        passed_on("values of timestamps", "timestamps", "ts_us"),
        passed_on("values of timestamps with a zone", "zoned", "utc_us"),
        passed_on("values of times", "times", "t_us"),
        passed_on("values of uuids", "identifiers", "uuid_text"),
        passed_on("values of enumerations", "enums", "small"),
        passed_on("values of lists", "lists", "numbers"),
        passed_on("documents", "json", "doc"),
        window(
            "what is made of the values of other rows",
            &[
                "SELECT id, quantity - lag(quantity) OVER (ORDER BY id) AS x FROM {s}.orders",
                "SELECT id, note = lag(note) OVER (ORDER BY id) AS x FROM {s}.orders",
                "SELECT id, lag(t) OVER (ORDER BY id) < t AS x FROM {s}.texts",
                "SELECT id FROM (SELECT id, lag(status) OVER (ORDER BY id) AS s FROM {s}.orders) t WHERE s = 'paid'",
                "SELECT s, count(*) AS n FROM (SELECT lag(status) OVER (ORDER BY id) AS s FROM {s}.orders) t GROUP BY s",
            ],
        ),
        windows(
            "frames of rows",
            "orders",
            "last_value(id)",
            &[
                "ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
                "ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING",
                "ORDER BY id ROWS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING",
                "ORDER BY id ROWS BETWEEN 3 FOLLOWING AND 5 FOLLOWING",
                "ORDER BY id ROWS BETWEEN 0 PRECEDING AND CURRENT ROW",
                "PARTITION BY status ORDER BY id DESC ROWS UNBOUNDED PRECEDING",
                "PARTITION BY status ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                "ORDER BY id ROWS 100 PRECEDING",
            ],
        ),
        windows(
            "frames of a range",
            "ties",
            "count(*)",
            &[
                "ORDER BY k",
                "ORDER BY k DESC NULLS LAST, word",
                "ORDER BY k RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                "ORDER BY k RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                "ORDER BY k RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            ],
        ),
        windows("frames of groups", "ties", "count(*)", &["ORDER BY k GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"]),
        over(
            "first, last and nth",
            "orders",
            &["first_value(note)", "last_value(note)", "nth_value(note, 2)", "nth_value(quantity, 5)"],
            "PARTITION BY customer_id ORDER BY id ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING",
        ),
        over(
            "aggregates that run on",
            "orders",
            &[
                "count(*)",
                "count(note)",
                "sum(quantity)",
                "sum(id)",
                "sum(amount)",
                "min(note)",
                "max(status)",
                "max(placed)",
            ],
            "PARTITION BY status ORDER BY id",
        ),
        over(
            "aggregates over frames",
            "orders",
            &[
                "count(note)",
                "sum(quantity)",
                "sum(amount)",
                "min(quantity)",
                "max(amount)",
                "min(note)",
                "max(placed)",
            ],
            "ORDER BY id DESC ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING",
        ),
        over(
            "aggregates over frames that may be empty",
            "orders",
            &["count(*)", "count(note)", "sum(quantity)", "sum(amount)", "min(id)", "first_value(id)"],
            "PARTITION BY status ORDER BY id ROWS BETWEEN 5 PRECEDING AND 4 PRECEDING",
        ),
        over(
            "aggregates of partitions",
            "orders",
            &["count(*)", "sum(id)", "sum(amount)", "min(note)", "max(placed)"],
            "PARTITION BY customer_id",
        ),
        over("aggregates of all rows", "orders", &["count(*)", "sum(id)", "max(note)"], ""),
        over("aggregates of floats", "ties", &["sum(x)", "avg(x)", "min(x)", "max(x)"], "PARTITION BY k"),
        over(
            "aggregates of floats over frames",
            "ties",
            &["sum(x)", "avg(x)", "min(x)"],
            "ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        ),
        over("averages", "orders", &["avg(quantity)", "avg(amount)"], "PARTITION BY status ORDER BY id"),
        over(
            "aggregates with FILTER",
            "orders",
            &["count(*) FILTER (WHERE quantity > 3)", "sum(id) FILTER (WHERE note IS NULL)"],
            "PARTITION BY status ORDER BY id",
        ),
        over("of truth values", "customers", &["bool_and(active)", "bool_or(active)"], "PARTITION BY region"),
        over("distinct values", "orders", &["count(DISTINCT customer_id)"], "PARTITION BY status"),
        over("deviations", "orders", &["stddev(quantity)", "median(quantity)"], "PARTITION BY status"),
        window(
            "several windows",
            &[
                "SELECT id, row_number() OVER (ORDER BY id) AS a, rank() OVER (PARTITION BY status ORDER BY quantity) AS b, \
                 sum(id) OVER (PARTITION BY status) AS c FROM {s}.orders",
                "SELECT id, row_number() OVER w AS a, lag(id) OVER w AS b, count(*) OVER w AS c FROM {s}.orders \
                 WINDOW w AS (PARTITION BY status ORDER BY id)",
            ],
        ),
        window(
            "a window of a window",
            &[
                "SELECT id, n, lag(n) OVER (ORDER BY id) AS m FROM \
                 (SELECT id, row_number() OVER (ORDER BY id DESC) AS n FROM {s}.orders) t",
                "SELECT id, sum(n) OVER (PARTITION BY n % 3 ORDER BY id) AS m FROM \
                 (SELECT id, rank() OVER (ORDER BY status) AS n FROM {s}.orders) t",
            ],
        ),
        window(
            "below a filter",
            &[
                "SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY status ORDER BY id) AS n FROM {s}.orders) t WHERE n <= 3",
                "SELECT id, n FROM (SELECT id, count(*) OVER (PARTITION BY status) AS n FROM {s}.orders) t WHERE id > 30",
                "SELECT id FROM (SELECT id, status, rank() OVER (PARTITION BY status ORDER BY quantity) AS n FROM {s}.orders) t \
                 WHERE n = 1 AND status = 'paid'",
            ],
        ),
        window(
            "above a filter",
            &["SELECT id, row_number() OVER (ORDER BY id) AS n FROM {s}.orders WHERE quantity > 3"],
        ),
        window(
            "of groups",
            &[
                "SELECT status, sum(quantity) AS q, rank() OVER (ORDER BY sum(quantity) DESC) AS n FROM {s}.orders GROUP BY status",
                "SELECT customer_id, count(*) AS n, sum(count(*)) OVER (ORDER BY customer_id) AS s FROM {s}.orders GROUP BY customer_id",
            ],
        ),
        window(
            "below an aggregate",
            &[
                "SELECT n, count(*) AS c FROM (SELECT row_number() OVER (PARTITION BY status ORDER BY id) AS n FROM {s}.orders) t GROUP BY n",
                "SELECT max(n) AS m FROM (SELECT dense_rank() OVER (ORDER BY status) AS n FROM {s}.orders) t",
            ],
        ),
        window(
            "of limited rows",
            &[
                "SELECT id, row_number() OVER (ORDER BY id DESC) AS n FROM (SELECT id FROM {s}.orders ORDER BY id LIMIT 7) t",
                "SELECT id, count(*) OVER () AS n FROM (SELECT id FROM {s}.orders ORDER BY id LIMIT 7 OFFSET 5) t",
            ],
        ),
        window(
            "below a sort and a limit",
            &[
                "SELECT id, row_number() OVER (ORDER BY id) AS n FROM {s}.orders ORDER BY n DESC LIMIT 5",
                "SELECT id, sum(id) OVER (PARTITION BY status) AS n FROM {s}.orders ORDER BY n, id LIMIT 9 OFFSET 2",
            ],
        ),
        window(
            "of a join and below one",
            &[
                "SELECT o.id, c.name, row_number() OVER (PARTITION BY c.region ORDER BY o.id) AS n \
                 FROM {s}.orders o JOIN {s}.customers c ON o.customer_id = c.id",
                "SELECT c.id, o.id AS o FROM {s}.customers c LEFT JOIN \
                 (SELECT id, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY id DESC) AS n FROM {s}.orders) o \
                 ON o.customer_id = c.id AND o.n = 1",
                "SELECT id FROM {s}.customers WHERE id IN \
                 (SELECT row_number() OVER (ORDER BY id) FROM {s}.orders WHERE status = 'void')",
            ],
        ),
        window(
            "of a union and below one",
            &[
                "SELECT id, row_number() OVER (ORDER BY id) AS n FROM \
                 (SELECT id FROM {s}.customers UNION ALL SELECT id + 1000 AS id FROM {s}.orders) t",
                "SELECT id, row_number() OVER (ORDER BY id) AS n FROM {s}.customers UNION ALL \
                 SELECT id, rank() OVER (ORDER BY id DESC) AS n FROM {s}.orders",
            ],
        ),
        window(
            "QUALIFY",
            &["SELECT id, status FROM {s}.orders QUALIFY row_number() OVER (PARTITION BY status ORDER BY id DESC) = 1"],
        ),
        over(
            "of no rows",
            "empty",
            &["row_number()", "rank()", "lag(name)", "count(*)", "sum(id)", "first_value(id)"],
            "PARTITION BY name ORDER BY id",
        ),
        window(
            "of many rows",
            &[
                "SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY value, id) AS n FROM {s}.big) t WHERE n <= 2",
                "SELECT id, sum(value) OVER (PARTITION BY grp ORDER BY id) AS s FROM {s}.big",
            ],
        ),
        window(
            "of several orders beside each other",
            &[
                "SELECT id, sum(1) OVER () AS a, max(word) OVER (ORDER BY id DESC) AS b, \
                 lead(id, 2) OVER (PARTITION BY k ORDER BY word, id DESC) AS c FROM {s}.ties",
                "SELECT b.id, sum(1) OVER () AS a, max(o.status) OVER (ORDER BY b.id DESC, o.id) AS b, \
                 lead(b.id, 2) OVER (PARTITION BY o.note ORDER BY b.value, b.id, o.id) AS c \
                 FROM {s}.big b JOIN {s}.orders o ON b.id % 5 = o.id % 5 WHERE b.id < 200",
            ],
        ),
        plain(
            "window/a sum that does not fit is an error",
            "a running sum of integers that leaves 64 bits is an error here and in the source, and no other number",
            |bench| overflow(bench).boxed(),
        ),
    ]
}

async fn overflow(bench: &Bench) -> Outcome {
    let template = "SELECT id, sum(i64) OVER (ORDER BY id DESC) AS s FROM {s}.integers";
    if !bench.holds_all_of(template) {
        return Outcome::Declined("the source does not hold the table".to_owned());
    }
    for engine in [&bench.engine, &bench.unpushed] {
        match ask(engine, &bench.statement(template)).await {
            Err(error) if error.code() == ErrorCode::ComputationFailed => {}
            Err(error) => return Outcome::Failed(format!("{}: {error}: {:?}", error.code().name(), error.detail())),
            Ok(answer) => return Outcome::Failed(format!("{} rows in place of an error", answer.rows())),
        }
    }
    Outcome::PASSED
}
