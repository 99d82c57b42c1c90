use crate::sandbox::Sandbox;

const SQL: &str =
    "SELECT c.name, o.total FROM shop.customers c JOIN sales.orders o ON o.customer_id = c.id WHERE c.region_id = 2";

#[test]
fn the_plan_shows_what_each_source_is_asked() {
    let sandbox = Sandbox::with_shop();
    let text = sandbox.ok(&["explain", SQL]);
    assert!(text.contains("shop") && text.contains("sales") && text.contains("region_id"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(&["explain", SQL, "--format", "json"])).unwrap();
    assert_eq!(json["analyzed"], false);
    assert!(sandbox.ok(&["explain", SQL, "--format", "dot"]).starts_with("digraph"));
    assert!(sandbox.ok(&["explain", SQL, "--format", "mermaid"]).starts_with("flowchart"));
    let analyzed: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["explain", "--analyze", SQL, "--format", "json"])).unwrap();
    assert_eq!(analyzed["analyzed"], true);
    assert_eq!(analyzed["root"]["actual"]["rows"], 2, "{analyzed:#}");
}

#[test]
fn explain_takes_one_statement_and_names_what_is_missing() {
    let sandbox = Sandbox::with_shop();
    sandbox.fails(&["explain", "SELECT 1; SELECT 2"], 2, "usage");
    sandbox.fails(&["explain", "SELECT * FROM shop.custmers"], 1, "table_not_found");
    assert_eq!(sandbox.run(&["explain", SQL, "--format", "xml"]).code, 2);
}
