use std::path::{Path, PathBuf};

use tombolo_connector::{ErrorCode, OptionValue, Options};
use tombolo_engine::Settings;

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
