use std::path::{Path, PathBuf};

use tombolo_connector::{ErrorCode, OptionValue, Options};
use tombolo_engine::{Guardrails, ScanLimits, Settings, TableGuardrails};

use super::*;
use tombolo_connectors::registry;

fn parse(text: &str) -> Result<Config> {
    Config::parse(PathBuf::from("tombolo.toml"), text, &registry())
}

fn refused(text: &str) -> (String, String) {
    let error = parse(text).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    (error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[test]
fn defaults_of_the_keys_are_the_engines_defaults() {
    let listed = Federation::from_options(Options::default()).unwrap();
    assert_eq!(format!("{:?}", listed.settings), format!("{:?}", Settings::default()));
    let without_table = Federation::default();
    assert_eq!(listed.keep_last_result, without_table.keep_last_result);
    assert_eq!(listed.history_entries, without_table.history_entries);
}

#[test]
fn an_unknown_key_is_refused_at_its_place_with_the_nearest_name() {
    assert_eq!(
        refused("[federation]\nmax_memory = \"1GB\"\n  max_qery_time = \"1s\"\n"),
        (
            "tombolo.toml:3:3: unknown key `max_qery_time` in [federation]".into(),
            "Did you mean `max_query_time`?".into()
        )
    );
    assert_eq!(refused("[source.a]\n").1, "Did you mean `sources`?");
    let (message, hint) = refused("[sources.shop]\nkind = \"sqlite\"\npth = \"a.db\"\n");
    assert_eq!(message, "tombolo.toml:3:1: unknown key `pth` in [sources.shop]");
    assert_eq!(hint, "Did you mean `path`?");
}

#[test]
fn a_value_of_the_wrong_kind_says_what_is_expected() {
    let (message, _) = refused("[federation]\nmax_query_time = 10\n");
    assert_eq!(
        message,
        "tombolo.toml:2:18: option `max_query_time` takes a duration such as 500ms, 10s or 5m, not `10`"
    );
    let (message, _) = refused("[federation]\nbatch_size = [1]\n");
    assert_eq!(message, "tombolo.toml:2:14: `federation.batch_size` takes a whole number, not array");
    assert!(refused("[federation]\nbatch_size = 0\n").0.contains("from 1"));
    let (message, hint) = refused("[federation]\ntype_mappings = \"crm.users.ref = number\"\n");
    assert_eq!(message, "tombolo.toml:2:17: `type_mappings` names the type `number`");
    assert!(hint.contains("integer, text, uuid"), "{hint}");
}

#[test]
fn broken_toml_names_its_line_and_shows_no_value() {
    let (message, _) = refused("[sources.shop]\nkind = \"sqlite\"\npassword = \"hunter2\n");
    assert!(message.starts_with("tombolo.toml:3:"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn kinds_and_required_options_are_checked() {
    let (message, hint) = refused("[sources.shop]\nkind = \"sqlit\"\n");
    assert_eq!(message, "tombolo.toml:2:8: unknown kind of source `sqlit`");
    assert_eq!(hint, "Did you mean `sqlite`?");
    assert!(refused("[sources.shop]\npath = \"a\"\n").0.contains("`kind` is missing"));
    assert!(refused("[sources.shop]\nkind = \"sqlite\"\n").0.contains("option `path` is missing"));
    assert!(
        refused("[sources.A]\nkind = \"sqlite\"\npath = \"a\"\n[sources.a]\nkind = \"sqlite\"\npath = \"a\"\n")
            .0
            .contains("twice")
    );
}

#[test]
fn names_are_those_that_sql_can_write() {
    for name in ["shop", "users-db", "_x", "Shop2"] {
        assert!(check_name(name).is_ok(), "{name}");
    }
    for name in ["", "2shop", "a b", "a.b", "a--b", "a-", "tombolo", "naïve"] {
        assert!(check_name(name).is_err(), "{name}");
    }
    assert_eq!(name_from_path("data/shop-2024.db").as_deref(), Some("shop-2024"));
    assert_eq!(name_from_path("logs/*.parquet").as_deref(), Some("logs"));
    assert_eq!(name_from_path("2024 sales.csv").as_deref(), Some("_2024_sales"));
    assert_eq!(name_from_path("*.csv"), None);
}

#[test]
fn paths_are_kept_relative_below_the_config() {
    let (work, config) = (Path::new("/ann/shop/data"), Path::new("/ann/shop"));
    assert_eq!(written_path("a.db", work, config), "data/a.db");
    assert_eq!(written_path("../a.db", work, config), "a.db");
    assert_eq!(written_path("../../b.db", work, config), "/ann/b.db");
    assert_eq!(written_path("s3://bucket/x", work, config), "s3://bucket/x");
    assert_eq!(written_path("..", work, config), ".");
}

#[test]
fn editing_keeps_comments_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.toml");
    std::fs::write(&path, "# ours\n[federation]\nparallel = 2 # two is enough\n\n[sources.shop] # the shop\nkind = \"sqlite\"\npath = \"a.db\"\n")
        .unwrap();
    let mut editor = ConfigEditor::open(&path).unwrap();
    editor.set(&KeyPath::parse("federation.parallel").unwrap(), &OptionValue::Integer(3)).unwrap();
    editor.set(&KeyPath::parse("sources.SHOP.timeout").unwrap(), &"5s".into()).unwrap();
    editor.save().unwrap();
    insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
    # ours
    [federation]
    parallel = 3 # two is enough

    [sources.shop] # the shop
    kind = "sqlite"
    path = "a.db"
    timeout = "5s"
    "#);
    let mut editor = ConfigEditor::open(&path).unwrap();
    assert!(editor.remove_source("Shop").unwrap());
    assert!(!editor.remove_source("shop").unwrap());
    assert!(editor.unset(&KeyPath::parse("federation.parallel").unwrap()).unwrap());
    assert!(!editor.text().contains("shop"), "{}", editor.text());
}

#[test]
fn a_new_file_holds_only_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.toml");
    let mut editor = ConfigEditor::open(&path).unwrap();
    let options = Options::default().with("path", "a.db");
    editor.put_source("users-db", "sqlite", options.iter()).unwrap();
    editor.save().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[sources.users-db]\nkind = \"sqlite\"\npath = \"a.db\"\n");
    assert_eq!(Config::load(Some(path), &registry()).unwrap().sources[0].name, "users-db");
}

/// The guardrails of a source `shop` whose tables in the file are these.
fn guarded(rules: &str) -> String {
    format!("[sources.shop]\nkind = \"sqlite\"\npath = \"a.db\"\n{rules}")
}

#[test]
fn guardrails_are_read_for_a_source_and_for_its_tables() {
    let text = guarded(
        "[sources.shop.guardrails]\nmax_scanned_rows = 10_000_000_000\nmax_scanned_bytes = \"10GB\"\ndeny_full_scan = true\n\
         full_scan_rows = 1000\nmax_unlimited_sort_rows = 5\nallow_native = true\n\
         [sources.shop.tables.\"main.events\".guardrails]\nrequire = [\"day\", \"Tenant\"]\nmax_scanned_rows = 7\n\
         [sources.shop.tables.users.guardrails]\ndeny_full_scan = false\n",
    );
    let read = parse(&text).unwrap().source_configs(&registry()).unwrap().remove(0).guardrails;
    let events = TableGuardrails {
        table: "main.events".to_owned(),
        require: vec!["day".to_owned(), "Tenant".to_owned()],
        max_scanned: ScanLimits { rows: Some(7), bytes: None },
        ..TableGuardrails::default()
    };
    let users =
        TableGuardrails { table: "users".to_owned(), deny_full_scan: Some(false), ..TableGuardrails::default() };
    let wanted = Guardrails {
        max_scanned: ScanLimits { rows: Some(10_000_000_000), bytes: Some(10 << 30) },
        deny_full_scan: true,
        full_scan_rows: Some(1000),
        max_unlimited_sort_rows: Some(5),
        allow_native: true,
        tables: vec![events, users],
    };
    assert_eq!(read, wanted);
    let inline = guarded("guardrails = { max_scanned_rows = 3 }\n");
    let read = parse(&inline).unwrap().source_configs(&registry()).unwrap().remove(0).guardrails;
    assert_eq!(read.max_scanned.rows, Some(3));
    let none = parse(&guarded("")).unwrap().source_configs(&registry()).unwrap().remove(0).guardrails;
    assert_eq!(none, Guardrails::default());
}

#[test]
fn wrong_guardrails_are_refused_at_their_place() {
    let refused = |rules: &str| {
        let (message, hint) = refused(&guarded(rules));
        format!("{message}\n{hint}")
    };
    let source = "[sources.shop.guardrails]\n";
    insta::assert_snapshot!(refused(&format!("{source}max_scaned_rows = 1\n")), @r"
    tombolo.toml:5:1: unknown key `max_scaned_rows` in [sources.shop.guardrails]
    Did you mean `max_scanned_rows`?
    ");
    insta::assert_snapshot!(refused(&format!("{source}require = [\"day\"]\n")), @r"
    tombolo.toml:5:1: unknown key `require` in [sources.shop.guardrails]
    Columns are required of single tables: [sources.NAME.tables.TABLE.guardrails] has `require`.
    ");
    insta::assert_snapshot!(refused(&format!("{source}max_scanned_rows = 0\n")), @r"
    tombolo.toml:5:20: option `max_scanned_rows` takes a number of rows from 1, not `0`
    Set `max_scanned_rows` to a number of rows from 1.
    ");
    insta::assert_snapshot!(refused(&format!("{source}max_scanned_bytes = \"0B\"\n")), @"tombolo.toml:5:21: `sources.shop.guardrails.max_scanned_bytes` is nothing, so that nothing could be read");
    insta::assert_snapshot!(refused(&format!("{source}deny_full_scan = \"often\"\n")), @r"
    tombolo.toml:5:18: option `deny_full_scan` takes true or false, not `often`
    Set `deny_full_scan` to true or false.
    ");
    insta::assert_snapshot!(refused(&format!("{source}full_scan_rows = 10\n")), @r"
    tombolo.toml: `sources.shop.guardrails.full_scan_rows` does nothing where `deny_full_scan` is not set
    Set deny_full_scan = true beside it, or remove it.
    ");
    insta::assert_snapshot!(refused("guardrail = { deny_full_scan = true }\n"), @r"
    tombolo.toml:4:1: unknown key `guardrail` in [sources.shop]
    Did you mean `guardrails`?
    ");
    insta::assert_snapshot!(refused("guardrails = 5\n"), @"tombolo.toml:4:14: `sources.shop.guardrails` must be a table, not integer");
    insta::assert_snapshot!(refused("[sources.shop.tables.main.events.guardrails]\nrequire = [\"day\"]\n"), @r#"
    tombolo.toml:4:27: unknown key `events` in [sources.shop.tables.main]
    A name with a dot stands in quotes: [sources.shop.tables."main.events".guardrails].
    "#);
    insta::assert_snapshot!(refused("[sources.shop.tables.events.guardrails]\nallow_native = true\n"), @r"
    tombolo.toml:5:1: unknown key `allow_native` in [sources.shop.tables.events.guardrails]
    It takes: max_scanned_rows, max_scanned_bytes, deny_full_scan, full_scan_rows, max_unlimited_sort_rows, require.
    ");
    insta::assert_snapshot!(refused("[sources.shop.tables.events.guardrails]\nrequire = \"day\"\n"), @r#"
    tombolo.toml:5:11: `sources.shop.tables.events.guardrails.require` takes a list of one or more columns
    For example require = ["tenant_id"].
    "#);
    insta::assert_snapshot!(refused("[sources.shop.tables.events.guardrails]\nrequire = []\n"), @r#"
    tombolo.toml:5:11: `sources.shop.tables.events.guardrails.require` takes a list of one or more columns
    For example require = ["tenant_id"].
    "#);
    insta::assert_snapshot!(
        refused(&format!("{source}max_scanned_rows = 5\n[sources.shop.tables.events.guardrails]\nmax_scanned_rows = 6\n")),
        @r"
        tombolo.toml: `sources.shop.tables.events.guardrails.max_scanned_rows` is above that of its source, which counts all tables
        The lower limit always holds: raise that of the source, or remove that of the table.
        "
    );
}

#[test]
fn a_source_that_is_replaced_keeps_its_guardrails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.toml");
    let rules = "\n[sources.shop.guardrails]\ndeny_full_scan = true # by us\n\n[sources.shop.tables.events.guardrails]\nrequire = [\"day\"]\n";
    std::fs::write(&path, guarded(rules)).unwrap();
    let mut editor = ConfigEditor::open(&path).unwrap();
    let options = Options::default().with("path", "b.db");
    editor.put_source("Shop", "sqlite", options.iter()).unwrap();
    editor.set(&KeyPath::parse("sources.shop.guardrails.max_scanned_rows").unwrap(), &OptionValue::Integer(9)).unwrap();
    editor.save().unwrap();
    let config = Config::load(Some(path.clone()), &registry()).unwrap();
    assert_eq!(config.sources[0].options.text("path"), Some("b.db"));
    let kept = config.source_configs(&registry()).unwrap().remove(0).guardrails;
    assert!(kept.deny_full_scan && kept.max_scanned.rows == Some(9), "{kept:?}");
    assert_eq!(kept.tables[0].require, ["day"]);
    let mut editor = ConfigEditor::open(&path).unwrap();
    assert!(editor.unset(&KeyPath::parse("sources.shop.guardrails.deny_full_scan").unwrap()).unwrap());
    assert!(!editor.unset(&KeyPath::parse("sources.shop.guardrails.deny_full_scan").unwrap()).unwrap());
    assert!(editor.text().contains("max_scanned_rows = 9") && !editor.text().contains("by us"), "{}", editor.text());
}

#[test]
fn a_place_tells_apart_several_databases_of_one_host() {
    let config = parse(
        "[sources.one]\nkind = \"postgres\"\nhost = \"db\"\nport = 5433\ndatabase = \"shop\"\npassword = \"secret\"\n\
         [sources.two]\nkind = \"mysql\"\nhost = \"db\"\n[sources.three]\nkind = \"sqlite\"\npath = \"a.db\"\n",
    )
    .unwrap();
    let places: Vec<String> = config.sources.iter().map(|source| source.location(&registry())).collect();
    assert_eq!(places, ["db:5433/shop", "db", "a.db"]);
}
