use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tombolo_connector::{Error, ErrorCode, OptionKind, OptionSpec, Options, Result, Secret};
use url::Url;

pub(super) const URLS: &[&str] = &["postgres://user@host:5432/database", "postgresql://user:password@host/database"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "host",
        kind: OptionKind::Text,
        default: Some("localhost"),
        required: false,
        help: "The server's name or address, or the folder of its Unix socket.",
    },
    OptionSpec {
        name: "port",
        kind: OptionKind::Integer,
        default: Some("5432"),
        required: false,
        help: "The server's port.",
    },
    OptionSpec {
        name: "database",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "The database; without it the one of the user's name.",
    },
    OptionSpec {
        name: "user",
        kind: OptionKind::Text,
        default: Some("postgres"),
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
        default: Some("PGPASSWORD"),
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
        default: Some("10"),
        required: false,
        help: "The most connections that are open at once.",
    },
    OptionSpec {
        name: "one_snapshot",
        kind: OptionKind::Boolean,
        default: Some("true"),
        required: false,
        help: "Whether all that a query reads of a server is read in one snapshot, which a connection holds until the query ends.",
    },
    OptionSpec {
        name: "stream_bytes",
        kind: OptionKind::Bytes,
        default: Some("16MB"),
        required: false,
        help: "How much of a large table is worth a stream of its own. Several streams read one snapshot.",
    },
    OptionSpec {
        name: "numeric_scale",
        kind: OptionKind::Integer,
        default: Some("10"),
        required: false,
        help: "Digits after the point of NUMERIC columns that declare none. A value with more is an error that names it.",
    },
    OptionSpec {
        name: "columns_as_text",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "Columns to carry as text whatever their type, as `table.column` or `schema.table.column` separated by commas.",
    },
    OptionSpec {
        name: "shards",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "The servers of a sharded database, as `host:port/database` separated by commas; port and database where they are \
               not the ones above.",
    },
    OptionSpec {
        name: "shard_tables",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "Tables of which each shard has a part, separated by `;`: `orders by customer_id modulo; events by at range \
               2024-01-01, 2025-01-01; users by region list eu, uk | us; logs`.",
    },
    OptionSpec {
        name: "replicated_tables",
        kind: OptionKind::Text,
        default: None,
        required: false,
        help: "Tables that each shard has all of, separated by commas.",
    },
    OptionSpec {
        name: "max_fan_out",
        kind: OptionKind::Integer,
        default: None,
        required: false,
        help: "The most shards that one sub-query may read; one that would read more is refused.",
    },
];

/// The options of each shard, and how it is called; none where the source is one server.
pub(super) fn shards(options: &Options) -> Result<Option<Vec<(String, Options)>>> {
    let Some(list) = options.text("shards") else { return Ok(None) };
    let mut shards = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (address, database) = entry.split_once('/').map_or((entry, None), |(address, name)| (address, Some(name)));
        // An address of IPv6 stands in brackets.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (address, None),
        };
        let mut own = options.clone();
        own.set("host", host.trim_start_matches('[').trim_end_matches(']'));
        if let Some(port) = port {
            let port: i64 = port.parse().map_err(|_| {
                Error::new(ErrorCode::ConfigInvalid, format!("`shards` has `{entry}` in it"))
                    .with_hint("Write each server as `host:port/database`, separated by commas.")
            })?;
            own.set("port", port);
        }
        if let Some(database) = database {
            own.set("database", database);
        }
        shards.push((entry.to_owned(), own));
    }
    Ok(Some(shards))
}

/// Whether connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Encrypted and verified.
    Verify,
    /// Plain.
    Off,
}

/// The typed options.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<Secret<String>>,
    pub(super) tls: Tls,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) one_snapshot: bool,
    pub(super) stream_bytes: u64,
    pub(super) numeric_scale: i8,
    columns_as_text: BTreeSet<String>,
}

