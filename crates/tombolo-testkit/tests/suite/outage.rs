use tombolo_connector::Options;
use tombolo_engine::ErrorCode;
use tombolo_testkit::{Lab, ask, rows};

async fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop")
        .execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ann')");
    lab.files("lake").parquet(
        "visits",
        100,
        &rows("SELECT * FROM (VALUES (1, 10), (1, 20)) AS t(user_id, seconds)").await,
    );
    let missing = lab.path().join("gone.db");
    lab.source("gone", "sqlite", Options::default().with("path", missing.to_str().unwrap()));
    let folder = lab.path().join("no-such-folder");
    lab.source("nowhere", "files", Options::default().with("path", folder.to_str().unwrap()));
    lab
}

#[tokio::test]
async fn a_source_that_is_down_breaks_no_query_on_the_others() {
    let lab = lab().await;
    let engine = lab.engine();
    let sql = "SELECT name, sum(seconds) AS total FROM shop.users JOIN lake.visits ON id = user_id GROUP BY name";
    assert_eq!(ask(&engine, sql).await.unwrap().rows(), 1);
    for name in ["gone", "nowhere"] {
        assert_eq!(engine.ping(name).await.unwrap_err().code(), ErrorCode::SourceUnavailable);
    }
    assert_eq!(ask(&engine, sql).await.unwrap().rows(), 1, "also after the others were found to be down");
}

#[tokio::test]
async fn a_query_that_names_a_source_that_is_down_says_so() {
    let lab = lab().await;
    let engine = lab.engine();
    for (source, sql) in [
        ("gone", "SELECT * FROM gone.users"),
        ("gone", "SELECT * FROM shop.users u JOIN gone.users g ON u.id = g.id"),
        ("nowhere", "SELECT count(*) FROM nowhere.visits"),
    ] {
        let error = ask(&engine, sql).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{sql}: {error}");
        assert_eq!(error.source_name(), Some(source), "{sql}: {error}");
        assert!(error.hint().is_some(), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_source_that_comes_up_is_found_without_a_new_engine() {
    let lab = lab().await;
    let engine = lab.engine();
    let sql = "SELECT name FROM gone.users";
    assert_eq!(ask(&engine, sql).await.unwrap_err().code(), ErrorCode::SourceUnavailable);
    std::fs::copy(lab.path().join("shop.db"), lab.path().join("gone.db")).unwrap();
    assert_eq!(ask(&engine, sql).await.unwrap().rows(), 1);
}

#[tokio::test]
async fn a_table_without_a_source_is_explained_even_when_a_source_is_down() {
    let error = ask(&lab().await.engine(), "SELECT * FROM users").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TableNotFound);
    assert!(error.hint().unwrap().contains("shop.users"), "{:?}", error.hint());
}
