use crate::sandbox::Sandbox;

const RULES: &str = "
[sources.shop.guardrails]
deny_full_scan = true
full_scan_rows = 2

[sources.shop.tables.\"main.customers\".guardrails]
require = [\"region_id\"]
max_scanned_rows = 3

[sources.sales.tables.orders.guardrails]
max_unlimited_sort_rows = 4
";

/// A shop of 6 customers and 2 regions, and 5 orders in a file, with rules.
fn guarded() -> Sandbox {
    let sandbox = Sandbox::with_shop();
    sandbox.write("tombolo.toml", sandbox.read("tombolo.toml") + RULES);
    sandbox
}

#[test]
fn a_query_that_breaks_a_rule_is_refused_and_says_what_to_do() {
    let sandbox = guarded();
    for sql in [
        "SELECT * FROM shop.customers",
        "SELECT * FROM shop.customers LIMIT 1",
        "SELECT c.name FROM sales.orders o JOIN shop.customers c ON c.id = o.customer_id",
        "SELECT * FROM shop.customers WHERE region_id > 0",
        "SELECT * FROM sales.orders ORDER BY total",
    ] {
        let said = sandbox.fails(&["query", sql], 4, "guardrail_refused");
        assert!(said.contains("hint: "), "{said}");
        assert_eq!(sandbox.feed(&["shell"], sql).code, 4, "{sql}");
    }
    let said = sandbox.fails(&["query", "SELECT * FROM shop.customers"], 4, "guardrail_refused");
    insta::assert_snapshot!(said, @r#"
    error[guardrail_refused]: table `main.customers` of source `shop` may only be read with a predicate on `region_id`
      detail: `sources.shop.tables."main.customers".guardrails.require` asks for one that compares the
              column with constants; keys of a join, `<>` and conditions in only one branch of an OR are
              none
      hint: Add a condition such as `region_id = 1`.
    "#);
    let explained = sandbox.fails(&["explain", "SELECT * FROM shop.customers"], 4, "guardrail_refused");
    assert_eq!(explained, said);
    let history = sandbox.ok(&["history"]);
    assert!(history.contains("guardrail_refused"), "{history}");
}

#[test]
fn what_keeps_to_the_rules_runs() {
    let sandbox = guarded();
    assert_eq!(sandbox.rows("SELECT id FROM shop.customers WHERE region_id = 1 ORDER BY id"), ["1", "4", "6"]);
    assert_eq!(sandbox.rows("SELECT count(*) FROM shop.customers WHERE region_id IN (1, 2)"), ["6"]);
    assert_eq!(sandbox.rows("SELECT name FROM shop.regions ORDER BY id"), ["north", "south"]);
    assert_eq!(sandbox.rows("SELECT order_id FROM sales.orders ORDER BY total LIMIT 1"), ["13"]);
    sandbox.ok(&["describe", "shop.customers"]);
    sandbox.ok(&["sources"]);
    sandbox.ok(&["doctor"]);
}

#[test]
fn nothing_is_written_of_an_answer_that_is_refused_while_it_runs() {
    let sandbox = guarded();
    let sql = "SELECT * FROM shop.customers WHERE region_id > 0 OR region_id IS NULL";
    sandbox.fails(&["query", sql, "-o", "out.csv"], 4, "guardrail_refused");
    assert!(!sandbox.names().contains(&"out.csv".to_owned()), "{:?}", sandbox.names());
    let ran = sandbox.run(&["query", sql]);
    assert_eq!((ran.code, ran.stdout.lines().count() < 6), (4, true), "{ran:?}");
}

#[test]
fn rules_of_a_source_are_set_like_other_settings() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["config", "set", "sources.shop.guardrails.max_scanned_rows", "5"]);
    assert_eq!(sandbox.ok(&["config", "get", "sources.shop.guardrails.max_scanned_rows"]), "5\n");
    assert_eq!(sandbox.ok(&["config", "get", "sources.shop.guardrails.deny_full_scan"]), "false\n");
    sandbox.fails(&["query", "SELECT * FROM shop.customers"], 4, "guardrail_refused");
    sandbox.ok(&["config", "set", "sources.shop.guardrails.max_scanned_rows", "6"]);
    sandbox.ok(&["query", "SELECT * FROM shop.customers"]);
    sandbox.fails(&["config", "set", "sources.shop.guardrails.max_scanned_rows", "0"], 2, "config_invalid");
    let near = sandbox.fails(&["config", "set", "sources.shop.guardrails.max_scanned_row", "1"], 2, "config_invalid");
    assert!(near.contains("max_scanned_rows"), "{near}");
    sandbox.fails(&["config", "set", "sources.shop.tables.a.guardrails.max_scanned_rows", "1"], 2, "usage");
    let replaced = ["connect", "shop.db", "--name", "shop", "--replace"];
    sandbox.ok(&replaced);
    assert_eq!(sandbox.ok(&["config", "get", "sources.shop.guardrails.max_scanned_rows"]), "6\n");
    sandbox.ok(&["config", "unset", "sources.shop.guardrails.max_scanned_rows"]);
    let list = guarded().ok(&["config", "list"]);
    for key in [
        "sources.sales.guardrails.max_scanned_bytes",
        "sources.shop.tables.\"main.customers\".guardrails.require",
        "sources.sales.tables.orders.guardrails.max_unlimited_sort_rows",
    ] {
        assert!(list.contains(key), "{key} is not in {list}");
    }
}

#[test]
fn rules_for_a_table_that_is_not_there_are_told() {
    let sandbox = Sandbox::with_shop();
    let rules = "[sources.shop.tables.custmers.guardrails]\ndeny_full_scan = true\n";
    sandbox.write("tombolo.toml", sandbox.read("tombolo.toml") + rules);
    let said = sandbox.fails(&["query", "SELECT * FROM shop.regions"], 2, "config_invalid");
    assert!(said.contains("Did you mean `customers`?"), "{said}");
    sandbox.ok(&["query", "SELECT * FROM sales.orders"]);
    sandbox.ok(&["describe", "shop.regions"]);
    let doctor = sandbox.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains("custmers"), "{doctor:?}");
}
