use crate::sandbox::Sandbox;

const PRODUCT: &str = "SELECT c.name, o.total FROM shop.customers c CROSS JOIN sales.orders o";

/// A shop in which 30 rows are refused.
fn shop() -> Sandbox {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["config", "set", "federation.max_cartesian_rows", "29"]);
    sandbox
}

#[test]
fn a_product_is_refused_with_its_size_and_both_ways_out() {
    let sandbox = shop();
    let said = sandbox.fails(&["query", PRODUCT], 4, "cartesian_product");
    assert!(said.contains("c (6) × o (5) = 30 rows"), "{said}");
    for part in ["`ON c.id = o.customer_id` (by names and types)", "--auto-fix", "--allow-cartesian"] {
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "{part}: {said}");
    }
    sandbox.fails(&["explain", PRODUCT], 4, "cartesian_product");
    assert_eq!(sandbox.feed(&["shell"], PRODUCT).code, 4);
    let history = sandbox.ok(&["history"]);
    assert!(history.contains("cartesian_product"), "{history}");
}

#[test]
fn a_product_that_is_allowed_or_small_runs() {
    let sandbox = shop();
    let ran = sandbox.run(&["query", PRODUCT, "--allow-cartesian", "--receipt=json"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 31), "{ran:?}");
    assert!(ran.stderr.contains("a Cartesian product was allowed: c (6)"), "{ran:?}");
    sandbox.ok(&["explain", PRODUCT, "--allow-cartesian"]);
    assert_eq!(sandbox.feed(&["shell", "--allow-cartesian"], PRODUCT).code, 0);
    assert_eq!(sandbox.run(&["query", PRODUCT, "--allow-cartesian", "--auto-fix"]).code, 2);
    sandbox.ok(&["config", "set", "federation.max_cartesian_rows", "30"]);
    sandbox.ok(&["query", PRODUCT]);
    sandbox.ok(&["config", "unset", "federation.max_cartesian_rows"]);
    sandbox.ok(&["query", PRODUCT]);
    sandbox.ok(&["config", "set", "federation.max_cartesian_rows", "0"]);
    sandbox.ok(&["query", PRODUCT]);
}

#[test]
fn auto_fix_shows_the_change_and_runs_it() {
    let sandbox = shop();
    let ran = sandbox.run(&["query", PRODUCT, "--auto-fix"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 5), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @r"
    added: `ON c.id = o.customer_id` (by names and types)
      SELECT
        c.name,
        o.total
      FROM
        shop.customers c
    -   CROSS JOIN sales.orders o
    +   JOIN sales.orders o ON c.id = o.customer_id
    ");
    let receipt = sandbox.run(&["query", PRODUCT, "--auto-fix", "--receipt"]).stderr;
    assert!(receipt.contains("the statement was changed"), "{receipt}");
    let explained = sandbox.run(&["explain", PRODUCT, "--auto-fix"]);
    assert!(explained.code == 0 && explained.stderr.contains("+ "), "{explained:?}");
    assert!(explained.stdout.contains("join") && explained.stdout.contains("was changed"), "{explained:?}");
    assert_eq!(sandbox.feed(&["shell", "--auto-fix"], PRODUCT).code, 0);
}

#[test]
fn auto_fix_refuses_what_it_cannot_know() {
    let sandbox = shop();
    let sql = "SELECT * FROM shop.customers a CROSS JOIN shop.customers b";
    let said = sandbox.fails(&["query", sql, "--auto-fix"], 4, "cartesian_product");
    assert!(said.contains("found no condition"), "{said}");
}
