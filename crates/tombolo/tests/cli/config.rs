use crate::sandbox::Sandbox;

#[test]
fn a_setting_goes_there_and_back() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(&["config", "get", "federation.max_query_time"]), "5m\n");
    sandbox.ok(&["config", "set", "federation.max_query_time", "10s"]);
    assert_eq!(sandbox.read("tombolo.toml"), "[federation]\nmax_query_time = \"10s\"\n");
    assert_eq!(sandbox.ok(&["config", "get", "federation.max_query_time"]), "10s\n");
    sandbox.ok(&["config", "set", "federation.batch_size", "1024"]);
    sandbox.ok(&["config", "unset", "federation.max_query_time"]);
    assert_eq!(sandbox.read("tombolo.toml"), "[federation]\nbatch_size = 1024\n");
    sandbox.ok(&["config", "set", "federation.type_mappings", "crm.users.ref = integer"]);
    assert_eq!(sandbox.ok(&["config", "get", "federation.type_mappings"]), "crm.users.ref = integer\n");
    sandbox.fails(&["config", "set", "federation.type_mappings", "crm.users.ref"], 2, "config_invalid");
    sandbox.ok(&["config", "unset", "federation.type_mappings"]);
    assert_eq!(sandbox.names(), ["tombolo.toml"]);
}

#[test]
fn the_list_shows_every_key_and_where_its_value_is_from() {
    let sandbox = Sandbox::with_shop();
    sandbox.ok(&["config", "set", "sources.shop.timeout", "5s"]);
    let list = sandbox.ok(&["config", "list"]);
    for key in ["federation.max_memory", "federation.pushdown", "sources.shop.path", "sources.sales.max_concurrency"] {
        assert!(list.contains(key), "{key} is not in {list}");
    }
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(&["config", "list", "--format", "json"])).unwrap();
    assert_eq!(json["sources.shop.timeout"]["value"], "5s");
    assert_eq!(json["sources.shop.timeout"]["set"], true);
    assert_eq!(json["federation.join_counts"]["value"], "true");
    assert_eq!(json["federation.join_counts"]["set"], false);
}

#[test]
fn wrong_settings_are_refused_and_change_nothing() {
    let sandbox = Sandbox::with_shop();
    let before = sandbox.read("tombolo.toml");
    let near = sandbox.fails(&["config", "set", "federation.max_memry", "1GB"], 2, "config_invalid");
    assert!(near.contains("federation.max_memory"), "{near}");
    let kind = sandbox.fails(&["config", "set", "federation.max_query_time", "ten"], 2, "config_invalid");
    assert!(kind.contains("a duration such as"), "{kind}");
    sandbox.fails(&["config", "set", "federation.parallel", "0"], 2, "config_invalid");
    sandbox.fails(&["config", "set", "sources.shopp.timeout", "1s"], 1, "source_not_found");
    sandbox.fails(&["config", "set", "sources.shop.kind", "files"], 2, "usage");
    sandbox.fails(&["config", "unset", "sources.shop.path"], 2, "usage");
    sandbox.fails(&["config", "get", "nonsense"], 2, "usage");
    assert_eq!(sandbox.read("tombolo.toml"), before);
}

#[test]
fn a_broken_config_says_where() {
    let sandbox = Sandbox::with_shop();
    sandbox.write("tombolo.toml", "[federation]\nmax_memory = \"lots\"\n");
    let stderr = sandbox.fails(&["query", "SELECT 1"], 2, "config_invalid");
    assert!(stderr.contains("tombolo.toml:2:14") && stderr.contains("512MB"), "{stderr}");
    // The command that mends it works all the same.
    sandbox.ok(&["config", "set", "federation.max_memory", "512MB"]);
    assert_eq!(sandbox.rows("SELECT 1"), ["1"]);

    sandbox.write("tombolo.toml", "[sources.shop\n");
    let stderr = sandbox.fails(&["sources"], 2, "config_invalid");
    assert!(stderr.contains("tombolo.toml:1:"), "{stderr}");
}

#[test]
fn the_config_is_found_upwards_or_as_told() {
    let sandbox = Sandbox::with_shop();
    std::fs::create_dir_all(sandbox.path("a/b")).unwrap();
    let mut below = sandbox.command(&["query", "SELECT count(*) FROM shop.customers"]);
    let output = below.current_dir(sandbox.path("a/b")).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    std::fs::rename(sandbox.path("tombolo.toml"), sandbox.path("other.toml")).unwrap();
    sandbox.fails(&["query", "SELECT count(*) FROM shop.customers"], 1, "source_not_found");
    sandbox.ok(&["--config", "other.toml", "query", "SELECT count(*) FROM shop.customers"]);
    let mut told = sandbox.command(&["query", "SELECT count(*) FROM shop.customers"]);
    assert!(told.env("TOMBOLO_CONFIG", sandbox.path("other.toml")).output().unwrap().status.success());
    let missing = sandbox.fails(&["--config", "no.toml", "sources"], 2, "config_invalid");
    assert!(missing.contains("no.toml does not exist"), "{missing}");
}
