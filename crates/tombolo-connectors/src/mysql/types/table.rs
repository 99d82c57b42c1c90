use tombolo_connector::{Options, Result};

use super::super::config::Config;
use super::super::native::MysqlDialect;
use super::{RemoteType, carried};
use crate::sql::{NativeType, TypeTables, sent_values};

type Refused = &'static [(&'static str, &'static str)];
const NO_FLAG: Refused = &[("2", "a number other than 0 and 1")];
const NO_DATE: Refused = &[("'0000-00-00'", "the date 0000-00-00"), ("'2024-02-00'", "the date 2024-02-00")];
const NO_MOMENT: Refused = &[("'0000-00-00 00:00:00'", "the date 0000-00-00")];
const NO_TIME: Refused =
    &[("'25:00:00'", "which is not a time of the day"), ("'-01:00:00'", "which is not a time of the day")];

const BLANKS: &str = "without the blanks that fill it up";
const WRITTEN: &str = "as the server writes it";
const SHAPE: &str = "well-known binary";
const LETTERS: &str = "in small letters with hyphens";

/// Types with what is to be said of each, the only server that has it, and what is refused.
const TYPES: &[(&str, &str, &str, Refused)] = &[
    ("tinyint", "", "", &[]),
    ("smallint", "", "", &[]),
    ("mediumint", "", "", &[]),
    ("int", "", "", &[]),
    ("bigint", "", "", &[]),
    ("tinyint unsigned", "", "", &[]),
    ("smallint unsigned", "", "", &[]),
    ("mediumint unsigned", "", "", &[]),
    ("int unsigned", "", "", &[]),
    ("bigint unsigned", "", "", &[]),
    ("tinyint(1)", "also called `bool`", "", NO_FLAG),
    ("bit(1)", "", "", &[]),
    ("bit(5)", "up to 63 bits", "", &[]),
    ("bit(64)", "", "", &[]),
    ("decimal(9,2)", "", "", &[]),
    ("decimal(38,10)", "up to 38 digits", "", &[]),
    ("decimal(65,30)", "up to 65 digits", "", &[]),
    ("float", "", "", &[]),
    ("double", "", "", &[]),
    ("char(9)", BLANKS, "", &[]),
    ("varchar(9)", "", "", &[]),
    ("tinytext", "", "", &[]),
    ("text", "", "", &[]),
    ("mediumtext", "", "", &[]),
    ("longtext", "", "", &[]),
    ("varchar(9) CHARACTER SET latin1", "converted by the server", "", &[]),
    ("enum('b','a')", "its label", "", &[]),
    ("set('b','a')", "its labels with commas", "", &[]),
    ("json", WRITTEN, "", &[]),
    ("binary(4)", "", "", &[]),
    ("varbinary(9)", "", "", &[]),
    ("tinyblob", "", "", &[]),
    ("blob", "", "", &[]),
    ("mediumblob", "", "", &[]),
    ("longblob", "", "", &[]),
    ("date", "", "", NO_DATE),
    ("datetime(6)", "", "", NO_MOMENT),
    ("timestamp(6)", "", "", NO_MOMENT),
    ("time(6)", "", "", NO_TIME),
    ("year", "", "", &[]),
    ("geometry", SHAPE, "", &[]),
    ("point", SHAPE, "", &[]),
    ("linestring", SHAPE, "", &[]),
    ("polygon", SHAPE, "", &[]),
    ("multipoint", SHAPE, "", &[]),
    ("multilinestring", SHAPE, "", &[]),
    ("multipolygon", SHAPE, "", &[]),
    ("geometrycollection", SHAPE, "", &[]),
    ("vector(3)", "its floats of four bytes", "MySQL 9", &[]),
    ("uuid", LETTERS, "MariaDB", &[]),
    ("inet4", WRITTEN, "MariaDB", &[]),
    ("inet6", WRITTEN, "MariaDB", &[]),
];

/// A type as the catalog says it of a column that is declared so.
fn remote(declared: &str) -> RemoteType {
    let full = declared.split(" CHARACTER SET").next().unwrap_or_default();
    let name = full.split(['(', ' ']).next().unwrap_or_default();
    let mut numbers =
        full.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside).split(',');
    let is_text = matches!(name, "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set");
    let character_set = declared.split_once("CHARACTER SET ").map_or("utf8mb4", |(_, set)| set);
    RemoteType {
        name: name.to_owned(),
        full: full.to_owned(),
        precision: numbers.next().and_then(|digits| digits.parse().ok()),
        scale: numbers.next().and_then(|digits| digits.parse().ok()),
        character_set: is_text.then(|| character_set.to_owned()),
    }
}

/// The tables of types, as the options have it that are not set.
pub(in super::super) fn type_tables() -> Result<TypeTables> {
    let config = Config::try_new(&Options::default().with("tinyint1_as_boolean", true))?;
    let numbers = Config::try_new(&Options::default().with("tinyint1_as_boolean", false))?;
    let native =
        |declared: &'static str, config: &Config| NativeType::new(declared, vec![carried(&remote(declared), config).0]);
    let mut types: Vec<NativeType> = TYPES
        .iter()
        .map(|&(declared, note, only, refused)| NativeType { note, only, refused, ..native(declared, &config) })
        .collect();
    types.push(NativeType { option: Some(("tinyint1_as_boolean", "false")), ..native("tinyint(1)", &numbers) });
    Ok(TypeTables {
        kind: "mysql",
        title: "MySQL and MariaDB",
        native: types,
        sent: sent_values(&MysqlDialect::default(), Vec::new()),
    })
}
