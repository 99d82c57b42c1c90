use datafusion::common::ScalarValue;

use super::super::native::SqliteDialect;
use super::{candidates, timestamp_form};
use crate::sql::{Form, NativeType, TypeTables, sent_values};

type Refused = &'static [(&'static str, &'static str)];
const NO_TEXT: Refused = &[("'x'", "text 'x'")];
const NO_BLOB: Refused = &[("x'00'", "blob of 1 bytes")];

/// Declarations with what is to be said of each, and what is refused.
const TYPES: &[(&str, &str, Refused)] = &[
    ("INTEGER", "and other names with INT", NO_TEXT),
    ("REAL", "", NO_TEXT),
    ("FLOAT", "", NO_TEXT),
    ("DOUBLE", "", NO_TEXT),
    ("TEXT", "", NO_BLOB),
    ("VARCHAR(9)", "", NO_BLOB),
    ("CLOB", "", NO_BLOB),
    ("BLOB", "", NO_TEXT),
    ("BOOLEAN", "0 and 1", &[("2", "integer 2")]),
    ("DATE", "text in the form `YYYY-MM-DD`", &[("'2024-02-30'", "text '2024-02-30'")]),
    ("DATETIME", "text by ISO 8601", &[("'noon'", "text 'noon'")]),
    ("TIMESTAMP", "text by ISO 8601", &[("'noon'", "text 'noon'")]),
    ("TIMESTAMPTZ", "text by ISO 8601", &[("'noon'", "text 'noon'")]),
    ("DECIMAL(9,2)", "", NO_TEXT),
    ("NUMERIC(15,4)", "", NO_TEXT),
    ("NUMERIC", "", NO_BLOB),
    ("DECIMAL", "", NO_BLOB),
    ("MONEY", "", NO_BLOB),
    ("", "nothing declared", &[]),
    ("ANY", "", &[]),
    ("UUID", "and other names that are not in this table", &[]),
];

/// The tables of types. Values decide among several, where they are looked at.
pub(in super::super) fn type_tables() -> TypeTables {
    let native = TYPES.iter().map(|&(declared, note, refused)| NativeType {
        note,
        refused,
        ..NativeType::new(declared, candidates(declared))
    });
    // Moments as they are written where a column has them in one form.
    let micros = 1_709_170_200_000_000;
    let form = |name: &str| timestamp_form(name).unwrap_or(Form::NATURAL);
    let zoned = ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    let forms = vec![
        (
            "`YYYY-MM-DD HH:MM:SS.SSS`",
            ScalarValue::TimestampMicrosecond(Some(micros), None),
            form("YYYY-MM-DD HH:MM:SS.SSS"),
        ),
        ("`YYYY-MM-DDTHH:MM:SSZ`", zoned, form("YYYY-MM-DDTHH:MM:SSZ")),
    ];
    TypeTables { kind: "sqlite", title: "SQLite", native: native.collect(), sent: sent_values(&SqliteDialect, forms) }
}
