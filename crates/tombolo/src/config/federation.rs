use std::time::Duration;

use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Result};
use tombolo_engine::{JoinOrder, PushdownRules, Settings, Strategy, TypeMapping};
use toml_edit::TableLike;

use super::key::option_value;
use super::place::Place;

/// When something is done that may cost more than it saves.
const STRATEGIES: &[&str] = &["adaptive", "always", "never"];

/// The keys of the `[federation]` table. This list makes the check of the config, `config list`, and the reference.
pub(crate) const FEDERATION: &[OptionSpec] = &[
    spec("max_query_time", OptionKind::Duration, Some("5m"), "The longest that a query may take; 0s is without limit."),
    spec(
        "max_memory",
        OptionKind::Bytes,
        Some("2GB"),
        "Memory that the operators of all running queries may reserve. Sorts, aggregates and sort-merge joins then spill \
         to disk; an operator that cannot spill fails with an error that names it.",
    ),
    spec("max_temp_bytes", OptionKind::Bytes, Some("100GB"), "Disk space that spilled data may take."),
    spec(
        "temp_dir",
        OptionKind::Path,
        None,
        "The folder for spilled data; not set, the system's folder for temporary files.",
    ),
    spec("batch_size", OptionKind::Integer, Some("8192"), "Rows in one batch; from 1."),
    spec(
        "parallel",
        OptionKind::Integer,
        None,
        "How many streams and operators run side by side; not set, one for each processor.",
    ),
    spec(
        "catalog_ttl",
        OptionKind::Duration,
        Some("5m"),
        "How old the cached description of a table may be before its source is asked again.",
    ),
    spec(
        "join_counts",
        OptionKind::Boolean,
        Some("true"),
        "Whether the receipt counts the matched and unmatched rows of joins that run here.",
    ),
    spec(
        "observed_statistics",
        OptionKind::Boolean,
        Some("true"),
        "Whether the rows that sub-queries gave, and the time that sources took, correct what is expected of later queries.",
    ),
    spec(
        "join_order",
        OptionKind::Choice(&["cost", "written"]),
        Some("cost"),
        "In which order joins are done: in the one that is expected to move and to work least, or as the statement has them.",
    ),
    spec(
        "key_shipping",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When the keys of one side of a join are sent to the source of the other: where that is expected to cost less, always, or never.",
    ),
    spec(
        "key_ranges",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When rows from the least key to the greatest are asked for: where keys are not sent and much less is expected to come so, \
         always in place of keys, or never.",
    ),
    spec(
        "lookup_joins",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When one side of a join is read part by part, and its partners are looked up before the next part is read: below a limit \
         where that is expected to cost less, always, or never.",
    ),
    spec(
        "key_batch",
        OptionKind::Integer,
        Some("10000"),
        "The most keys in one request, where the source does not take fewer.",
    ),
    spec(
        "max_keys",
        OptionKind::Integer,
        Some("1000000"),
        "The most distinct keys that a join collects to be sent; with more of them, the source is read without keys.",
    ),
    spec(
        "split_aggregates",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When an aggregate over a join of two sources is begun in one of them, by groups: where that is expected to cost less, wherever it is right, or never.",
    ),
    spec(
        "shared_rows",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When what a statement has more than once, such as a query that WITH names or a table beside groups of its own, is made \
         once for all that read it: where that is expected to cost less, always, or never.",
    ),
    spec(
        "local_work",
        OptionKind::Choice(STRATEGIES),
        Some("adaptive"),
        "When joins, groups and windows of one source's tables are done here, although the source could do them: where the source was seen \
         to take clearly longer than reading the tables does, always, or never.",
    ),
    spec(
        "type_mappings",
        OptionKind::Text,
        None,
        "As what columns are compared with columns of other sources, in place of their own type: `crm.public.users.ref = integer, \
         shop.orders.code = uuid`. Types are integer, text, uuid, decimal(p,s), timestamp and timestamp(ZONE).",
    ),
    spec(
        "max_cartesian_rows",
        OptionKind::Integer,
        Some("1000000"),
        "The most rows that a Cartesian product, a join without a condition, may have before it is refused; one of unknown \
         size is held to have more. 0 is without limit.",
    ),
    spec(
        "pushdown",
        OptionKind::Boolean,
        Some("true"),
        "Whether work is pushed into the sources. Off, the answer is the same and slower: to compare, and to find faults.",
    ),
    spec(
        "keep_last_result",
        OptionKind::Bytes,
        Some("256MB"),
        "How large a result may be and still be kept for `export last`; 0B keeps none.",
    ),
    spec("history_entries", OptionKind::Integer, Some("1000"), "How many queries the history keeps; 0 keeps none."),
];

