//! The conformance suite over every kind of source, a test for each group, and the page that it writes.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tombolo_testkit::conformance::{self, Group, Report};
use tombolo_testkit::harness::{
    FileFormat, FilesHarness, Harness, MemoryHarness, MysqlHarness, PostgresHarness, SqliteHarness,
};

/// The trials of a source, run once for all tests of this program; none where its server is not there.
fn report_of(cell: &'static OnceLock<Option<Report>>, harness: Arc<dyn Harness>) -> Option<&'static Report> {
    let run = || {
        if let Some(missing) = harness.missing() {
            let required = std::env::var("TOMBOLO_REQUIRE").unwrap_or_default();
            let is_required = required.split(',').any(|name| name == harness.name());
            assert!(!is_required, "TOMBOLO_REQUIRE names {}, but {missing}", harness.name());
            return None;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let report = runtime.block_on(conformance::run(harness));
        Some(report.unwrap_or_else(|absent| panic!("the source is not there: {absent}")))
    };
    cell.get_or_init(run).as_ref()
}

fn check(report: Option<&Report>, group: Group) {
    let Some(report) = report else {
        println!("skipped: no server");
        return;
    };
    let listing = report.listing(group);
    print!("{listing}");
    let failed: Vec<&str> = listing.split("trial ").filter(|line| line.contains("... FAILED")).collect();
    assert!(failed.is_empty(), "{} of the trials failed:\n{}", failed.len(), failed.concat());
}

macro_rules! sources {
    ($($connector:ident { $($name:ident: $harness:expr;)+ })+) => {
        $(
            mod $connector {
                $(
                    pub(super) mod $name {
                        use super::super::*;

                        pub(crate) fn report() -> Option<&'static Report> {
                            static REPORT: OnceLock<Option<Report>> = OnceLock::new();
                            report_of(&REPORT, Arc::new($harness))
                        }

                        #[test]
                        fn catalog() {
                            check(report(), Group::Catalog);
                        }

                        #[test]
                        fn types() {
                            check(report(), Group::Types);
                        }

                        #[test]
                        fn pushdown() {
                            check(report(), Group::Pushdown);
                        }

                        #[test]
                        fn errors() {
                            check(report(), Group::Errors);
                        }

                        #[test]
                        fn faults() {
                            check(report(), Group::Faults);
                        }

                        #[test]
                        fn limits() {
                            check(report(), Group::Limits);
                        }
                    }
                )+
            }
        )+

        /// All reports; none where a server is not there.
        fn reports() -> Option<Vec<&'static Report>> {
            Some(vec![$($($connector::$name::report()?),+),+])
        }
    };
}

// By connector, since `cargo xtask conform` runs what has the connector's name in its path.
sources! {
    sqlite {
        file: SqliteHarness;
    }
    files {
        parquet: FilesHarness(FileFormat::Parquet);
        arrow: FilesHarness(FileFormat::Arrow);
        csv: FilesHarness(FileFormat::Csv);
        json_lines: FilesHarness(FileFormat::JsonLines);
    }
    postgres {
        debian: PostgresHarness::DEBIAN;
        newer: PostgresHarness::NEWER;
    }
    mysql {
        mariadb: MysqlHarness::MARIADB;
        mysql57: MysqlHarness::MYSQL57;
        mysql9: MysqlHarness::MYSQL9;
    }
    memory {
        tables: MemoryHarness;
    }
}

#[test]
fn the_page_of_connectors_is_what_the_suite_finds() {
    let Some(reports) = reports() else {
        println!("skipped: a server is not there");
        return;
    };
    let page = conformance::connectors_page(&reports);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/connectors.md");
    if std::env::var_os("TOMBOLO_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == kept,
        "{} is not what the suite finds: set TOMBOLO_UPDATE_DOCS=1 and run this test",
        path.display()
    );
}
