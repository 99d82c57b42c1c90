//! Computed columns: operators, functions by class, casts.

use super::{Operator, statements};
use crate::conformance::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let compute = |name: &str, table: &str, exprs: &[&str]| {
        let list: Vec<String> = exprs.iter().map(|expr| format!("SELECT id, {expr} AS x FROM {{s}}.{table}")).collect();
        statements(Operator::Compute, name, &list)
    };
    vec![
        compute(
            "+ - * on integers",
            "orders",
            &["customer_id + 1", "customer_id - id", "quantity * 3", "-customer_id"],
        ),
        compute("/ and % on integers", "orders", &["customer_id / 3", "customer_id % 3", "(-id) / 7", "(-id) % 7"]),
        compute(
            "+ - * on decimals",
            "orders",
            &["amount + amount", "amount * 2", "amount - CAST(0.01 AS DECIMAL(12,2))"],
        ),
        compute("+ - * / on floats", "floats", &["plain + 1.5", "plain * 2.0", "plain / 4.0", "f64 - 1.0", "-plain"]),
        compute("comparisons", "texts", &["t = 'a'", "t < 'b'", "t IS NULL", "t = lower_t"]),
        compute("logic", "truths", &["a AND b", "a OR b", "NOT a", "a = b", "a IS DISTINCT FROM b"]),
        compute(
            "CASE",
            "orders",
            &[
                "CASE WHEN customer_id = 1 THEN 'one' WHEN customer_id IS NULL THEN 'none' ELSE 'other' END",
                "CASE status WHEN 'paid' THEN 1 WHEN 'open' THEN 2 END",
                "CASE WHEN quantity > 3 THEN quantity END",
            ],
        ),
        compute(
            "coalesce and nullif",
            "orders",
            &["coalesce(customer_id, 0)", "coalesce(note, status)", "nullif(note, '')", "nullif(quantity, 3)"],
        ),
        compute("greatest and least", "orders", &["greatest(customer_id, id)", "least(quantity, 3)"]),
        compute("concatenation", "texts", &["t || '!'", "t || lower_t", "concat(t, '-', lower_t)"]),
        compute("length", "texts", &["character_length(t)", "octet_length(t)", "bit_length(t)"]),
        compute("upper and lower", "texts", &["upper(t)", "lower(t)", "initcap(t)"]),
        compute(
            "substr",
            "texts",
            &[
                "substr(t, 2)",
                "substr(t, 1, 2)",
                "substr(t, 0, 2)",
                "substr(t, -1)",
                "left(t, 2)",
                "right(t, 2)",
                "left(t, -1)",
            ],
        ),
        compute("trim", "texts", &["trim(t)", "ltrim(t)", "rtrim(t)", "btrim(t, 'a')"]),
        compute(
            "replace and reverse",
            "texts",
            &[
                "replace(t, 'a', 'b')",
                "replace(t, 'a', '')",
                "reverse(t)",
                "repeat(t, 2)",
                "lpad(t, 3, '*')",
                "split_part(t, 'a', 1)",
                "split_part(t, 'a', 2)",
                "right(t, 0)",
                "right(t, 100)",
            ],
        ),
        compute(
            "strpos and starts_with",
            "texts",
            &["strpos(t, 'b')", "starts_with(t, 'a')", "strpos(t, '\u{301}')", "ends_with(t, 'a')"],
        ),
        compute("abs", "floats", &["abs(plain)", "abs(f64)"]),
        compute("abs of integers and decimals", "orders", &["abs(customer_id)", "abs(-quantity)", "abs(amount)"]),
        compute(
            "round, floor and ceil",
            "floats",
            &["round(plain)", "floor(plain)", "ceil(plain)", "round(plain, 1)", "trunc(plain)"],
        ),
        compute("powers and roots", "floats", &["sqrt(abs(plain))", "power(plain, 2)", "signum(plain)"]),
        compute(
            "parts of a date",
            "dates",
            &[
                "date_part('year', d)",
                "date_part('month', d)",
                "date_part('day', d)",
                "extract(dow FROM d)",
                "extract(doy FROM d)",
            ],
        ),
        compute(
            "parts of a timestamp",
            "orders",
            &["date_part('year', placed)", "date_part('hour', placed)", "date_part('second', placed)"],
        ),
        compute(
            "date_trunc",
            "orders",
            &[
                "date_trunc('year', placed)",
                "date_trunc('month', placed)",
                "date_trunc('day', placed)",
                "date_trunc('week', placed)",
            ],
        ),
        zoned(),
        compute(
            "dates and intervals",
            "orders",
            &["placed + INTERVAL '1 day'", "CAST(placed AS DATE) + INTERVAL '1 month'"],
        ),
        compute(
            "casts of integers",
            "orders",
            &[
                "CAST(customer_id AS VARCHAR)",
                "CAST(customer_id AS DOUBLE)",
                "CAST(quantity AS BIGINT)",
                "CAST(quantity AS DECIMAL(10,2))",
            ],
        ),
        compute(
            "casts of decimals",
            "orders",
            &[
                "CAST(amount AS DOUBLE)",
                "CAST(amount AS BIGINT)",
                "CAST(amount AS VARCHAR)",
                "CAST(amount AS DECIMAL(14,4))",
                "CAST(amount AS DECIMAL(11,1))",
            ],
        ),
        compute("casts of text", "texts", &["TRY_CAST(t AS BIGINT)", "TRY_CAST(t AS DOUBLE)", "TRY_CAST(t AS DATE)"]),
        compute(
            "casts of dates and timestamps",
            "orders",
            &["CAST(placed AS DATE)", "CAST(placed AS VARCHAR)", "CAST(CAST(placed AS DATE) AS TIMESTAMP)"],
        ),
        compute("casts of truth values", "truths", &["CAST(a AS INTEGER)", "CAST(a AS VARCHAR)"]),
        compute("hashes", "texts", &["md5(t)"]),
    ]
}

/// Of times that nanoseconds can tell: the engine cuts no others that have a zone.
fn zoned() -> Trial {
    let exprs = [
        "date_part('year', utc_us)",
        "date_part('hour', utc_us)",
        "date_part('dow', berlin_us)",
        "date_trunc('day', utc_us)",
        "date_trunc('week', utc_us)",
        "date_trunc('month', offset_us)",
    ];
    let told = "utc_us > TIMESTAMP '1700-01-01T00:00:00Z' AND utc_us < TIMESTAMP '2200-01-01T00:00:00Z'";
    let list = exprs.map(|expr| format!("SELECT id, {expr} AS x FROM {{s}}.zoned WHERE {told}"));
    statements(Operator::Compute, "parts of a timestamp with a zone", &list)
}