const fn spec(name: &'static str, kind: OptionKind, default: Option<&'static str>, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// The `[federation]` table, typed.
#[derive(Debug, Clone)]
pub(crate) struct Federation {
    /// What the file sets itself.
    pub(crate) given: Options,
    /// The engine's part.
    pub(crate) settings: Settings,
    /// The most bytes of a result that are kept for `export last`.
    pub(crate) keep_last_result: u64,
    /// The most queries that the history keeps.
    pub(crate) history_entries: usize,
}

impl Default for Federation {
    fn default() -> Self {
        let settings = Settings::default();
        Self { given: Options::default(), settings, keep_last_result: 256 << 20, history_entries: 1000 }
    }
}

impl Federation {
    /// Reads the table.
    pub(super) fn read(table: &dyn TableLike, place: &Place<'_>) -> Result<Self> {
        let mut given = Options::default();
        for (name, item) in table.iter() {
            let Some(spec) = FEDERATION.iter().find(|spec| spec.name == name) else {
                let known: Vec<&str> = FEDERATION.iter().map(|spec| spec.name).collect();
                let span = table.key(name).and_then(toml_edit::Key::span);
                return Err(place.unknown_key(span, name, &known, "[federation]"));
            };
            let value = option_value(item).ok_or_else(|| {
                let (takes, given) = (spec.kind.describe(), item.type_name());
                place.error(item.span(), format!("`federation.{name}` takes {takes}, not {given}"))
            })?;
            let value = spec
                .kind
                .check(name, &value)
                .and_then(|value| check_range(name, &value.to_string()).map(|()| value))
                .map_err(|error| place.locate(error, item.span()))?;
            given.set(name, value);
        }
        Self::from_options(given)
    }

    /// A key's value as a person wrote it, or its default.
    pub(crate) fn text(&self, key: &str) -> String {
        let default =
            || FEDERATION.iter().find(|spec| spec.name == key).and_then(|spec| spec.default).map(str::to_owned);
        let given = self.given.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_string());
        given.or_else(default).unwrap_or_default()
    }

    /// The table of these options.
    pub(crate) fn from_options(given: Options) -> Result<Self> {
        let all = given.checked(FEDERATION)?;
        let mut settings = Settings::default();
        settings.max_query_time = all.duration("max_query_time").filter(|limit| *limit > Duration::ZERO);
        settings.max_memory = all.bytes("max_memory").unwrap_or(settings.max_memory);
        settings.max_temp_bytes = all.bytes("max_temp_bytes").unwrap_or(settings.max_temp_bytes);
        settings.temp_dir = all.text("temp_dir").map(Into::into);
        settings.batch_size = all.integer("batch_size").unwrap_or(settings.batch_size);
        settings.parallel = all.integer("parallel").unwrap_or(settings.parallel);
        settings.catalog_ttl = all.duration("catalog_ttl").unwrap_or(settings.catalog_ttl);
        settings.max_cartesian_rows =
            all.integer("max_cartesian_rows").filter(|rows| *rows > 0).map(|rows| rows as u64);
        settings.join_counts = all.boolean("join_counts");
        settings.observed_statistics = all.boolean("observed_statistics");
        if all.text("join_order") == Some("written") {
            settings.join_order = JoinOrder::Written;
        }
        let strategy = |name| match all.text(name) {
            Some("always") => Strategy::Always,
            Some("never") => Strategy::Never,
            _ => Strategy::Adaptive,
        };
        let shipping = &mut settings.key_shipping;
        shipping.strategy = strategy("key_shipping");
        shipping.ranges = strategy("key_ranges");
        shipping.lookup = strategy("lookup_joins");
        shipping.batch_keys = all.integer("key_batch").unwrap_or(shipping.batch_keys);
        shipping.max_keys = all.integer("max_keys").unwrap_or(shipping.max_keys);
        settings.split_aggregates = strategy("split_aggregates");
        settings.shared_rows = strategy("shared_rows");
        settings.local_work = strategy("local_work");
        settings.type_mappings = TypeMapping::parse_list(all.text("type_mappings").unwrap_or_default())?;
        settings.pushdown = if all.boolean("pushdown") { PushdownRules::ALL } else { PushdownRules::NONE };
        Ok(Self {
            settings,
            keep_last_result: all.bytes("keep_last_result").unwrap_or_default(),
            history_entries: all.integer("history_entries").unwrap_or_default(),
            given,
        })
    }
}

/// Refuses values of the right kind that no query could run with.
pub(crate) fn check_range(name: &str, value: &str) -> Result<()> {
    let least = match name {
        "type_mappings" => return TypeMapping::parse_list(value).map(|_| ()),
        "batch_size" | "parallel" | "key_batch" => 1,
        _ => return Ok(()),
    };
    match value.parse::<u64>() {
        Ok(number) if number >= least => Ok(()),
        _ => Err(Error::new(
            ErrorCode::ConfigInvalid,
            format!("option `{name}` takes a whole number from {least}, not `{value}`"),
        )
        .with_hint(format!("Set `{name}` to at least {least}, or unset it for the default."))),
    }
}
