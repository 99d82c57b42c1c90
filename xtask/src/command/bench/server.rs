//! A server that runs for a measurement, and its own client to fill it with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::interrupt::Interrupt;
use crate::servers;
use crate::servers::lifecycle::{self, Lease, Started};

pub(super) struct Server {
    pub(super) title: &'static str,
    pub(super) version: String,
    /// Where it is, with the database.
    pub(super) url: String,
    /// The folder of its programs.
    pub(super) binaries: PathBuf,
    pub(super) client: PathBuf,
    is_mysql: bool,
    lease: Lease,
}

/// PostgreSQL and MariaDB, with a database of one name in both.
pub(super) struct Servers {
    pub(super) postgres: Server,
    pub(super) mariadb: Server,
    database: String,
}

impl Server {
    /// Starts the server, or joins those who use it.
    pub(super) fn start(name: &str, interrupt: &Interrupt) -> Result<Self> {
        let kind = servers::kind(name)?;
        let is_mysql = kind.connector() == "mysql";
        let program = if is_mysql { "mariadb" } else { "psql" };
        let binaries = lifecycle::obtain(kind)?;
        let client = [binaries.join(program), Path::new("/usr/bin").join(program)];
        let client = client.into_iter().find(|path| path.exists());
        let client = client.with_context(|| format!("{} has no client {program}", kind.title()))?;
        let (started, lease) = lifecycle::lease(kind, binaries.clone(), interrupt)?;
        let (Started::Now(running) | Started::Before(running)) = started;
        let url = running.environment.iter().find(|(name, _)| name == kind.env_name()).map(|(_, url)| url.clone());
        let url = url.with_context(|| format!("{} does not say where it is", kind.title()))?;
        Ok(Self { title: kind.title(), version: running.version, url, binaries, client, is_mysql, lease })
    }

    /// Returns the URL of another database of the server.
    fn url_of(&self, database: &str) -> Result<String> {
        let (server, _) = self.url.rsplit_once('/').context("the URL names no database")?;
        Ok(format!("{server}/{database}"))
    }

    /// Ends the use of the server, and with the last use the server.
    pub(super) fn end(self) -> Result<()> {
        self.lease.end()
    }

    pub(super) fn run_sql(&self, sql: &str) -> Result<()> {
        self.run_sql_at(&self.url, sql)
    }

    /// Runs statements, which end with semicolons and have none within, in the database of `url`.
    fn run_sql_at(&self, url: &str, sql: &str) -> Result<()> {
        let mut command = Command::new(&self.client);
        if self.is_mysql {
            // mariadb://user:password@host:port/database, as the server's own kind writes it.
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            let (account, place) = rest.rsplit_once('@').context("the URL names no account")?;
            let (user, password) = account.split_once(':').context("the URL has no password")?;
            let (address, database) = place.split_once('/').context("the URL names no database")?;
            let (host, port) = address.split_once(':').context("the URL names no port")?;
            command.args(["--no-defaults", "-h", host, "-P", port, "-u", user, "--local-infile", database, "-e", sql]);
            command.env("MYSQL_PWD", password);
        } else {
            command.args([url, "-q", "-v", "ON_ERROR_STOP=1"]);
            for statement in sql.split_inclusive(';') {
                command.args(["-c", statement]);
            }
        }
        let output = command.stdin(Stdio::null()).output().context("cannot run the server's client")?;
        if !output.status.success() {
            bail!("{} refused a statement: {}", self.title, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

impl Servers {
    pub(super) fn start(database: &str, interrupt: &Interrupt) -> Result<Self> {
        let postgres = Server::start("postgres", interrupt)?;
        match Server::start("mariadb", interrupt) {
            Ok(mariadb) => Ok(Self { postgres, mariadb, database: database.to_owned() }),
            Err(error) => {
                postgres.end()?;
                Err(error)
            }
        }
    }

    /// Makes the databases anew, and runs statements in each of them.
    pub(super) fn fill(&self, postgres: &str, mariadb: &str) -> Result<()> {
        self.empty()?;
        let database = &self.database;
        self.postgres.run_sql(&format!(
            // The servers of the tests write each statement to a log, with its parameters. And a query whose client was stopped
            // would run to its first row.
            "CREATE DATABASE {database};\
             ALTER DATABASE {database} SET log_statement = 'none';\
             ALTER DATABASE {database} SET client_connection_check_interval = '1s';"
        ))?;
        self.mariadb.run_sql(&format!("CREATE DATABASE {database} CHARACTER SET utf8mb4;"))?;
        self.run_sql(postgres, mariadb)
    }

    /// Runs statements in the databases.
    pub(super) fn run_sql(&self, postgres: &str, mariadb: &str) -> Result<()> {
        let [postgres_url, mariadb_url] = self.urls()?;
        self.postgres.run_sql_at(&postgres_url, postgres)?;
        self.mariadb.run_sql_at(&mariadb_url, mariadb)
    }

    /// Returns the URLs of the databases, PostgreSQL's first.
    pub(super) fn urls(&self) -> Result<[String; 2]> {
        Ok([self.postgres.url_of(&self.database)?, self.mariadb.url_of(&self.database)?])
    }

    /// Drops the databases: a server that was started by hand stays.
    pub(super) fn empty(&self) -> Result<()> {
        self.postgres.run_sql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE);", self.database))?;
        self.mariadb.run_sql(&format!("DROP DATABASE IF EXISTS {};", self.database))
    }

    /// Ends the use of both servers.
    pub(super) fn end(self) -> Result<()> {
        [self.postgres.end(), self.mariadb.end()].into_iter().collect()
    }
}
