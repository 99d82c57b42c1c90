//! Queries that have shown a difference once are run in all ways for ever; see `queries/found/README.md`.

use std::path::Path;

use tombolo_testkit::differential::{Databases, Placement, Statement, Verdict, World};
use tombolo_testkit::generate::tables::{Collection, tables};

/// The collection and the seed that the first line of a file names.
fn collection(text: &str) -> Option<(Collection, u64)> {
    let mut words = text.lines().next()?.strip_prefix("-- tables:")?.split_whitespace();
    let collection = match words.next()? {
        "fixtures" => Collection::Fixtures,
        "tpch" => Collection::Tpch,
        "rows" => Collection::Rows,
        _ => return None,
    };
    let seed = words.next().map(str::parse).transpose().ok()?.unwrap_or(0);
    Some((collection, seed))
}

/// A query over the tables where all are in one database.
fn without_sources(sql: &str) -> String {
    ["shop.", "crm.", "lake.", "mem."].iter().fold(sql.to_owned(), |sql, source| sql.replace(source, ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_showed_a_difference_show_none_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/found");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "sql")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut different = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (collection, seed) = collection(&text).unwrap_or_else(|| panic!("{} names no tables", path.display()));
        let sql: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
        let sql = sql.join("\n");
        let data = tables(collection, seed);
        let world = World::new(&data, &Placement::of(&sql, &data), Databases::Sqlite).await;
        let ways: Vec<usize> = (0..world.ways.len()).collect();
        let alone = text.contains("-- SQLite too").then(|| without_sources(&sql));
        let verdict = world.judge(&Statement::new(&sql), &ways, alone.as_deref()).await;
        if !matches!(verdict, Verdict::Same { .. }) {
            different.push(format!("{}: {verdict:?}", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}
