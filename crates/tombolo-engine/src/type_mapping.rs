//! What the config says of the types that columns are compared as.

use std::fmt;

use arrow::array::timezone::Tz;
use arrow::datatypes::DECIMAL256_MAX_PRECISION;
use tombolo_connector::{Error, ErrorCode, Result, TableRef};

/// What a list of mappings looks like, for hints.
const EXAMPLE: &str = "crm.public.users.ref = integer, shop.orders.code = decimal(10,2)";
/// The types that a column can be mapped to, for hints.
const TYPES: &str =
    "integer, text, uuid, decimal(p,s), timestamp and timestamp(ZONE), such as timestamp(Europe/Berlin)";

/// Says as what a column of a source is compared with columns of other sources, whatever its own type says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeMapping {
    source: Name,
    /// Without it, tables of this name in any schema of the source are meant.
    schema: Option<Name>,
    table: Name,
    column: Name,
    key_type: KeyType,
}

/// What a column is compared as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// A whole number of 64 bits.
    Integer,
    /// Text, byte by byte.
    Text,
    /// A UUID, however it is spelled.
    Uuid,
    /// A decimal.
    Decimal {
        /// All its digits.
        precision: u8,
        /// Those after the point.
        scale: i8,
    },
    /// A moment; with a zone, what has none is read as the time there.
    Timestamp {
        /// A name of the IANA database, or an offset.
        zone: Option<String>,
    },
}

/// A part of a dotted name. Without quotes it matches whatever its case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    text: String,
    quoted: bool,
}

impl Name {
    fn matches(&self, name: &str) -> bool {
        if self.quoted { self.text == name } else { self.text.to_lowercase() == name.to_lowercase() }
    }

    /// Whether there is a name that both match.
    fn overlaps(&self, other: &Self) -> bool {
        if self.quoted { other.matches(&self.text) } else { self.matches(&other.text) }
    }
}

impl TypeMapping {
    /// Reads a list such as `crm.public.users.ref = integer, shop.orders.code = text`.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] with the entry that cannot be read.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let mut mappings: Vec<Self> = Vec::new();
        for entry in pieces(text, ',').into_iter().filter(|entry| !entry.is_empty()) {
            let mapping = Self::parse(entry)?;
            if mappings.iter().any(|known| known.overlaps(&mapping)) {
                return Err(invalid(format!("`type_mappings` has the column of `{entry}` twice")));
            }
            mappings.push(mapping);
        }
        Ok(mappings)
    }

    fn parse(entry: &str) -> Result<Self> {
        let malformed = || invalid(format!("`type_mappings` has `{entry}` in it, which is no column and its type"));
        let parts = pieces(entry, '=');
        let [path, key_type] = parts.as_slice() else { return Err(malformed()) };
        let names: Option<Vec<Name>> = pieces(path, '.').into_iter().map(name).collect();
        let key_type = KeyType::parse(key_type)?;
        match names.ok_or_else(malformed)?.as_slice() {
            [source, table, column] => Ok(Self {
                source: source.clone(),
                schema: None,
                table: table.clone(),
                column: column.clone(),
                key_type,
            }),
            [source, schema, table, column] => Ok(Self {
                source: source.clone(),
                schema: Some(schema.clone()),
                table: table.clone(),
                column: column.clone(),
                key_type,
            }),
            _ => Err(malformed()),
        }
    }

    /// Whether there could be a column that both are about.
    fn overlaps(&self, other: &Self) -> bool {
        let schemas = self.schema.as_ref().zip(other.schema.as_ref());
        self.source.overlaps(&other.source)
            && schemas.is_none_or(|(one, other)| one.overlaps(other))
            && self.table.overlaps(&other.table)
            && self.column.overlaps(&other.column)
    }

    /// Whether the mapping is of a column of this table.
    pub(crate) fn is_of_table(&self, source: &str, table: &TableRef) -> bool {
        !table.is_query()
            && self.source.matches(source)
            && self.schema.as_ref().is_none_or(|schema| schema.matches(&table.schema))
            && self.table.matches(&table.table)
    }

    /// Whether it is of the column of this name.
    pub(crate) fn is_of_column(&self, name: &str) -> bool {
        self.column.matches(name)
    }

    /// The column's name as it was written.
    pub(crate) fn column(&self) -> &str {
        &self.column.text
    }

    /// What the column is compared as.
    pub(crate) fn key_type(&self) -> &KeyType {
        &self.key_type
    }
}

