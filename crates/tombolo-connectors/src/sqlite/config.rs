use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Result};

pub(super) const URLS: &[&str] = &["sqlite:shop.db", "shop.db", "shop.sqlite", "shop.sqlite3"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "path",
        kind: OptionKind::Path,
        default: None,
        required: true,
        help: "The database file. It is opened read-only and never created.",
    },
    OptionSpec {
        name: "busy_timeout",
        kind: OptionKind::Duration,
        default: Some("5s"),
        required: false,
        help: "How long to wait for another program's lock.",
    },
    OptionSpec {
        name: "verify_types",
        kind: OptionKind::Choice(&["auto", "always", "never"]),
        default: Some("auto"),
        required: false,
        help: "Whether to read each table once, to learn whether its values have their declared types; only then are they \
               compared in SQLite. `auto` does so for files up to 256 MB.",
    },
    OptionSpec {
        name: "columns_as_text",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "Columns to carry as text whatever they hold, as `table.column` separated by commas.",
    },
];

const URL_PREFIX: &str = "sqlite:";
const EXTENSIONS: [&str; 3] = [".db", ".sqlite", ".sqlite3"];

/// When the values of a table are read to learn their types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerifyTypes {
    Auto,
    Always,
    Never,
}

/// The typed options.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
    pub(super) verify_types: VerifyTypes,
    /// Table and column, in lower case, since SQLite's names ignore the case of ASCII letters.
    pub(super) columns_as_text: BTreeSet<(String, String)>,
}

impl Config {
    pub(super) fn try_new(options: &Options) -> Result<Self> {
        let missing = || Error::new(ErrorCode::ConfigInvalid, "option `path` is missing");
        let path = options.text("path").ok_or_else(missing)?;
        let mut columns_as_text = BTreeSet::new();
        let listed = options.text("columns_as_text").unwrap_or_default().split(',').map(str::trim);
        for entry in listed.filter(|entry| !entry.is_empty()) {
            let Some((table, column)) = entry.split_once('.') else {
                return Err(Error::new(ErrorCode::ConfigInvalid, format!("`columns_as_text` has `{entry}` in it"))
                    .with_hint("Write each column as `table.column`, separated by commas."));
            };
            columns_as_text.insert((table.trim().to_ascii_lowercase(), column.trim().to_ascii_lowercase()));
        }
        Ok(Self {
            path: PathBuf::from(path),
            busy_timeout: options.duration("busy_timeout").unwrap_or(Duration::from_secs(5)),
            verify_types: match options.text("verify_types") {
                Some("always") => VerifyTypes::Always,
                Some("never") => VerifyTypes::Never,
                _ => VerifyTypes::Auto,
            },
            columns_as_text,
        })
    }

    pub(super) fn is_text(&self, table: &str, column: &str) -> bool {
        self.columns_as_text.contains(&(table.to_ascii_lowercase(), column.to_ascii_lowercase()))
    }
}

/// Reads `sqlite:PATH`, or a path that ends as database files do.
pub(super) fn parse_url(url: &str) -> Option<Result<Options>> {
    if let Some(path) = url.strip_prefix(URL_PREFIX) {
        // Two slashes are an empty host, as in `sqlite:///data/a.db`.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Some(Err(Error::new(ErrorCode::Usage, format!("`{url}` names no file"))
                .with_hint("Write the path after the colon: `sqlite:shop.db`.")));
        }
        return Some(Ok(Options::default().with("path", path)));
    }
    let lower = url.to_ascii_lowercase();
    let is_path = !url.contains("://") && !url.contains('*');
    (is_path && EXTENSIONS.iter().any(|end| lower.ends_with(end))).then(|| Ok(Options::default().with("path", url)))
}
