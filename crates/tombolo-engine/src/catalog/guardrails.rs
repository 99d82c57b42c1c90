use tombolo_connector::{Error, ErrorCode, Result, TableRef, nearest_name};

/// A LIMIT up to this reads a part of any table that is worth a rule, unless the config says another number.
const LIMIT_OF_UNKNOWN: u64 = 100_000;

/// What queries may not do to one source. The default forbids nothing.
///
/// `max_scanned` counts all that one query reads from the source. The other rules are about single tables; they hold for every
/// table whose own rules do not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// The most that the source may send to one query.
    pub max_scanned: ScanLimits,
    /// Whether a table is only read with a predicate or a limit that bounds what is read of it.
    pub deny_full_scan: bool,
    /// Up to so many rows a table is read whole all the same, where the source knows how many it has.
    pub full_scan_rows: Option<u64>,
    /// The most rows of an answer that is sorted and has no limit.
    pub max_unlimited_sort_rows: Option<u64>,
    /// Whether queries in the source's own language run where there are rules about predicates, which cannot be held against them.
    pub allow_native: bool,
    /// The rules of single tables.
    pub tables: Vec<TableGuardrails>,
}

/// What queries may not do to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableGuardrails {
    /// `schema.table`, or `table` for tables of this name in any schema. It matches whatever its case, and the table that is
    /// written exactly so before others.
    pub table: String,
    /// The columns that each scan must restrict by predicates against constants.
    pub require: Vec<String>,
    /// The most that sub-queries which read the table may send to one query.
    pub max_scanned: ScanLimits,
    /// In place of the source's.
    pub deny_full_scan: Option<bool>,
    /// In place of the source's.
    pub full_scan_rows: Option<u64>,
    /// In place of the source's.
    pub max_unlimited_sort_rows: Option<u64>,
}

/// The most that may come from a source to one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanLimits {
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes of the rows' values in Arrow.
    pub bytes: Option<u64>,
}

/// The rules that hold for one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableRules<'a> {
    source: &'a Guardrails,
    own: Option<&'a TableGuardrails>,
}

impl Guardrails {
    /// The rules that hold for a table.
    pub(crate) fn of(&self, table: &TableRef) -> TableRules<'_> {
        let fits = self.tables.iter().filter_map(|rules| Some((rules.fit(table)?, rules)));
        let own = fits.max_by_key(|(fit, _)| *fit).map(|(_, rules)| rules);
        TableRules { source: self, own }
    }

    /// Whether there are rules that ask for predicates, of the source or of any of its tables.
    pub(crate) fn asks_for_predicates(&self) -> bool {
        let asks = |rules: &TableGuardrails| !rules.require.is_empty() || rules.deny_full_scan == Some(true);
        self.deny_full_scan || self.tables.iter().any(asks)
    }

    /// Whether nothing is forbidden.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl TableGuardrails {
    /// How well the name fits a table: with its schema before without, in the same case before in another.
    fn fit(&self, table: &TableRef) -> Option<(bool, bool)> {
        if table.is_query() {
            return None;
        }
        let qualified = table.to_string();
        [(&qualified, true), (&table.table, false)].into_iter().find_map(|(name, has_schema)| {
            let is_alike = self.table.to_lowercase() == name.to_lowercase();
            is_alike.then_some((has_schema, self.table == *name))
        })
    }

    /// Whether it is about this table.
    fn is_about(&self, table: &TableRef) -> bool {
        self.fit(table).is_some()
    }

    /// Whether it looks as if it were about a table of this schema; a table's own name may hold dots.
    fn may_be_in(&self, schema: &str) -> bool {
        let start = format!("{}.", schema.to_lowercase());
        !self.table.contains('.') || self.table.to_lowercase().starts_with(&start)
    }

    /// The error for a name that no table of the source has.
    fn not_found(&self, source: &str, known: &[TableRef]) -> Error {
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let bare = known.iter().map(|table| table.table.as_str());
        let near = nearest_name(&self.table, names.iter().map(String::as_str).chain(bare));
        let next =
            "A rule that guards nothing would go unseen, so the source is not read: correct the name or remove it.";
        Error::new(
            ErrorCode::ConfigInvalid,
            format!("there are guardrails for table `{}`, which source `{source}` does not have", self.table),
        )
        .with_detail(format!("they stand in [{}]", place(source, Some(&self.table))))
        .with_hint(near.map_or_else(|| next.to_owned(), |near| format!("Did you mean `{near}`? {next}")))
        .with_source_name(source)
    }
}

