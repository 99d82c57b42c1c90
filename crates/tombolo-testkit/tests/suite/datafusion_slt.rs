use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tombolo_testkit::slt::replay::{Placement, Roots, replay};

fn files(folder: &std::path::Path, prefix: &str, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), out);
        } else if name.ends_with(".slt") {
            out.push(name);
        }
    }
}

#[test]
fn dump() {
    let root = PathBuf::from("/tmp/slt/datafusion-sqllogictest-55.2.0");
    let registry = PathBuf::from("/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f");
    let roots = Roots {
        test_files: root.join("test_files"),
        data: vec![
            ("data/".into(), root.join("data/")),
            ("../datasource-arrow/".into(), registry.join("datafusion-datasource-arrow-55.2.0/")),
            ("../physical-expr/".into(), registry.join("datafusion-physical-expr-55.2.0/")),
            ("../../testing/data/csv/aggregate_test_100.csv".into(), registry.join("datafusion-dft-0.3.0/data/aggregate_test_100.csv")),
            ("../../parquet-testing/data/alltypes_plain.parquet".into(), registry.join("ballista-55.0.0/testdata/alltypes_plain.parquet")),
            ("../../parquet-testing/data/single_nan.parquet".into(), registry.join("ballista-55.0.0/testdata/single_nan.parquet")),
        ],
    };
    let mut names = Vec::new();
    files(&roots.test_files, "", &mut names);
    if std::env::var_os("SPARK").is_none() { names.retain(|name| !name.starts_with("spark/")); }
    if let Ok(only) = std::env::var("ONLY") {
        names.retain(|name| only.split(',').any(|only| name.contains(only)));
    }
    names.sort();
    names.reverse();
    let out = Mutex::new(std::fs::File::create(std::env::var("OUT").unwrap()).unwrap());
    let queue = Mutex::new(names);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).thread_stack_size(32 << 20).build().unwrap();
    let ways: Vec<Placement> = std::env::var("WAYS").unwrap_or("m".into()).chars().map(|c| match c { 'm' => Placement::Memory, 's' => Placement::Sqlite, _ => Placement::Parquet }).collect();
    let (roots, ways) = (Arc::new(roots), Arc::new(ways));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(name) = queue.lock().unwrap().pop() else { return };
                    let begun = std::time::Instant::now();
                    let (roots, ways2) = (roots.clone(), ways.clone());
                    let file = name.clone();
                    let done = runtime.block_on(runtime.spawn(async move { replay(&roots, &file, &ways2).await }));
                    let mut out = out.lock().unwrap();
                    match done {
                        Err(error) => writeln!(out, "{name}\t-\tPANIC\t{error}").unwrap(),
                        Ok(Err(error)) => writeln!(out, "{name}\t-\tBROKEN\t{error}").unwrap(),
                        Ok(Ok(queries)) => {
                            writeln!(out, "{name}\t-\tTIME\t{:.2}", begun.elapsed().as_secs_f64()).unwrap();
                            for query in queries {
                                for (way, verdict) in query.verdicts.iter().enumerate() {
                                    writeln!(out, "{name}\t{}\t{}\t{}\t{}", query.place, if query.has_tables { ways[way].to_string() } else { "none".to_owned() }, if format!("{verdict:?}").starts_with("Failed") { "FAIL" } else if format!("{verdict:?}") == "Passed" { "PASS" } else {"RULE"}, format!("{verdict:?}")).unwrap();
                                }
                            }
                        }
                    }
                }
            });
        }
    });
}
