use crate::sandbox::Sandbox;

#[test]
fn two_sources_are_joined() {
    let sandbox = Sandbox::with_shop();
    let rows = sandbox.rows(
        "SELECT c.name, count(*) AS orders, sum(o.total) AS total FROM shop.customers c
         JOIN sales.orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY total DESC",
    );
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].starts_with("Bo,1,100"), "{rows:?}");
    assert!(rows[1].starts_with("Ann,2,12.75"), "{rows:?}");
}

#[test]
fn statements_come_from_the_argument_a_file_or_stdin() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("two.sql", "SELECT 1 AS a; -- the first\nSELECT ';' AS b;\n");
    assert_eq!(sandbox.ok(&["query", "-f", "two.sql"]), "a\n1\nb\n;\n");
    assert_eq!(sandbox.feed(&["query"], "SELECT 2 AS x").stdout, "x\n2\n");
    assert_eq!(sandbox.feed(&["query", "-"], "SELECT 3 AS x;").stdout, "x\n3\n");
    assert_eq!(sandbox.run(&["query"]).code, 2);
    assert_eq!(sandbox.run(&["query", "-f", "no.sql"]).code, 2);
    assert_eq!(sandbox.run(&["query", "-f", "two.sql", "SELECT 1"]).code, 2);
    let stopped = sandbox.run(&["query", "SELECT 1 AS a; SELECT * FROM shop.nothing; SELECT 3 AS c"]);
    assert_eq!((stopped.code, stopped.stdout.as_str()), (1, "a\n1\n"), "{stopped:?}");
}

#[test]
fn a_limit_is_told_by_the_receipt() {
    let sandbox = Sandbox::with_shop();
    let ran = sandbox.run(&["query", "SELECT id FROM shop.customers ORDER BY id", "--limit", "2", "--receipt=json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "id\n1\n2\n"), "{ran:?}");
    let receipt: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(receipt["rows"], 2);
    assert_eq!(receipt["limit"]["limit"], 2);
    assert_eq!(receipt["limit"]["reached"], true);
    assert_eq!(receipt["complete"], true);
}

#[test]
fn the_receipt_counts_what_found_no_partner() {
    let sandbox = Sandbox::with_shop();
    let ran = sandbox.run(&[
        "query",
        "SELECT c.name, o.total FROM shop.customers c JOIN sales.orders o ON o.customer_id = c.id",
        "--receipt=json",
    ]);
    let receipt: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(receipt["sub_queries"].as_array().unwrap().len(), 2, "{receipt:#}");
    let origins = &receipt["columns"][0]["origins"];
    assert_eq!(origins, &serde_json::json!(["shop.main.customers.name"]), "{receipt:#}");
    let join = &receipt["joins"][0];
    let sides = [&join["left"], &join["right"]];
    let side =
        |table: &str| sides.iter().find(|side| side["tables"][0].as_str().unwrap().contains(table)).copied().unwrap();
    assert_eq!((&side("customers")["rows"], &side("customers")["matched"]), (&6.into(), &3.into()), "{receipt:#}");
    assert_eq!((&side("orders")["rows"], &side("orders")["matched"]), (&5.into(), &4.into()), "{receipt:#}");
    let text = sandbox.run(&["query", "SELECT name FROM shop.customers", "--receipt"]);
    assert!(text.stderr.contains("shop"), "{text:?}");
}

#[test]
fn a_wide_table_is_shown_and_written_whole() {
    let sandbox = Sandbox::new();
    let columns: Vec<String> = (0..300).map(|n| format!("column_{n} INTEGER DEFAULT {n}")).collect();
    sandbox.sqlite("wide.db", &format!("CREATE TABLE t ({}); INSERT INTO t DEFAULT VALUES;", columns.join(", ")));
    sandbox.ok(&["connect", "wide.db"]);
    let csv = sandbox.ok(&["query", "SELECT * FROM wide.t"]);
    assert_eq!(csv.lines().next().unwrap().split(',').count(), 300);
    assert!(csv.lines().nth(1).unwrap().ends_with(",298,299"), "{csv}");
    assert!(sandbox.ok(&["query", "SELECT * FROM wide.t", "--format", "table"]).contains("column_299"));
}

#[test]
fn help_and_version_are_there() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ok(&["--version"]).starts_with("tombolo 0."));
    for command in ["connect", "query", "explain", "export", "history", "shell", "config", "doctor", "demo", "sources"]
    {
        let help = sandbox.ok(&[command, "--help"]);
        assert!(help.contains("Example"), "{command}: {help}");
    }
    assert_eq!(sandbox.run(&["qury"]).code, 2);
    assert!(sandbox.run(&["qury"]).stderr.contains("query"));
    assert_eq!(sandbox.run(&[]).code, 2);
    assert!(sandbox.ok(&["completions", "bash"]).contains("_tombolo"));
}
