use crate::sandbox::Sandbox;

#[test]
fn the_demo_makes_a_shop_and_shows_it() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["demo"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.refuse_ugliness();
    assert!(ran.stdout.contains("JOIN") && ran.stdout.contains("Receipt"), "{ran:?}");
    let shop = sandbox.path("tombolo-demo");
    let asked = sandbox
        .command(&["query", "SELECT count(*) > 10 AS many FROM shop.customers"])
        .current_dir(&shop)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "many\ntrue\n", "{asked:?}");
    // Again over the same folder, and never over another's.
    sandbox.ok(&["demo", "--no-tour"]);
    std::fs::create_dir(sandbox.path("mine")).unwrap();
    sandbox.write("mine/x", "mine");
    sandbox.fails(&["demo", "--dir", "mine", "--no-tour"], 2, "usage");
    assert_eq!(crate::sandbox::names(&sandbox.path("mine")), ["x"]);
}
