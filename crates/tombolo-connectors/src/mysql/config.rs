use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Result, Secret};
use url::Url;

pub(super) const URLS: &[&str] = &["mysql://user@host:3306/database", "mariadb://user:password@host/database"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "host",
        kind: OptionKind::Text,
        default: Some("localhost"),
        required: false,
        help: "The server's name or address, or the path of its Unix socket.",
    },
    OptionSpec {
        name: "port",
        kind: OptionKind::Integer,
        default: Some("3306"),
        required: false,
        help: "The server's port.",
    },
    OptionSpec {
        name: "database",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "The database whose tables need no name before theirs; all others that the user may see are there too.",
    },
    OptionSpec {
        name: "user",
        kind: OptionKind::Text,
        default: Some("root"),
        required: false,
        help: "The user to sign in as. One that may only read is enough.",
    },
    OptionSpec {
        name: "password",
        kind: OptionKind::Secret,
        default: None,
        required: false,
        help: "The user's password.",
    },
    OptionSpec {
        name: "password_env",
        kind: OptionKind::Text,
        default: Some("MYSQL_PWD"),
        required: false,
        help: "The environment variable that holds the password, where `password` is not set.",
    },
    OptionSpec {
        name: "tls",
        kind: OptionKind::Choice(&["auto", "verify", "off"]),
        default: Some("auto"),
        required: false,
        help: "`verify`: TLS, with the server's certificate and name checked. `auto`: the same, but plain to this machine. \
               `off`: plain.",
    },
    OptionSpec {
        name: "tls_ca",
        kind: OptionKind::Path,
        default: None,
        required: false,
        help: "A file of certificates in PEM that may have signed the server's, in place of the system's.",
    },
    OptionSpec {
        name: "connect_timeout",
        kind: OptionKind::Duration,
        default: Some("10s"),
        required: false,
        help: "How long to wait for a connection.",
    },
    OptionSpec {
        name: "max_connections",
        kind: OptionKind::Integer,
        default: Some("8"),
        required: false,
        help: "The most connections that are open at once.",
    },
    OptionSpec {
        name: "stream_bytes",
        kind: OptionKind::Bytes,
        default: Some("16MB"),
        required: false,
        help: "How much of a large table is worth a stream of its own. Several streams read one snapshot, which takes MariaDB with \
               its binary log on.",
    },
    OptionSpec {
        name: "tinyint1_as_boolean",
        kind: OptionKind::Boolean,
        default: Some("true"),
        required: false,
        help: "Whether TINYINT(1) is a truth value. A number in it other than 0 and 1 is then an error that names the column.",
    },
    OptionSpec {
        name: "zero_dates",
        kind: OptionKind::Choice(&["error", "null"]),
        default: Some("error"),
        required: false,
        help: "What a date without a month or a day is, such as 0000-00-00: an error that names the column, or null.",
    },
    OptionSpec {
        name: "columns_as_text",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "Columns to carry as text whatever their type, as `table.column` or `schema.table.column` separated by commas.",
    },
];

/// Whether connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Encrypted and verified.
    Verify,
    /// Plain to this machine, as far as the server takes that.
    Local,
    /// Plain.
    Off,
}

/// The typed options.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: Option<String>,
    pub(super) user: String,
    pub(super) password: Option<Secret<String>>,
    pub(super) tls: Tls,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) stream_bytes: u64,
    pub(super) tinyint1_as_boolean: bool,
    pub(super) has_null_dates: bool,
    columns_as_text: BTreeSet<String>,
}

