//! The conformance suite over every kind of source, a test for each group, and the page that it writes.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tombolo_testkit::conformance::{self, Group, Report};
use tombolo_testkit::harness::{FileFormat, FilesHarness, Harness, MemoryHarness, SqliteHarness};

/// The trials of a source, run once for all tests of this program.
fn report_of(cell: &'static OnceLock<Report>, harness: Arc<dyn Harness>) -> &'static Report {
    cell.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(conformance::run(harness)).unwrap_or_else(|absent| panic!("the source is not there: {absent}"))
    })
}

fn check(report: &Report, group: Group) {
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

                        pub(crate) fn report() -> &'static Report {
                            static REPORT: OnceLock<Report> = OnceLock::new();
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

        fn reports() -> Vec<&'static Report> {
            vec![$($($connector::$name::report()),+),+]
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
    memory {
        tables: MemoryHarness;
    }
}

#[test]
fn the_page_of_connectors_is_what_the_suite_finds() {
    let page = conformance::connectors_page(&reports());
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