impl Config {
    pub(super) fn try_new(options: &Options) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorCode::ConfigInvalid, message);
        let port = options.integer("port").unwrap_or(5432);
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
            invalid(format!("option `port` is {port}")).with_hint("A port is a number from 1 to 65535.")
        })?;
        let scale = options.integer("numeric_scale").unwrap_or(10);
        let numeric_scale = i8::try_from(scale).ok().filter(|scale| *scale <= MAX_SCALE).ok_or_else(|| {
            invalid(format!("option `numeric_scale` is {scale}")).with_hint(format!("Set it to 0 up to {MAX_SCALE}."))
        })?;
        let max_connections = options.integer("max_connections").unwrap_or(10);
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
        let user = options.text("user").unwrap_or("postgres").to_owned();
        let variable = options.text("password_env").unwrap_or("PGPASSWORD");
        let from_environment = || std::env::var(variable).ok().filter(|password| !password.is_empty());
        let host = options.text("host").unwrap_or("localhost").to_owned();
        let tls = match options.text("tls") {
            Some("verify") => Tls::Verify,
            Some("off") => Tls::Off,
            // What never leaves the machine need not be hidden, and servers on it seldom have a certificate that is trusted.
            _ if is_local(&host) => Tls::Off,
            _ => Tls::Verify,
        };
        Ok(Self {
            host,
            port,
            database: options.text("database").unwrap_or(&user).to_owned(),
            password: options.text("password").map(str::to_owned).or_else(from_environment).map(Secret::new),
            user,
            tls,
            tls_ca: options.text("tls_ca").map(PathBuf::from),
            connect_timeout: options.duration("connect_timeout").unwrap_or(Duration::from_secs(10)),
            max_connections,
            one_snapshot: options.boolean("one_snapshot"),
            stream_bytes: options.bytes("stream_bytes").unwrap_or(16 << 20).max(1),
            numeric_scale,
            columns_as_text,
        })
    }

    /// How many connections are for streams and those that hold their snapshots; of several one is left for questions.
    pub(super) fn stream_connections(&self) -> usize {
        self.max_connections.saturating_sub(1).max(1)
    }

    /// How many of them may hold a snapshot.
    pub(super) fn holders(&self) -> usize {
        self.max_connections / 4
    }

    /// Whether a column is to be carried as text.
    pub(super) fn is_text(&self, schema: &str, table: &str, column: &str) -> bool {
        self.columns_as_text.contains(&format!("{table}.{column}"))
            || self.columns_as_text.contains(&format!("{schema}.{table}.{column}"))
    }

    /// Whether the host is the folder of a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.starts_with('/') || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The most digits after the point: the rest of the 38 is for those before it.
const MAX_SCALE: i8 = 30;

/// Reads `postgres://user:password@host:port/database?sslmode=…`.
pub(super) fn parse_url(url: &str) -> Option<Result<Options>> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return None;
    }
    Some(options_of(url))
}

fn options_of(text: &str) -> Result<Options> {
    // The text may hold a password, so it is not repeated.
    let wrong = |what: &str| {
        Error::new(ErrorCode::Usage, format!("the PostgreSQL URL {what}"))
            .with_hint("Write it as `postgres://user:password@host:5432/database`.")
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
            ("sslmode", "disable") => options.set("tls", "off"),
            ("sslmode", "allow" | "prefer") => options.set("tls", "auto"),
            ("sslmode", "require" | "verify-ca" | "verify-full") => options.set("tls", "verify"),
            ("sslmode", other) => return Err(wrong(&format!("has `sslmode={other}`, which there is not"))),
            ("sslrootcert", path) => options.set("tls_ca", path),
            ("host", host) => options.set("host", host),
            ("connect_timeout", seconds) => options.set("connect_timeout", format!("{seconds}s")),
            // What these say is said by Tombolo itself.
            ("application_name" | "channel_binding" | "gssencmode" | "target_session_attrs", _) => {}
            (name, value) if OPTIONS.iter().any(|option| option.name == name) => options.set(name, value),
            (name, _) => return Err(wrong(&format!("has the parameter `{name}`, which is not known"))),
        }
    }
    Ok(options)
}