impl<'a> TableRules<'a> {
    /// The columns that each scan must restrict.
    pub(crate) fn require(&self) -> &'a [String] {
        self.own.map_or(&[], |own| &own.require)
    }

    /// The most that sub-queries with this table may send.
    pub(crate) fn max_scanned(&self) -> ScanLimits {
        self.own.map(|own| own.max_scanned).unwrap_or_default()
    }

    /// Whether a table of so many rows, as far as that is known, may not be read whole.
    pub(crate) fn denies_full_scan(&self, rows: Option<u64>) -> bool {
        let denies = self.own.and_then(|own| own.deny_full_scan).unwrap_or(self.source.deny_full_scan);
        denies && rows.zip(self.full_scan_rows()).is_none_or(|(rows, small)| rows > small)
    }

    /// The highest LIMIT that keeps a table with an unknown number of rows from being read whole.
    pub(crate) fn limit_of_unknown(&self) -> u64 {
        self.full_scan_rows().map_or(LIMIT_OF_UNKNOWN, |rows| rows.max(LIMIT_OF_UNKNOWN))
    }

    fn full_scan_rows(&self) -> Option<u64> {
        self.own.and_then(|own| own.full_scan_rows).or(self.source.full_scan_rows)
    }

    /// The most rows of an answer that is sorted and has no limit.
    pub(crate) fn max_unlimited_sort_rows(&self) -> Option<u64> {
        self.own.and_then(|own| own.max_unlimited_sort_rows).or(self.source.max_unlimited_sort_rows)
    }

    /// Where a rule stands in the config: at the table if `is_own` says of its rules that they have it.
    pub(crate) fn key(&self, source: &str, rule: &str, is_own: impl Fn(&TableGuardrails) -> bool) -> String {
        let table = self.own.filter(|own| is_own(own)).map(|own| own.table.as_str());
        key(source, table, rule)
    }
}

impl ScanLimits {
    /// Whether there is any.
    pub(crate) fn is_set(self) -> bool {
        self.rows.is_some() || self.bytes.is_some()
    }
}

/// A rule's key in the config.
pub(crate) fn key(source: &str, table: Option<&str>, rule: &str) -> String {
    format!("{}.{rule}", place(source, table))
}

/// The config's table with the guardrails of a source or of one of its tables.
fn place(source: &str, table: Option<&str>) -> String {
    match table {
        None => format!("sources.{source}.guardrails"),
        Some(table) if table.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) => {
            format!("sources.{source}.tables.{table}.guardrails")
        }
        Some(table) => format!("sources.{source}.tables.\"{table}\".guardrails"),
    }
}

/// A refusal by a guardrail.
pub(crate) fn refused(source: &str, message: String) -> Error {
    Error::new(ErrorCode::GuardrailRefused, message).with_source_name(source)
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Looks for the table that rules are about among those of a source.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] where there is none, and what the source says when it is asked for its tables.
pub(super) async fn find(source: &super::Source, rules: &TableGuardrails) -> Result<()> {
    let mut known = Vec::new();
    // What is remembered serves first; the source is asked again before anything is said not to exist.
    for fresh in [false, true] {
        known.clear();
        for schema in source.schemas().await?.iter().filter(|schema| fresh || rules.may_be_in(schema)) {
            let tables = source.tables(schema, fresh).await?;
            if tables.iter().any(|table| rules.is_about(table)) {
                return Ok(());
            }
            known.extend(tables);
        }
    }
    Err(rules.not_found(source.name(), &known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableGuardrails {
        TableGuardrails { table: name.to_owned(), ..TableGuardrails::default() }
    }

    #[test]
    fn the_rules_that_name_a_table_most_exactly_hold() {
        let tables = ["events", "Public.Events", "public.events", "EVENTS"].map(table).to_vec();
        let guardrails = Guardrails { tables, ..Guardrails::default() };
        let own = |schema, name| guardrails.of(&TableRef::new(schema, name)).own.map(|own| own.table.as_str());
        assert_eq!(own("public", "events"), Some("public.events"));
        assert_eq!(own("Public", "Events"), Some("Public.Events"));
        assert_eq!(own("other", "EVENTS"), Some("EVENTS"));
        assert_eq!(own("other", "events"), Some("events"));
        assert_eq!(own("public", "event"), None);
        assert_eq!(guardrails.of(&TableRef::query("events")).own, None);
    }

    #[test]
    fn a_table_says_its_own_or_what_the_source_says() {
        let own = TableGuardrails { deny_full_scan: Some(false), max_unlimited_sort_rows: Some(5), ..table("small") };
        let small = TableGuardrails { full_scan_rows: Some(10), ..table("tiny") };
        let guardrails = Guardrails {
            deny_full_scan: true,
            max_unlimited_sort_rows: Some(7),
            tables: vec![own, small],
            ..Guardrails::default()
        };
        let of = |name| guardrails.of(&TableRef::new("main", name));
        assert!(of("large").denies_full_scan(Some(1)) && of("large").denies_full_scan(None));
        assert!(!of("small").denies_full_scan(Some(1)));
        assert!(!of("tiny").denies_full_scan(Some(10)) && of("tiny").denies_full_scan(Some(11)));
        assert!(of("tiny").denies_full_scan(None));
        assert_eq!(of("large").max_unlimited_sort_rows(), Some(7));
        assert_eq!(of("small").max_unlimited_sort_rows(), Some(5));
    }

    #[test]
    fn keys_are_those_of_the_config() {
        assert_eq!(key("shop", None, "a"), "sources.shop.guardrails.a");
        assert_eq!(key("shop", Some("events"), "a"), "sources.shop.tables.events.guardrails.a");
        assert_eq!(key("shop", Some("main.events"), "a"), "sources.shop.tables.\"main.events\".guardrails.a");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
