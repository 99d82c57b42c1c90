use datafusion::common::ScalarValue;
use tombolo_connector::{Options, Result};

use super::super::config::Config;
use super::super::native::PostgresDialect;
use super::{AS_CHAR, AS_JSON, AS_MONEY, AS_NUMBER, AS_TEXT, AS_UUID, RemoteType, carried};
use crate::sql::{NativeType, TypeTables, sent_values};

/// What is refused of numbers, dates and moments.
type Refused = &'static [(&'static str, &'static str)];
const NAN: (&str, &str) = ("'NaN'", "a number that is not a number (NaN)");
const NO_NUMBERS: Refused = &[
    NAN,
    ("'Infinity'", "an infinite number"),
    ("1.00000000001", "a number with more than 10 digits after its point"),
];
const NO_DATE: Refused = &[("'infinity'", "an infinite date")];
const NO_MOMENT: Refused = &[("'-infinity'", "an infinite timestamp")];
const NO_TIME: Refused = &[("'24:00:00'", "the time 24:00:00, which is not a time of the day")];
const NO_LIST: Refused = &[("'{{1},{2}}'", "an array of 2 dimensions")];

const SCALE: &str = "the option `numeric_scale` says how many digits are after the point";
const BLANKS: &str = "without the blanks that fill it up";
const LETTERS: &str = "in small letters with hyphens";
const PARTS: &str = "months, days and nanoseconds";
const WRITTEN: &str = "as PostgreSQL writes it";

/// Types by their numbers, with what is to be said of each and what is refused.
const TYPES: &[(&str, u32, &str, Refused)] = &[
    ("boolean", 16, "", &[]),
    ("smallint", 21, "", &[]),
    ("integer", 23, "", &[]),
    ("bigint", 20, "", &[]),
    ("oid", 26, "", &[]),
    ("real", 700, "", &[]),
    ("double precision", 701, "", &[]),
    ("numeric(9,2)", 1700, "", &[NAN]),
    ("numeric(38,10)", 1700, "up to 38 digits", &[NAN]),
    ("numeric(60,5)", 1700, "up to 76 digits", &[NAN]),
    ("numeric(4,-2)", 1700, "with the zeros before its point", &[NAN]),
    ("numeric", 1700, SCALE, NO_NUMBERS),
    ("numeric(100,10)", 1700, "more digits, as PostgreSQL writes them", &[]),
    ("money", 790, "", &[]),
    ("text", 25, "", &[]),
    ("varchar(9)", 1043, "", &[]),
    ("char(4)", 1042, BLANKS, &[]),
    ("bytea", 17, "", &[]),
    ("date", 1082, "", NO_DATE),
    ("time", 1083, "", NO_TIME),
    ("timestamp", 1114, "", NO_MOMENT),
    ("timestamptz", 1184, "", NO_MOMENT),
    ("interval", 1186, PARTS, &[]),
    ("uuid", 2950, LETTERS, &[]),
    ("json", 114, WRITTEN, &[]),
    ("jsonb", 3802, WRITTEN, &[]),
    ("timetz", 1266, WRITTEN, &[]),
    ("\"char\"", 18, WRITTEN, &[]),
    ("name", 19, WRITTEN, &[]),
    ("inet", 869, WRITTEN, &[]),
    ("cidr", 650, WRITTEN, &[]),
    ("macaddr", 829, WRITTEN, &[]),
    ("bit(3)", 1560, WRITTEN, &[]),
    ("bit varying(3)", 1562, WRITTEN, &[]),
    ("point", 600, WRITTEN, &[]),
    ("int4range", 3904, WRITTEN, &[]),
    ("tsvector", 3614, WRITTEN, &[]),
    ("xml", 142, WRITTEN, &[]),
];