impl Config {
    pub(super) fn try_new(options: &Options) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorCode::ConfigInvalid, message);
        let port = options.integer("port").unwrap_or(3306);
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
            invalid(format!("option `port` is {port}")).with_hint("A port is a number from 1 to 65535.")
        })?;
        let max_connections = options.integer("max_connections").unwrap_or(8);
        if max_connections == 0 {
            return Err(invalid("option `max_connections` is 0".to_owned()).with_hint("Set it to 1 or more."));
        }
        let mut columns_as_text = BTreeSet::new();
        let listed = options.text("columns_as_text").unwrap_or_default().split(',').map(str::trim);
        for entry in listed.filter(|entry| !entry.is_empty()) {
            if !entry.contains('.') {
                return Err(invalid(format!("`columns_as_text` has `{entry}` in it"))
                    .with_hint("Write each column as `table.column`, separated by commas."));
            }
            columns_as_text.insert(entry.to_owned());
        }
        let host = options.text("host").unwrap_or("localhost").to_owned();
        let user = options.text("user").unwrap_or("root").to_owned();
        let variable = options.text("password_env").unwrap_or("MYSQL_PWD");
        let from_environment = || std::env::var(variable).ok().filter(|password| !password.is_empty());
        Ok(Self {
            port,
            database: options.text("database").filter(|name| !name.is_empty()).map(str::to_owned),
            password: options.text("password").map(str::to_owned).or_else(from_environment).map(Secret::new),
            user,
            tls: match options.text("tls") {
                Some("verify") => Tls::Verify,
                Some("off") => Tls::Off,
                // What never leaves the machine need not be hidden, and servers on it seldom have a certificate that is trusted.
                _ if is_local(&host) => Tls::Local,
                _ => Tls::Verify,
            },
            host,
            tls_ca: options.text("tls_ca").map(PathBuf::from),
            connect_timeout: options.duration("connect_timeout").unwrap_or(Duration::from_secs(10)),
            max_connections,
            stream_bytes: options.bytes("stream_bytes").unwrap_or(16 << 20).max(1),
            tinyint1_as_boolean: options.boolean("tinyint1_as_boolean"),
            has_null_dates: options.text("zero_dates") == Some("null"),
            columns_as_text,
        })
    }

    /// Whether a column is to be carried as text.
    pub(super) fn is_text(&self, schema: &str, table: &str, column: &str) -> bool {
        self.columns_as_text.contains(&format!("{table}.{column}"))
            || self.columns_as_text.contains(&format!("{schema}.{table}.{column}"))
    }

    /// Whether the host is the path of a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Whether the host is this machine.
fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.starts_with('/') || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reads `mysql://user:password@host:port/database?ssl-mode=…`.
pub(super) fn parse_url(url: &str) -> Option<Result<Options>> {
    if !(url.starts_with("mysql://") || url.starts_with("mariadb://")) {
        return None;
    }
    Some(options_of(url))
}

fn options_of(text: &str) -> Result<Options> {
    // The text may hold a password, so it is not repeated.
    let wrong = |what: &str| {
        Error::new(ErrorCode::Usage, format!("the MySQL URL {what}"))
            .with_hint("Write it as `mysql://user:password@host:3306/database`.")
    };
    let url = Url::parse(text).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let plain = |part: &str| {
        let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
        decoded.map(String::from).map_err(|_| wrong("has percent signs whose bytes are not UTF-8"))
    };
    let mut options = Options::default();
    if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
        // An address of IPv6 stands in brackets in a URL alone.
        options.set("host", plain(host.trim_start_matches('[').trim_end_matches(']'))?);
    }
    if let Some(port) = url.port() {
        options.set("port", i64::from(port));
    }
    if !url.username().is_empty() {
        options.set("user", plain(url.username())?);
    }
    if let Some(password) = url.password() {
        options.set("password", plain(password)?);
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() {
        options.set("database", plain(database)?);
    }
    for (name, value) in url.query_pairs() {
        match (name.as_ref(), value.as_ref()) {
            // The words of MySQL's clients, and of its drivers.
            ("ssl-mode" | "sslmode" | "sslMode", mode) => {
                let tls = match mode.to_ascii_lowercase().replace('-', "_").as_str() {
                    "disabled" | "disable" => "off",
                    "preferred" | "prefer" => "auto",
                    "required" | "require" | "verify_ca" | "verify_identity" | "verify_full" => "verify",
                    _ => return Err(wrong(&format!("has `{name}={mode}`, which there is not"))),
                };
                options.set("tls", tls);
            }
            ("ssl-ca" | "sslrootcert", path) => options.set("tls_ca", path),
            ("socket", path) => options.set("host", path),
            // What these say is said by Tombolo itself.
            ("charset" | "useUnicode" | "characterEncoding" | "serverTimezone", _) => {}
            (name, value) if OPTIONS.iter().any(|option| option.name == name) => options.set(name, value),
            (name, _) => return Err(wrong(&format!("has the parameter `{name}`, which is not known"))),
        }
    }
    Ok(options)
}