impl KeyType {
    fn parse(text: &str) -> Result<Self> {
        let unknown = || invalid(format!("`type_mappings` names the type `{text}`"));
        let word = text.to_ascii_lowercase();
        // Of the text itself, since names of zones have capitals.
        let argument = |name: &str| {
            let rest = text.get(name.len()..).filter(|_| word.starts_with(name))?;
            rest.trim_start().strip_prefix('(')?.strip_suffix(')')
        };
        match word.as_str() {
            "integer" | "bigint" | "int" => return Ok(Self::Integer),
            "text" | "varchar" | "string" => return Ok(Self::Text),
            "uuid" => return Ok(Self::Uuid),
            "timestamp" => return Ok(Self::Timestamp { zone: None }),
            "timestamptz" => return Ok(Self::Timestamp { zone: Some("UTC".to_owned()) }),
            _ => {}
        }
        if let Some(zone) = argument("timestamp") {
            let zone = zone.trim();
            zone.parse::<Tz>().map_err(|_| invalid(format!("`type_mappings` names the time zone `{zone}`")))?;
            return Ok(Self::Timestamp { zone: Some(zone.to_owned()) });
        }
        let digits = argument("decimal").or_else(|| argument("numeric")).ok_or_else(unknown)?;
        let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
        let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
        let scale: u8 = scale.trim().parse().map_err(|_| unknown())?;
        if !(1..=DECIMAL256_MAX_PRECISION).contains(&precision) || scale > precision {
            return Err(unknown());
        }
        Ok(Self::Decimal { precision, scale: i8::try_from(scale).map_err(|_| unknown())? })
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("integer"),
            Self::Text => f.write_str("text"),
            Self::Uuid => f.write_str("uuid"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Timestamp { zone: None } => f.write_str("timestamp"),
            Self::Timestamp { zone: Some(zone) } => write!(f, "timestamp({zone})"),
        }
    }
}

/// Cuts a text at a character that stands outside of quotes and parentheses; the pieces without blanks around them.
fn pieces(text: &str, at: char) -> Vec<&str> {
    let (mut pieces, mut depth, mut quoted, mut start) = (Vec::new(), 0_usize, false, 0);
    for (index, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if c == at && depth == 0 => {
                pieces.push(text[start..index].trim());
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(text[start..].trim());
    pieces
}

fn name(text: &str) -> Option<Name> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| text.len() > 1);
    let (text, quoted) = match inner {
        Some(inner) => (inner.replace("\"\"", "\""), true),
        None => (text.to_owned(), false),
    };
    (!text.is_empty() && (quoted || !text.contains('"'))).then_some(Name { text, quoted })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::ConfigInvalid, message).with_hint(format!("Write it as in `{EXAMPLE}`; types are {TYPES}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, bool, String)> {
        let mappings = TypeMapping::parse_list(text).unwrap();
        let told = |mapping: &TypeMapping| {
            (mapping.column().to_owned(), mapping.schema.is_some(), mapping.key_type().to_string())
        };
        mappings.iter().map(told).collect()
    }

    #[test]
    fn lists_are_read() {
        let entry = |column: &str, has_schema, key_type: &str| (column.to_owned(), has_schema, key_type.to_owned());
        assert_eq!(parsed(""), []);
        assert_eq!(parsed("crm.public.users.ref = integer"), [entry("ref", true, "integer")]);
        assert_eq!(
            parsed("a.t.c=Decimal( 10, 2 ), a.t.\"x.y = (\" = UUID,\n b.s.t.c = timestamp(Europe/Berlin),"),
            [
                entry("c", false, "decimal(10,2)"),
                entry("x.y = (", false, "uuid"),
                entry("c", true, "timestamp(Europe/Berlin)")
            ]
        );
        assert_eq!(parsed("a.t.c = timestamp(+02:00), a.t.d = decimal(7)")[1].2, "decimal(7,0)");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "ref = integer",
            "a.b = integer",
            "a.b.c.d.e = integer",
            "a.b.c",
            "a.b.c = ",
            "a.b.c = number",
            "a.b.c = decimal(10,11)",
            "a.b.c = decimal(77,0)",
            "a.b.c = timestamp(Mars/Base)",
            "a.b.c = integer, a.b.c = text",
            "a..c = integer",
            "a.b.c = integer = text",
        ] {
            let error = TypeMapping::parse_list(text).expect_err(text);
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{text}");
        }
    }

    #[test]
    fn names_match_as_they_do_in_statements() {
        let mappings = TypeMapping::parse_list("Crm.users.\"Ref\" = integer").unwrap();
        let is_of = |source: &str, table: TableRef, column: &str| {
            mappings[0].is_of_table(source, &table) && mappings[0].is_of_column(column)
        };
        assert!(is_of("crm", TableRef::new("public", "USERS"), "Ref"));
        assert!(is_of("crm", TableRef::new("other", "users"), "Ref"));
        assert!(!is_of("crm", TableRef::new("public", "users"), "ref"));
        assert!(!is_of("shop", TableRef::new("public", "users"), "Ref"));
        assert!(!is_of("crm", TableRef::query("users"), "Ref"));
    }

    #[test]
    fn a_column_has_one_type() {
        for (list, is_twice) in [
            ("shop.orders.code = integer, Shop.orders.code = text", true),
            ("shop.orders.code = integer, shop.main.orders.code = text", true),
            ("shop.orders.code = integer, shop.orders.\"CODE\" = text", true),
            ("shop.orders.\"code\" = integer, shop.orders.\"CODE\" = text", false),
            ("shop.a.orders.code = integer, shop.b.orders.code = text", false),
        ] {
            let refused = TypeMapping::parse_list(list).err().map(|error| error.message().contains("twice"));
            assert_eq!(refused, is_twice.then_some(true), "{list}");
        }
    }
}
