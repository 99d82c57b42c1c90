use std::fmt::Write;

use crate::sandbox::Sandbox;

fn says(sandbox: &Sandbox, sql: &str, code: &str, words: &[&str]) {
    let stderr = sandbox.fails(&["query", sql], 1, code);
    for word in words {
        assert!(stderr.contains(word), "`{word}` is not in {stderr}");
    }
}

#[test]
fn names_that_are_not_there_suggest_the_nearest() {
    let sandbox = Sandbox::with_shop();
    says(&sandbox, "SELECT * FROM shp.customers", "source_not_found", &["shp", "shop"]);
    says(&sandbox, "SELECT * FROM shop.custmers", "table_not_found", &["custmers", "customers"]);
    says(&sandbox, "SELECT * FROM shop.other.customers", "schema_not_found", &["other"]);
    says(&sandbox, "SELECT nam FROM shop.customers", "column_not_found", &["nam", "name"]);
    says(&sandbox, "SELECT cuont(id) FROM shop.customers", "function_not_found", &["cuont"]);
    says(&sandbox, "SELEC 1", "syntax_error", &["SELEC"]);
    says(&sandbox, "SELECT id FROM shop.customers a, shop.customers b", "ambiguous_name", &["id"]);
}

#[test]
fn nothing_is_ever_written_to_a_source() {
    let sandbox = Sandbox::with_shop();
    for sql in [
        "DELETE FROM shop.customers",
        "DROP TABLE shop.customers",
        "CREATE TABLE shop.t (a INT)",
        "INSERT INTO shop.regions VALUES (3, 'x')",
    ] {
        let ran = sandbox.run(&["query", sql]);
        assert_eq!(ran.code, 1, "{sql}: {ran:?}");
        ran.refuse_ugliness();
    }
    assert_eq!(sandbox.rows("SELECT count(*) FROM shop.customers"), ["6"]);
}

#[test]
fn a_locked_database_says_so() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["config", "set", "sources.shop.busy_timeout", "200ms"]);
    let holder = rusqlite::Connection::open(sandbox.path("shop.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let stderr = sandbox.fails(&["query", "SELECT * FROM shop.customers"], 3, "source_busy");
    assert!(stderr.contains("shop"), "{stderr}");
}

#[test]
fn a_corrupt_database_says_so() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("shop.db", "this was a database once, and now it is a letter to whom it may concern".repeat(100));
    let ran = sandbox.run(&["query", "SELECT * FROM shop.customers"]);
    assert!(matches!(ran.code, 1 | 3), "{ran:?}");
    assert!(ran.stderr.contains("shop") && ran.stderr.contains("hint:"), "{ran:?}");
    ran.refuse_ugliness();
}

#[test]
fn a_wrong_value_deep_in_a_csv_names_its_place() {
    let sandbox = Sandbox::with_shop();
    let mut text = String::from("id,amount\n");
    for row in 1..=100_000 {
        match row {
            90_000 => text.push_str("90000,twelve\n"),
            _ => writeln!(text, "{row},{row}").unwrap(),
        }
    }
    sandbox.write("sales/long.csv", text);
    let ran = sandbox.run(&["query", "SELECT sum(amount) FROM sales.long", "-o", "out.csv"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("error[invalid_value]"), "{ran:?}");
    for word in ["long.csv", "amount", "twelve", "hint:"] {
        assert!(ran.stderr.contains(word), "`{word}` is not in {ran:?}");
    }
    ran.refuse_ugliness();
    assert!(
        !sandbox.names().iter().any(|name| name.starts_with("out") || name.contains("partial")),
        "{:?}",
        sandbox.names()
    );
}

#[test]
fn a_parquet_file_that_is_cut_off_says_so() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["query", "SELECT * FROM shop.customers", "-o", "whole.parquet"]);
    let whole = std::fs::read(sandbox.path("whole.parquet")).unwrap();
    sandbox.write("sales/cut.parquet", &whole[..whole.len() / 2]);
    let ran = sandbox.run(&["query", "SELECT * FROM sales.cut"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("error[corrupt_data]") && ran.stderr.contains("cut.parquet"), "{ran:?}");
    ran.refuse_ugliness();
    // The file beside it is as good as ever.
    assert_eq!(sandbox.rows("SELECT count(*) FROM sales.orders"), ["5"]);
}

#[test]
fn an_empty_file_breaks_nothing() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("sales/empty.csv", "");
    sandbox.write("sales/empty.parquet", "");
    sandbox.write("sales/header.csv", "a,b\n");
    assert_eq!(sandbox.rows("SELECT count(*) FROM sales.orders"), ["5"]);
    assert_eq!(sandbox.rows("SELECT count(*) FROM sales.header"), ["0"]);
    let ran = sandbox.run(&["query", "SELECT * FROM sales.empty"]);
    ran.refuse_ugliness();
    sandbox.sqlite("empty.db", "");
    let ran = sandbox.run(&["connect", "empty.db"]);
    ran.refuse_ugliness();
    assert!(matches!(ran.code, 0 | 1 | 3), "{ran:?}");
}

#[test]
fn a_failure_leaves_the_old_file_as_it_was() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("out.csv", "before");
    sandbox.fails(&["query", "SELECT * FROM shop.nothing", "-o", "out.csv"], 1, "table_not_found");
    assert_eq!(sandbox.read("out.csv"), "before");
    sandbox.fails(&["query", "SELECT 1", "-o", "no/such/folder/out.csv"], 1, "file_failed");
    assert!(!sandbox.names().iter().any(|name| name.contains("partial")), "{:?}", sandbox.names());
}

#[test]
fn a_very_deep_statement_does_not_crash() {
    let sandbox = Sandbox::with_shop();
    for deep in
        [format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000)), format!("SELECT {}", vec!["1"; 3000].join(" + "))]
    {
        let ran = sandbox.feed(&["query", "-"], &deep);
        assert!(matches!(ran.code, 0 | 1), "{ran:?}");
        ran.refuse_ugliness();
    }
}

#[test]
fn control_characters_in_data_do_not_reach_a_table() {
    let sandbox = Sandbox::with_shop();
    let table = sandbox.ok(&["query", "SELECT chr(27) || '[31mred' AS x", "--format", "table"]);
    assert!(!table.contains('\u{1b}'), "{table:?}");
}
