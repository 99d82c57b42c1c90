//! Filters: each comparison on each type, and three-valued logic.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::util::display::ArrayFormatter;

use super::{Operator, statements};
use crate::conformance::Trial;
use crate::fixtures;
use crate::harness::Harness;

/// Documents are not compared; they come back, or do not.
const NESTED: &[&str] = &["json", "lists", "structs"];

pub(super) fn trials(harness: &dyn Harness) -> Vec<Trial> {
    let mut trials = Vec::new();
    for table in fixtures::TYPED.iter().filter(|table| !NESTED.contains(table)) {
        let expected = harness.expected(fixtures::named(table));
        for (field, values) in expected.batch.schema().fields().iter().zip(expected.batch.columns()).skip(1) {
            trials.extend(of_column(table, field.name(), values));
        }
    }
    trials.extend(others());
    trials
}

/// The comparisons of a column with two of its values.
fn of_column(table: &str, column: &str, values: &ArrayRef) -> Vec<Trial> {
    let column_name = format!("{table}.{column}");
    let filter = |condition: String| format!("SELECT id FROM {{s}}.{table} WHERE {condition}");
    let trial = |kind: &str, conditions: Vec<String>| {
        let list: Vec<String> = conditions.into_iter().map(filter).collect();
        statements(Operator::Filter, &format!("{kind}: {column_name}"), &list)
    };
    let mut trials = vec![trial("is null", vec![format!("{column} IS NULL"), format!("{column} IS NOT NULL")])];
    // Text has a value that differs from others in case alone, and one that does in blanks at its end.
    let picked: Vec<String> = match column {
        "t" => ["'a'", "'a '", "'\u{e9}'", "''", "'01'"].map(str::to_owned).to_vec(),
        _ => (0..values.len()).rev().filter_map(|row| literal(values, row)).take(2).collect(),
    };
    let (Some(first), Some(last)) = (picked.first(), picked.last()) else { return trials };
    let all = picked.join(", ");
    let equal = picked.iter().map(|value| format!("{column} = {value}"));
    trials.push(trial("equals", equal.chain([format!("{column} IN ({all})")]).collect()));
    let mut unequal: Vec<String> = vec![format!("{column} <> {first}"), format!("{column} NOT IN ({all})")];
    unequal.push(format!("{column} IS DISTINCT FROM {last}"));
    trials.push(trial("differs from", unequal));
    if values.data_type() != &DataType::Boolean {
        let bounds = vec![
            format!("{column} < {first}"),
            format!("{column} >= {last}"),
            format!("{column} BETWEEN {last} AND {first}"),
        ];
        trials.push(trial("is less or more than", bounds));
    }
    trials
}

/// A value as a statement writes it; none where there is no way to.
fn literal(values: &ArrayRef, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    let text = ArrayFormatter::try_new(values, &Default::default()).unwrap().value(row).to_string();
    Some(match values.data_type() {
        DataType::Boolean => text,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        DataType::Binary => format!("X'{text}'"),
        DataType::FixedSizeBinary(size) => format!("arrow_cast(X'{text}', 'FixedSizeBinary({size})')"),
        DataType::Decimal128(precision, scale) => format!("CAST('{text}' AS DECIMAL({precision},{scale}))"),
        DataType::Interval(_) | DataType::Decimal256(..) => return None,
        other => format!("arrow_cast('{text}', '{other}')"),
    })
}

