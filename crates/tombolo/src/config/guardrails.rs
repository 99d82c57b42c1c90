use tombolo_connector::{OptionKind, OptionSpec, Options, Result};
use tombolo_engine::{Guardrails, ScanLimits, TableGuardrails};
use toml_edit::{Item, Key, TableLike};

use super::key::option_value;
use super::place::Place;

/// The table of a source's rules, and of those of one of its tables.
pub(crate) const SECTION: &str = "guardrails";
/// The table of what is set for single tables of a source.
pub(crate) const TABLES: &str = "tables";

/// The keys of `[sources.NAME.guardrails]`.
pub(crate) const GUARDRAILS: &[OptionSpec] = &[
    MAX_ROWS,
    MAX_BYTES,
    DENY_FULL_SCAN,
    FULL_SCAN_ROWS,
    MAX_SORT,
    spec(
        "allow_native",
        OptionKind::Boolean,
        Some("false"),
        "Whether `query('source', 'text')` runs although there are rules about predicates, which cannot be held against the text.",
    ),
];

/// The keys of `[sources.NAME.tables.TABLE.guardrails]`, beside [`REQUIRE`].
pub(crate) const TABLE_GUARDRAILS: &[OptionSpec] =
    &[MAX_ROWS, MAX_BYTES, OptionSpec { default: None, ..DENY_FULL_SCAN }, FULL_SCAN_ROWS, MAX_SORT];

/// The one key that takes a list.
pub(crate) const REQUIRE: &str = "require";

const MAX_ROWS: OptionSpec = spec(
    "max_scanned_rows",
    OptionKind::Rows,
    None,
    "The most rows that may come to one query: of a source from all of it, of a table from all sub-queries that read it.",
);
const MAX_BYTES: OptionSpec = spec(
    "max_scanned_bytes",
    OptionKind::Bytes,
    None,
    "The same in bytes of the rows' values, as the receipt counts them.",
);
const DENY_FULL_SCAN: OptionSpec = spec(
    "deny_full_scan",
    OptionKind::Boolean,
    Some("false"),
    "Whether a table is only read with a predicate that its source evaluates, or with a LIMIT that ends the reading.",
);
const FULL_SCAN_ROWS: OptionSpec = spec(
    "full_scan_rows",
    OptionKind::Rows,
    None,
    "Up to so many rows, as the source knows them, a table is read whole all the same.",
);
const MAX_SORT: OptionSpec = spec(
    "max_unlimited_sort_rows",
    OptionKind::Rows,
    None,
    "The most rows of an answer with ORDER BY and without LIMIT.",
);

const fn spec(name: &'static str, kind: OptionKind, default: Option<&'static str>, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// What a source's tables in the file say of its guardrails.
#[derive(Debug, Clone, Default)]
pub(crate) struct GuardrailEntries {
    /// `[sources.NAME.guardrails]`
    pub(crate) source: Options,
    /// `[sources.NAME.tables.TABLE.guardrails]`, in the order of the file.
    pub(crate) tables: Vec<TableEntry>,
}

/// The rules of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableEntry {
    /// The table as the file names it.
    pub(crate) name: String,
    /// What is set beside the required columns.
    pub(crate) options: Options,
    /// The required columns.
    pub(crate) require: Vec<String>,
}

impl GuardrailEntries {
    /// Reads `guardrails` or `tables` of the source `name`.
    pub(super) fn read(&mut self, name: &str, key: &str, item: &Item, place: &Place<'_>) -> Result<()> {
        let whole = format!("sources.{name}.{key}");
        let table = table_like(item, &whole, place)?;
        if key == SECTION {
            self.source = read_rules(table, GUARDRAILS, None, &whole, place)?;
        } else {
            for (table_name, item) in table.iter() {
                let whole = format!("{whole}.{}", quoted(table_name));
                let span = table.key(table_name).and_then(Key::span);
                if let Some(other) = self.tables.iter().find(|known| known.name == table_name) {
                    return Err(place.error(span, format!("table `{}` is there twice", other.name)));
                }
                self.tables.push(read_table(table_name, table_like(item, &whole, place)?, &whole, place)?);
            }
        }
        Ok(())
    }

    /// Refuses rules that would never apply, which is not what was meant.
    pub(super) fn check(&self, name: &str, place: &Place<'_>) -> Result<()> {
        let denies = |options: &Options| {
            options.iter().any(|(key, _)| key == "deny_full_scan").then(|| options.boolean("deny_full_scan"))
        };
        let idle = |whole: String| {
            place
                .error(None, format!("`{whole}.full_scan_rows` does nothing where `deny_full_scan` is not set"))
                .with_hint("Set deny_full_scan = true beside it, or remove it.")
        };
        let of_source = denies(&self.source).unwrap_or_default();
        let of_any = self.tables.iter().any(|table| denies(&table.options) == Some(true));
        if self.source.integer("full_scan_rows").is_some() && !of_source && !of_any {
            return Err(idle(format!("sources.{name}.{SECTION}")));
        }
        for table in &self.tables {
            let whole = format!("sources.{name}.{TABLES}.{}.{SECTION}", quoted(&table.name));
            if table.options.integer("full_scan_rows").is_some() && !denies(&table.options).unwrap_or(of_source) {
                return Err(idle(whole));
            }
            let (own, all) = (limits(&table.options), limits(&self.source));
            for (key, own, all) in
                [("max_scanned_rows", own.rows, all.rows), ("max_scanned_bytes", own.bytes, all.bytes)]
            {
                if own.zip(all).is_some_and(|(own, all)| own > all) {
                    return Err(place
                        .error(None, format!("`{whole}.{key}` is above that of its source, which counts all tables"))
                        .with_hint(
                            "The lower limit always holds: raise that of the source, or remove that of the table.",
                        ));
                }
            }
        }
        Ok(())
    }

