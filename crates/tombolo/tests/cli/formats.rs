use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};

use crate::sandbox::Sandbox;

const SQL: &str = "SELECT id, name, city FROM shop.customers WHERE id IN (3, 5) ORDER BY id";

fn format(name: &str) -> String {
    Sandbox::with_shop().ok(&["query", SQL, "--format", name])
}

#[test]
fn table() {
    let table = format("table");
    assert!(table.contains("│ id │"), "{table}");
    assert!(table.contains("NULL") && table.contains("Eve, \"E\""), "{table}");
    assert!(table.contains("2 rows"), "{table}");
}

#[test]
fn csv_is_what_a_pipe_gets() {
    let expected = "id,name,city\n3,Cy,\n5,\"Eve, \"\"E\"\"\",Lima\n";
    assert_eq!(format("csv"), expected);
    assert_eq!(Sandbox::with_shop().ok(&["query", SQL]), expected);
}

#[test]
fn json() {
    let rows: serde_json::Value = serde_json::from_str(&format("json")).unwrap();
    assert_eq!(
        rows,
        serde_json::json!([
            { "id": 3, "name": "Cy", "city": null }, { "id": 5, "name": "Eve, \"E\"", "city": "Lima" }
        ])
    );
}

#[test]
fn jsonl() {
    let text = format("jsonl");
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["city"], "Lima");
}

#[test]
fn markdown() {
    let text = format("markdown");
    assert!(text.lines().all(|line| line.starts_with('|') && line.ends_with('|')), "{text}");
}

#[test]
fn parquet_and_arrow_to_a_pipe_and_to_a_file() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["query", SQL, "-o", "out.parquet"]);
    sandbox.ok(&["query", SQL, "-o", "out.arrow"]);
    let file = std::fs::File::open(sandbox.path("out.parquet")).unwrap();
    let batches = datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024).unwrap();
    assert_eq!(ids(batches), [3, 5]);
    let file = std::fs::File::open(sandbox.path("out.arrow")).unwrap();
    assert_eq!(ids(arrow::ipc::reader::FileReader::try_new(file, None).unwrap()), [3, 5]);

    let piped = sandbox.command(&["query", SQL, "--format", "arrow"]).output().unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(piped.stdout), None).unwrap();
    assert_eq!(ids(reader), [3, 5]);
    let piped = sandbox.command(&["query", SQL, "--format", "parquet"]).output().unwrap();
    assert!(piped.stdout.starts_with(b"PAR1") && piped.stdout.ends_with(b"PAR1"));
}

#[test]
fn the_extension_says_the_format() {
    let sandbox = Sandbox::with_shop();
    for (name, begins) in [("a.csv", "id,name"), ("a.json", "["), ("a.jsonl", "{"), ("a.md", "|"), ("a.txt", "┌")] {
        let ran = sandbox.run(&["query", SQL, "-o", name]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
        assert!(sandbox.read(name).starts_with(begins), "{name}: {}", sandbox.read(name));
    }
    let unknown = sandbox.fails(&["query", SQL, "-o", "a.xyz"], 2, "usage");
    assert!(unknown.contains("--format"), "{unknown}");
    let several = sandbox.fails(&["query", "SELECT 1; SELECT 2", "-o", "b.csv"], 2, "usage");
    assert!(several.contains("one statement"), "{several}");
    let near = sandbox.run(&["query", SQL, "--format", "jsn"]);
    assert_eq!(near.code, 2, "{near:?}");
    assert!(near.stderr.contains("json"), "{near:?}");
}

#[test]
fn a_device_is_written_to_and_stays() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["query", SQL, "--format", "csv", "-o", "/dev/null"]);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_link_is_followed() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("real.csv", "old");
    std::os::unix::fs::symlink(sandbox.path("real.csv"), sandbox.path("link.csv")).unwrap();
    sandbox.ok(&["query", "SELECT 1 AS n", "-o", "link.csv"]);
    assert_eq!(sandbox.read("real.csv"), "n\n1\n");
    assert!(std::fs::symlink_metadata(sandbox.path("link.csv")).unwrap().is_symlink());
}

#[test]
fn an_empty_result_is_whole_in_every_format() {
    let sandbox = Sandbox::with_shop();
    let sql = "SELECT id, name FROM shop.customers WHERE id < 0";
    assert_eq!(sandbox.ok(&["query", sql, "--format", "csv"]), "id,name\n");
    assert_eq!(sandbox.ok(&["query", sql, "--format", "jsonl"]), "");
    let rows: serde_json::Value = serde_json::from_str(&sandbox.ok(&["query", sql, "--format", "json"])).unwrap();
    assert_eq!(rows, serde_json::json!([]));
    assert!(sandbox.ok(&["query", sql, "--format", "table"]).contains("0 rows"));
    for name in ["e.parquet", "e.arrow"] {
        sandbox.ok(&["query", sql, "-o", name]);
        assert!(std::fs::metadata(sandbox.path(name)).unwrap().len() > 0);
    }
}

fn ids<E: std::fmt::Debug>(batches: impl Iterator<Item = Result<RecordBatch, E>>) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in batches {
        let column = Arc::clone(batch.unwrap().column(0));
        ids.extend(column.as_any().downcast_ref::<Int64Array>().unwrap().values());
    }
    ids
}