fn others() -> Vec<Trial> {
    let filter = |name: &str, table: &str, conditions: &[&str]| {
        let list: Vec<String> =
            conditions.iter().map(|condition| format!("SELECT id FROM {{s}}.{table} WHERE {condition}")).collect();
        statements(Operator::Filter, name, &list)
    };
    vec![
        filter(
            "LIKE",
            "texts",
            &[
                "t LIKE 'a%'",
                "t LIKE '%a'",
                "t LIKE '%a%'",
                "t LIKE 'a_b'",
                r"t LIKE 'a\%b'",
                r"t LIKE 'a\_b'",
                "t LIKE ''",
                "t LIKE '_'",
                "t LIKE '%'",
                "t NOT LIKE 'a%'",
                "t LIKE 'stra\u{df}e'",
                "t LIKE '\u{e9}%'",
                "t LIKE '%break'",
            ],
        ),
        filter("ILIKE", "texts", &["t ILIKE 'A%'", "t ILIKE '\u{130}%'", "t NOT ILIKE 'strasse'"]),
        filter("regular expression", "texts", &["t ~ '^a'", "t !~ 'a'", "t SIMILAR TO 'a%'"]),
        filter(
            "true, false and unknown",
            "truths",
            &[
                "a",
                "NOT a",
                "a AND b",
                "a OR b",
                "NOT (a AND b)",
                "NOT (a OR b)",
                "a IS TRUE",
                "a IS NOT TRUE",
                "a IS FALSE",
                "a IS NOT FALSE",
                "(a AND b) IS UNKNOWN",
                "(a OR b) IS NOT UNKNOWN",
                "a <> b",
                "a = b OR b IS NULL",
            ],
        ),
        filter("two columns", "truths", &["a = b", "a IS DISTINCT FROM b", "a IS NOT DISTINCT FROM b"]),
        filter(
            "two columns of text",
            "texts",
            &["t = lower_t", "t <> lower_t", "t < lower_t", "t IS DISTINCT FROM lower_t"],
        ),
        filter(
            "two columns of numbers",
            "orders",
            &["customer_id > id", "quantity = customer_id", "amount > quantity"],
        ),
        filter(
            "lists with null",
            "orders",
            &["customer_id IN (1, NULL)", "customer_id NOT IN (1, NULL)", "status NOT IN ('open', 'void')"],
        ),
        filter(
            "negation of comparisons",
            "orders",
            &["NOT (customer_id = 1)", "NOT (customer_id > 5 OR quantity < 3)", "NOT (customer_id BETWEEN 2 AND 9)"],
        ),
        filter(
            "a part that stays beside one that goes",
            "orders",
            &["customer_id = 1 AND md5(note) <> 'x'", "customer_id > 1 AND note ~ 'i'"],
        ),
        filter(
            "CASE and COALESCE",
            "orders",
            &[
                "CASE WHEN customer_id = 1 THEN quantity > 2 ELSE note IS NULL END",
                "coalesce(customer_id, -1) < 2",
                "nullif(quantity, 3) IS NULL",
            ],
        ),
        filter("arithmetic", "orders", &["customer_id + 1 = 2", "quantity * 2 > 5", "id % 7 = 3"]),
        filter(
            "a sub-select",
            "orders",
            &["id > (SELECT max(id) FROM {s}.customers)", "amount = (SELECT max(amount) FROM {s}.orders)"],
        ),
        statements(
            Operator::Filter,
            "folders",
            &[
                "SELECT id FROM {s}.visits WHERE page = 'home'",
                "SELECT id FROM {s}.visits WHERE page <> 'home'",
                "SELECT id FROM {s}.visits WHERE page IS NULL",
                "SELECT page, id FROM {s}.visits WHERE page IN ('cart', 'Home') AND id > 3",
            ],
        ),
        statements(
            Operator::Filter,
            "odd columns",
            &[
                r#"SELECT "quo""te", "a.b" FROM {s}."odd columns" WHERE "select" = 2 AND "größe" IS NOT NULL"#
                    .to_owned(),
                r#"SELECT "it's" AS "x y" FROM {s}."odd columns" WHERE "MixedCase" > 0 OR "trailing " IS NULL"#
                    .to_owned(),
            ],
        ),
        statements(
            Operator::Filter,
            "groups of an aggregate",
            &["SELECT customer_id, count(*) AS n FROM {s}.orders GROUP BY customer_id HAVING count(*) > 3"],
        ),
    ]
}
