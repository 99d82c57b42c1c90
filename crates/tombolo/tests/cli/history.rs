use crate::sandbox::Sandbox;

#[test]
fn the_history_remembers_what_was_asked_and_how_it_went() {
    let sandbox = Sandbox::with_shop();
    assert!(sandbox.run(&["history"]).stderr.contains("empty"));
    sandbox.ok(&["query", "SELECT name FROM shop.customers"]);
    sandbox.fails(&["query", "SELECT * FROM shop.nothing"], 1, "table_not_found");
    let list = sandbox.ok(&["history"]);
    assert!(list.contains("finished") && list.contains("table_not_found"), "{list}");
    let entries: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["history", "--format", "json", "--limit", "2"])).unwrap();
    assert_eq!(entries[0]["statement"], "SELECT * FROM shop.nothing");
    assert_eq!(entries[1]["rows"], 6);
    let id = entries[1]["id"].as_str().unwrap();
    let shown = sandbox.ok(&["history", "show", &id[id.len() - 8..]]);
    assert!(shown.contains("SELECT name FROM shop.customers") && shown.contains("6 rows"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["history", "show", id, "--format", "json"])).unwrap();
    assert_eq!(json["receipt"]["query_id"], id);
    sandbox.fails(&["history", "show", "zzzz"], 2, "usage");
}

#[test]
fn a_state_folder_that_cannot_be_written_does_not_fail_the_query() {
    let sandbox = Sandbox::with_shop();
    std::fs::write(sandbox.state(), "a file where the folder should be").unwrap();
    let ran = sandbox.run(&["query", "SELECT count(*) AS n FROM shop.customers"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "n\n6\n"), "{ran:?}");
    assert!(ran.stderr.contains("warning"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn the_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["query", "SELECT name FROM shop.customers"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&sandbox.state()), 0);
    assert_eq!(mode(&sandbox.state().join("history.jsonl")), 0);
    assert_eq!(mode(&sandbox.state().join("last_result.arrow")), 0);
}