    /// The rules as the engine takes them.
    pub(super) fn rules(&self) -> Guardrails {
        let source = &self.source;
        Guardrails {
            max_scanned: limits(source),
            deny_full_scan: source.boolean("deny_full_scan"),
            full_scan_rows: rows(source, "full_scan_rows"),
            max_unlimited_sort_rows: rows(source, "max_unlimited_sort_rows"),
            allow_native: source.boolean("allow_native"),
            tables: self.tables.iter().map(TableEntry::rules).collect(),
        }
    }
}

impl TableEntry {
    fn rules(&self) -> TableGuardrails {
        let options = &self.options;
        let denies = options.iter().any(|(key, _)| key == "deny_full_scan");
        TableGuardrails {
            table: self.name.clone(),
            require: self.require.clone(),
            max_scanned: limits(options),
            deny_full_scan: denies.then(|| options.boolean("deny_full_scan")),
            full_scan_rows: rows(options, "full_scan_rows"),
            max_unlimited_sort_rows: rows(options, "max_unlimited_sort_rows"),
        }
    }

    /// Its keys with their values, as `config list` shows them.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (String, String)> {
        let whole = format!("{TABLES}.{}.{SECTION}", quoted(&self.name));
        let require = (!self.require.is_empty()).then(|| (REQUIRE.to_owned(), self.require.join(", ")));
        let options = self.options.iter().map(|(key, value)| (key.to_owned(), value.to_string()));
        require.into_iter().chain(options).map(move |(key, value)| (format!("{whole}.{key}"), value))
    }
}

fn limits(options: &Options) -> ScanLimits {
    ScanLimits { rows: rows(options, "max_scanned_rows"), bytes: options.bytes("max_scanned_bytes") }
}

fn rows(options: &Options, key: &str) -> Option<u64> {
    options.integer(key).map(|rows| rows as u64)
}

fn table_like<'a>(item: &'a Item, whole: &str, place: &Place<'_>) -> Result<&'a dyn TableLike> {
    item.as_table_like()
        .ok_or_else(|| place.error(item.span(), format!("`{whole}` must be a table, not {}", item.type_name())))
}

fn read_table(name: &str, table: &dyn TableLike, whole: &str, place: &Place<'_>) -> Result<TableEntry> {
    let mut entry = TableEntry { name: name.to_owned(), options: Options::default(), require: Vec::new() };
    for (key, item) in table.iter() {
        if key != SECTION {
            let span = table.key(key).and_then(Key::span);
            let error = place.unknown_key(span, key, &[SECTION], &format!("[{whole}]"));
            let dotted = item.as_table_like().is_some_and(|below| below.contains_key(SECTION));
            let hint = format!("A name with a dot stands in quotes: [{}.\"{name}.{key}\".{SECTION}].", parent(whole));
            return Err(if dotted { error.with_hint(hint) } else { error });
        }
        let whole = format!("{whole}.{SECTION}");
        let table = table_like(item, &whole, place)?;
        entry.options = read_rules(table, TABLE_GUARDRAILS, Some(REQUIRE), &whole, place)?;
        if let Some(item) = table.get(REQUIRE) {
            entry.require = read_columns(item, &whole, place)?;
        }
    }
    Ok(entry)
}

/// The part of a dotted key before the table's name.
fn parent(whole: &str) -> &str {
    whole.rsplit_once('.').map_or(whole, |(parent, _)| parent)
}

fn read_rules(
    table: &dyn TableLike,
    specs: &[OptionSpec],
    beside: Option<&str>,
    whole: &str,
    place: &Place<'_>,
) -> Result<Options> {
    let mut options = Options::default();
    for (key, item) in table.iter().filter(|(key, _)| beside != Some(*key)) {
        let Some(spec) = specs.iter().find(|spec| spec.name == key) else {
            let span = table.key(key).and_then(Key::span);
            let known: Vec<&str> = specs.iter().map(|spec| spec.name).chain(beside).collect();
            let error = place.unknown_key(span, key, &known, &format!("[{whole}]"));
            let of_tables = key == REQUIRE;
            let hint = "Columns are required of single tables: [sources.NAME.tables.TABLE.guardrails] has `require`.";
            return Err(if of_tables { error.with_hint(hint) } else { error });
        };
        let value = option_value(item).ok_or_else(|| {
            let (takes, given) = (spec.kind.describe(), item.type_name());
            place.error(item.span(), format!("`{whole}.{key}` takes {takes}, not {given}"))
        })?;
        let value = spec.kind.check(key, &value).map_err(|error| place.locate(error, item.span()))?;
        options.set(key, value);
        if options.bytes(key) == Some(0) {
            return Err(place.error(item.span(), format!("`{whole}.{key}` is nothing, so that nothing could be read")));
        }
    }
    Ok(options)
}

fn read_columns(item: &Item, whole: &str, place: &Place<'_>) -> Result<Vec<String>> {
    let columns = item.as_array().and_then(|columns| {
        columns.iter().map(|value| Some(value.as_str()?.to_owned())).collect::<Option<Vec<String>>>()
    });
    columns.filter(|columns| !columns.is_empty()).ok_or_else(|| {
        place
            .error(item.span(), format!("`{whole}.{REQUIRE}` takes a list of one or more columns"))
            .with_hint("For example require = [\"tenant_id\"].")
    })
}

/// A key of TOML as it is written.
fn quoted(key: &str) -> String {
    Key::new(key).display_repr().into_owned()
}
