//! Servers that no package registry offers, so that their absence is said but is nobody's failure.

use anyhow::Result;

use crate::workspace;

/// A server that tests would use if it could be installed by an ordinary package manager.
pub(crate) struct Unavailable {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The connector whose tests miss it. While there is no such connector, nothing is missed.
    pub(crate) connector: &'static str,
    pub(crate) reason: &'static str,
}

/// All of them; also what CI forgives, beside [`super::ServerKind::may_be_missing`].
pub(crate) static LIST: &[Unavailable] = &[
    Unavailable {
        name: "mongodb",
        title: "MongoDB",
        connector: "mongodb",
        reason: "MongoDB itself is in no package registry; the tests use a server that speaks its protocol",
    },
    Unavailable {
        name: "sqlserver",
        title: "SQL Server",
        connector: "sqlserver",
        reason: "SQL Server is in no package registry",
    },
    Unavailable {
        name: "oracle",
        title: "Oracle Database",
        connector: "oracle",
        reason: "Oracle Database is in no package registry",
    },
    Unavailable {
        name: "clickhouse-current",
        title: "ClickHouse (a current release)",
        connector: "clickhouse",
        reason: "a current ClickHouse server is in no package registry; Debian has 18.16",
    },
];

/// Returns those that the tests of this checkout miss.
pub(crate) fn missed() -> Result<Vec<&'static Unavailable>> {
    let connectors = workspace::connectors()?;
    Ok(LIST.iter().filter(|entry| connectors.iter().any(|name| name == entry.connector)).collect())
}
