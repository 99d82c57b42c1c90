//! DataFusion's own files, as published crates ship them.

use std::path::{Path, PathBuf};

use super::Roots;

/// The variable that names the folder in which cargo keeps unpacked crates.
pub const VARIABLE: &str = "TOMBOLO_TEST_DATAFUSION_SLT";

/// By the beginning of a path in the files: the crate, and the path in it.
const DATA: &[(&str, &str, &str)] = &[
    ("data/", "datafusion-sqllogictest-55.2.0", "data/"),
    ("../datasource-arrow/", "datafusion-datasource-arrow-55.2.0", ""),
    ("../physical-expr/", "datafusion-physical-expr-55.2.0", ""),
    ("../../testing/data/csv/aggregate_test_100.csv", "datafusion-dft-0.3.0", "data/aggregate_test_100.csv"),
    ("../../parquet-testing/data/alltypes_plain.parquet", "ballista-55.0.0", "testdata/alltypes_plain.parquet"),
    ("../../parquet-testing/data/single_nan.parquet", "ballista-55.0.0", "testdata/single_nan.parquet"),
];

/// Where the files and their data are below a folder of unpacked crates.
pub fn roots(crates: &Path) -> Roots {
    let data = |(beginning, name, path): &(&str, &str, &str)| ((*beginning).to_owned(), crates.join(name).join(path));
    Roots {
        test_files: crates.join("datafusion-sqllogictest-55.2.0").join("test_files"),
        data: DATA.iter().map(data).collect(),
    }
}

/// The names of all files, relative to their folder.
pub fn files(roots: &Roots) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![roots.test_files.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                files.push(path.strip_prefix(&roots.test_files).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}
