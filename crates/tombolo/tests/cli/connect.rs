use crate::sandbox::Sandbox;

#[test]
fn a_database_is_connected_described_and_disconnected() {
    let sandbox = Sandbox::with_shop();
    std::fs::remove_file(sandbox.path("tombolo.toml")).unwrap();
    let ran = sandbox.run(&["connect", "shop.db"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("connected shop: SQLite 3."), "{ran:?}");
    assert!(ran.stdout.contains("customers") && ran.stdout.contains("6"), "{ran:?}");
    assert_eq!(sandbox.read("tombolo.toml"), "[sources.shop]\nkind = \"sqlite\"\npath = \"shop.db\"\n");

    let tables = sandbox.ok(&["describe", "shop"]);
    assert!(tables.contains("regions") && tables.contains("customers"), "{tables}");
    let table = sandbox.ok(&["describe", "SHOP.customers"]);
    for fact in ["region_id", "primary key   id", "foreign key   region_id -> main.regions (id)", "customers_by_region"]
    {
        assert!(table.contains(fact), "{fact} is not in {table}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["describe", "shop.customers", "--format", "json", "--refresh"])).unwrap();
    assert_eq!(json["columns"][1]["name"], "name");
    assert_eq!(json["rows"], 6);

    let ran = sandbox.run(&["disconnect", "shop"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    sandbox.fails(&["describe", "shop"], 1, "source_not_found");
    sandbox.fails(&["disconnect", "shop"], 1, "source_not_found");
}

#[test]
fn folders_files_and_globs_are_connected() {
    let sandbox = Sandbox::with_shop();
    let ran = sandbox.run(&["connect", "sales", "--name", "sales-2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("orders") && ran.stdout.contains("visits"), "{ran:?}");
    assert_eq!(sandbox.run(&["connect", "sales/orders.csv", "--name", "one"]).code, 0);
    assert_eq!(sandbox.rows("SELECT count(*) FROM one.orders"), ["5"]);
    // A name with a hyphen is written as it is.
    assert_eq!(sandbox.rows("SELECT count(*) FROM sales-2.orders"), ["5"]);
    assert_eq!(sandbox.rows("SELECT count(*) FROM \"sales-2\".orders"), ["5"]);
    assert_eq!(sandbox.rows("SELECT count(*) FROM [sales-2].orders"), ["5"]);
}

#[test]
fn a_name_is_taken_once_and_can_be_written_in_sql() {
    let sandbox = Sandbox::with_shop();
    let before = sandbox.read("tombolo.toml");
    let taken = sandbox.fails(&["connect", "shop.db", "--name", "SHOP"], 2, "usage");
    assert!(taken.contains("--replace"), "{taken}");
    sandbox.fails(&["connect", "shop.db", "--name", "my shop"], 2, "usage");
    sandbox.fails(&["connect", "shop.db", "--name", "a--b"], 2, "usage");
    assert_eq!(sandbox.read("tombolo.toml"), before);
    assert_eq!(sandbox.run(&["connect", "shop.db", "--name", "shop", "--replace", "--option", "timeout=7s"]).code, 0);
    assert_eq!(sandbox.ok(&["config", "get", "sources.shop.timeout"]), "7s\n");
}

#[test]
fn what_does_not_answer_is_not_saved() {
    let sandbox = Sandbox::new();
    let missing = sandbox.fails(&["connect", "no.db", "--name", "shop"], 3, "source_unavailable");
    assert!(missing.contains("no.db"), "{missing}");
    let unknown = sandbox.run(&["connect", "gopher://ann:hunter2@host/x", "--name", "x"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(!unknown.stderr.contains("hunter2"), "{unknown:?}");
    sandbox.write("a.db", "x");
    let option = sandbox.fails(&["connect", "a.db", "--option", "pth=1"], 2, "config_invalid");
    assert!(option.contains("path"), "{option}");
    assert_eq!(sandbox.names(), ["a.db"]);
}

#[test]
fn a_source_that_is_down_breaks_nothing_else() {
    let sandbox = Sandbox::with_shop();
    std::fs::rename(sandbox.path("sales"), sandbox.path("gone")).unwrap();
    let sources = sandbox.ok(&["sources"]);
    let line = |name: &str| sources.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line(" shop ").contains(" up "), "{sources}");
    assert!(line(" sales ").contains(" down "), "{sources}");
    assert_eq!(sandbox.rows("SELECT count(*) FROM shop.customers"), ["6"]);
    sandbox.fails(&["query", "SELECT * FROM sales.orders"], 3, "source_unavailable");
    let doctor = sandbox.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("failed   source sales"), "{doctor:?}");
}

#[test]
fn the_doctor_finds_nothing_wrong_with_what_is_right() {
    let sandbox = Sandbox::with_shop();
    let doctor = sandbox.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(doctor.stdout.contains("source shop") && doctor.stdout.contains("state folder"), "{doctor:?}");
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(&["doctor", "--format", "json"])).unwrap();
    assert!(json.as_array().unwrap().iter().all(|check| check["state"] != "failed"), "{json}");
    sandbox.write("tombolo.toml", "[federation]\nparalel = 1\n");
    let doctor = sandbox.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("Did you mean `parallel`?"), "{doctor:?}");
}
