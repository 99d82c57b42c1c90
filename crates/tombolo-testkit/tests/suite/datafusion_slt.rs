//! DataFusion's own files of queries through Tombolo, their tables in memory, SQLite and Parquet in turn.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tombolo_testkit::slt::ledger::Ledger;
use tombolo_testkit::slt::replay::{Placement, Replayed, Verdict, datafusion, replay};

/// Memory is first: what fails there is no fault of the others.
const PLACEMENTS: [Placement; 3] = [Placement::Memory, Placement::Sqlite, Placement::Parquet];

/// Files run at once.
const AT_ONCE: usize = 3;

const HEAD: &str = "\
# What DataFusion 55.2.0's own files of queries give through Tombolo: see docs/dev/sqllogictest.md.
# Written by TOMBOLO_SLT_UPDATE=1 cargo test -p tombolo-testkit --test suite -- datafusion_slt
";

#[test]
fn datafusion_files_pass_as_listed() {
    // `cargo xtask test` gets the files, and says so and fails in CI where it cannot.
    let Some(crates) = std::env::var_os(datafusion::VARIABLE) else {
        eprintln!("skipped: {} is not set", datafusion::VARIABLE);
        return;
    };
    let roots = datafusion::roots(Path::new(&crates));
    let all = datafusion::files(&roots);
    assert!(all.len() > 300, "{} files in {}", all.len(), roots.test_files.display());

    let queue = Mutex::new(all.into_iter());
    let done: Mutex<Vec<(String, Vec<Replayed>)>> = Mutex::default();
    // Deeply nested statements need deep stacks in a build without optimisation.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(32 << 20).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(file) = { queue.lock().unwrap().next() } {
                    let (roots, name) = (roots.clone(), file.clone());
                    let run = runtime.spawn(async move { replay(&roots, &name, &PLACEMENTS).await });
                    let queries = runtime.block_on(run).unwrap().unwrap();
                    done.lock().unwrap().push((file, queries));
                }
            });
        }
    });

    let done = done.into_inner().unwrap();
    let mut ledger = Ledger::default();
    for (file, queries) in &done {
        ledger.add(file, &PLACEMENTS, queries);
    }
    eprintln!("{} queries pass, each counted once; by placement: {:?}", distinct(&done), ledger.passed());

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("slt-datafusion.list");
    let list = Ledger::read(&std::fs::read_to_string(&path).unwrap_or_default());
    ledger.settle(&list);
    match std::env::var("TOMBOLO_SLT_UPDATE").as_deref() {
        Ok(how) => {
            let losses = ledger.losses(&list);
            assert!(how == "shrink" || losses.is_empty(), "the list only grows, but:\n{}", losses.join("\n"));
            std::fs::write(&path, ledger.write(HEAD)).unwrap();
        }
        Err(_) => {
            let differences = ledger.differences(&list);
            assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
        }
    }
}

/// How many records pass in any placement and any file that includes them.
fn distinct(done: &[(String, Vec<Replayed>)]) -> usize {
    let mut records = BTreeSet::new();
    for (file, queries) in done {
        for query in queries.iter().filter(|query| query.verdicts.contains(&Verdict::Passed)) {
            // An included part is the same for all files of its folder.
            records.insert(match query.place.split_once('@') {
                Some((part, _)) => (file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(), part.to_owned()),
                None => (file.clone(), query.place.clone()),
            });
        }
    }
    records.len()
}
