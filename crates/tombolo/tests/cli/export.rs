use crate::sandbox::Sandbox;

#[test]
fn the_last_result_is_exported_in_every_format() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["query", "SELECT id, name FROM shop.customers ORDER BY id"]);
    for (format, begins) in
        [("csv", "id,name"), ("json", "{"), ("html", "<!"), ("parquet", "PAR1"), ("pdf", "%PDF-"), ("xlsx", "PK")]
    {
        let ran = sandbox.run(&["export", "last", "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {ran:?}");
        let bytes = std::fs::read(sandbox.path(&format!("result.{format}"))).unwrap();
        assert!(bytes.starts_with(begins.as_bytes()), "{format}: {:?}", &bytes[..bytes.len().min(20)]);
    }
    let again = sandbox.fails(&["export", "last", "--format", "csv"], 2, "usage");
    assert!(again.contains("-o result.csv"), "{again}");
    sandbox.ok(&["export", "last", "-o", "result.csv"]);
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["export", "last", "--format", "json", "-o", "-"])).unwrap();
    assert_eq!(json["rows"][0]["name"], "Ann");
    assert_eq!(json["receipt"]["rows"], 6);
}

#[test]
fn what_is_not_kept_is_not_exported() {
    let sandbox = Sandbox::with_shop();
    let none = sandbox.fails(&["export", "last", "--format", "csv"], 2, "usage");
    assert!(none.contains("no last result"), "{none}");
    sandbox.ok(&["query", "SELECT 1 AS kept"]);
    sandbox.ok(&["query", "SELECT 2 AS not_kept", "--no-keep"]);
    sandbox.ok(&["query", "SELECT 3 AS not_kept", "--streaming"]);
    sandbox.fails(&["query", "SELECT * FROM shop.nothing"], 1, "table_not_found");
    assert!(sandbox.ok(&["export", "last", "--format", "csv", "-o", "-"]).starts_with("kept\n1"));
    sandbox.ok(&["config", "set", "federation.keep_last_result", "1B"]);
    sandbox.ok(&["query", "SELECT * FROM shop.customers"]);
    let large = sandbox.fails(&["export", "last", "--format", "csv"], 2, "usage");
    assert!(large.contains("keep_last_result"), "{large}");
}
