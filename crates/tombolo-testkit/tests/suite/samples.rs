//! Whole databases as people have them: what the catalog tells of them, and queries over them, within a server and across two.

mod catalog;
mod queries;
mod shop;

use tombolo_connector::Options;
use tombolo_testkit::harness::{Harness, MysqlHarness, PostgresHarness, PostgresSite, Site};
use tombolo_testkit::samples::{Place, Sample, Server};

/// A sample on a server, in a database of its own.
enum Loaded {
    Postgres(Box<PostgresSite>, PostgresHarness),
    Mysql(Box<dyn Site>, MysqlHarness),
}

impl Loaded {
    /// Loads a sample into PostgreSQL; none where there is no such server.
    async fn postgres(harness: PostgresHarness, sample: &Sample) -> Option<Self> {
        if let Some(missing) = harness.missing() {
            println!("skipped: {missing}");
            return None;
        }
        let site = harness.empty(sample.name).await.unwrap_or_else(|error| panic!("{error}"));
        for statement in sample.statements(Server::Postgres, "\"C\"") {
            site.run(&statement).await;
        }
        Some(Self::Postgres(Box::new(site), harness))
    }

    /// Loads a sample into MySQL or MariaDB; none where there is no such server.
    async fn mysql(harness: MysqlHarness, sample: &Sample) -> Option<Self> {
        if let Some(missing) = harness.missing() {
            println!("skipped: {missing}");
            return None;
        }
        let site = harness.open(sample.name, &[]).await.unwrap_or_else(|error| panic!("{error}"));
        let loaded = Self::Mysql(site, harness);
        let statements = sample.statements(Server::Mysql, "utf8mb4_bin");
        loaded.run(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
        Some(loaded)
    }

    /// Runs statements in the database, as one who may do all.
    async fn run(&self, statements: &[&str]) {
        match self {
            Self::Postgres(site, _) => {
                for statement in statements {
                    site.run(statement).await;
                }
            }
            Self::Mysql(site, harness) => {
                let settings = "SET NAMES utf8mb4, time_zone = '+00:00', \
                                sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE'";
                let begin = [format!("USE `{}`", site.schema()), settings.to_owned()];
                let statements = begin.into_iter().chain(statements.iter().map(|&statement| statement.to_owned()));
                harness.run(&statements.collect::<Vec<_>>()).await.unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    fn site(&self) -> &dyn Site {
        match self {
            Self::Postgres(site, _) => site.as_ref(),
            Self::Mysql(site, _) => site.as_ref(),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Postgres(_, harness) => harness.title(),
            Self::Mysql(_, harness) => harness.title(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(..) => "postgres",
            Self::Mysql(..) => "mysql",
        }
    }

    fn options(&self) -> Options {
        self.site().options()
    }

    fn place(&self) -> Place<'_> {
        let schema = self.site().schema();
        match self {
            Self::Postgres(_, harness) => {
                let collation = (harness.name == PostgresHarness::DEBIAN.name).then_some("en-US of ICU");
                Place { server: Server::Postgres, schema, collation, bytewise: "C" }
            }
            Self::Mysql(_, harness) => {
                let collation = Some(harness.collation);
                Place { server: Server::Mysql, schema, collation, bytewise: "utf8mb4_bin" }
            }
        }
    }
}