/// Arrays by the numbers of their elements' types.
const ARRAYS: &[(&str, u32, &str, Refused)] = &[
    ("boolean[]", 16, "", &[]),
    ("smallint[]", 21, "", &[]),
    ("integer[]", 23, "", NO_LIST),
    ("bigint[]", 20, "", &[]),
    ("double precision[]", 701, "", &[]),
    ("numeric(9,2)[]", 1700, "", &[]),
    ("text[]", 25, "", &[]),
    ("date[]", 1082, "", &[("'{infinity}'", "an infinite date")]),
    ("timestamptz[]", 1184, "", &[]),
    ("int2vector", 21, "", &[]),
    ("uuid[]", 2950, WRITTEN, &[]),
    ("char(4)[]", 1042, WRITTEN, &[]),
    ("jsonb[]", 3802, WRITTEN, &[]),
];

/// What the catalog has in `atttypmod` for these: of NUMERIC both numbers and four; of others nothing that is looked at.
fn modifier(declared: &str) -> i32 {
    let numbers = |inside: &str| {
        let (precision, scale) = inside.split_once(')')?.0.split_once(',')?;
        Some((precision.parse::<i32>().ok()?, scale.parse::<i32>().ok()?))
    };
    declared
        .strip_prefix("numeric(")
        .and_then(numbers)
        .map_or(-1, |(precision, scale)| ((precision << 16) | (scale & 0x7ff)) + 4)
}

/// The tables of types, as the options have it that are not set.
pub(in super::super) fn type_tables() -> Result<TypeTables> {
    let scale = Config::try_new(&Options::default())?.numeric_scale;
    let native = |declared: &'static str, oid, element, name: &str| {
        let remote = RemoteType { oid, modifier: modifier(declared), name: name.to_owned(), element };
        NativeType::new(declared, vec![carried(&remote, scale).0])
    };
    let types = TYPES.iter().map(|&(declared, oid, note, refused)| NativeType {
        note,
        refused,
        ..native(declared, oid, None, declared)
    });
    let arrays = ARRAYS.iter().map(|&(declared, element, note, refused)| NativeType {
        note,
        refused,
        ..native(declared, 0, Some(element), declared)
    });
    // These have no numbers of their own until they are made.
    let made = [
        NativeType {
            setup: "CREATE TYPE mood AS ENUM ('sad', 'happy')",
            note: "an enumeration: as PostgreSQL writes it, and so is any type that is not named here",
            ..native("mood", 0, None, "mood")
        },
        NativeType {
            setup: "CREATE TYPE pair AS (a int, b text)",
            note: "a composite type: as PostgreSQL writes it",
            ..native("pair", 0, None, "pair")
        },
        NativeType {
            setup: "CREATE DOMAIN cents AS numeric(9,2)",
            note: "a domain: as what it is of",
            carried: native("numeric(9,2)", 1700, None, "numeric").carried,
            ..native("cents", 0, None, "cents")
        },
    ];
    let shapes = ["geometry", "geography"].map(|name| NativeType {
        only: "PostGIS",
        note: "well-known binary with the system of coordinates",
        ..native(name, 0, None, name)
    });
    let forms = vec![
        ("`uuid`", ScalarValue::from("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), AS_UUID),
        ("`uuid`", ScalarValue::from("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), AS_UUID),
        ("`char(4)`", ScalarValue::from("ab"), AS_CHAR),
        ("`char(4)`", ScalarValue::from("ab "), AS_CHAR),
        ("`inet`", ScalarValue::from("10.0.0.1"), AS_TEXT),
        ("`jsonb`", ScalarValue::from("{}"), AS_JSON),
        ("`oid`", ScalarValue::from(7_i64), AS_NUMBER),
        ("`money`", ScalarValue::Decimal128(Some(1234), 19, 2), AS_MONEY),
    ];
    let dialect = PostgresDialect { default_is_bytes: false, pages: None };
    Ok(TypeTables {
        kind: "postgres",
        title: "PostgreSQL",
        native: types.chain(arrays).chain(made).chain(shapes).collect(),
        sent: sent_values(&dialect, forms),
    })
}
