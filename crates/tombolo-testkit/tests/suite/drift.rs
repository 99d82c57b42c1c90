use tombolo_engine::{Engine, ErrorCode};
use tombolo_testkit::{Lab, ask, rows};

async fn table(engine: &Engine, sql: &str) -> String {
    ask(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.detail())).table()
}

#[tokio::test]
async fn a_column_that_was_added_in_sqlite_is_seen() {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    shop.execute("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
    let engine = lab.engine();
    assert_eq!(ask(&engine, "SELECT * FROM shop.t").await.unwrap().schema.fields().len(), 1);
    shop.execute("ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'");
    insta::assert_snapshot!(table(&engine, "SELECT * FROM shop.t").await, @r"
    +---+---+
    | a | b |
    +---+---+
    | 1 | x |
    +---+---+
    ");
}

#[tokio::test]
async fn a_column_that_was_dropped_in_sqlite_is_no_longer_found() {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    shop.execute("CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x')");
    let engine = lab.engine();
    assert_eq!(ask(&engine, "SELECT b FROM shop.t").await.unwrap().rows(), 1);
    shop.execute("ALTER TABLE t DROP COLUMN b");
    let error = ask(&engine, "SELECT b FROM shop.t").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ColumnNotFound, "{error}");
    assert_eq!(ask(&engine, "SELECT * FROM shop.t").await.unwrap().schema.fields().len(), 1);
}

#[tokio::test]
async fn a_column_whose_values_changed_type_in_sqlite_is_read_by_its_new_type() {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    shop.execute("CREATE TABLE t (a NUMERIC); INSERT INTO t VALUES (1), (2)");
    let engine = lab.engine();
    let sql = "SELECT sum(a) AS total FROM shop.t WHERE a > 1";
    insta::assert_snapshot!(table(&engine, sql).await, @r"
    +-------+
    | total |
    +-------+
    | 2     |
    +-------+
    ");
    shop.execute("INSERT INTO t VALUES (2.5)");
    insta::assert_snapshot!(table(&engine, sql).await, @r"
    +-------+
    | total |
    +-------+
    | 4.5   |
    +-------+
    ");
}

#[tokio::test]
async fn rows_that_were_added_in_sqlite_are_seen() {
    let mut lab = Lab::new();
    let shop = lab.sqlite("shop");
    shop.execute("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
    let engine = lab.engine();
    for wanted in 1..4 {
        assert_eq!(ask(&engine, "SELECT a FROM shop.t").await.unwrap().rows(), wanted);
        shop.execute("INSERT INTO t VALUES (7)");
    }
}

#[tokio::test]
async fn a_parquet_file_that_was_replaced_is_described_anew() {
    let mut lab = Lab::new();
    let lake = lab.files("lake");
    lake.parquet("t", 100, &rows("SELECT 1 AS a").await);
    let engine = lab.engine();
    assert_eq!(ask(&engine, "SELECT a FROM lake.t").await.unwrap().rows(), 1);
    lake.parquet("t", 100, &rows("SELECT * FROM (VALUES ('x', true), ('y', false)) AS t(a, b)").await);
    insta::assert_snapshot!(table(&engine, "SELECT * FROM lake.t ORDER BY a").await, @r"
    +---+-------+
    | a | b     |
    +---+-------+
    | x | true  |
    | y | false |
    +---+-------+
    ");
    insta::assert_snapshot!(table(&engine, "SELECT a FROM lake.t WHERE b").await, @r"
    +---+
    | a |
    +---+
    | x |
    +---+
    ");
}

#[tokio::test]
async fn a_csv_file_that_was_replaced_is_described_anew() {
    let mut lab = Lab::new();
    let sheets = lab.files("sheets");
    sheets.text("t.csv", "a,b\n1,2\n");
    let engine = lab.engine();
    assert_eq!(ask(&engine, "SELECT a + b AS c FROM sheets.t").await.unwrap().rows(), 1);
    sheets.text("t.csv", "b,a,c\none,2,3\n");
    insta::assert_snapshot!(table(&engine, "SELECT a, b FROM sheets.t").await, @r"
    +---+-----+
    | a | b   |
    +---+-----+
    | 2 | one |
    +---+-----+
    ");
}

#[tokio::test]
async fn a_table_that_was_made_after_the_first_query_is_found() {
    let mut lab = Lab::new();
    let (shop, lake) = (lab.sqlite("shop"), lab.files("lake"));
    shop.execute("CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)");
    lake.parquet("a", 100, &rows("SELECT 1 AS x").await);
    let engine = lab.engine();
    assert_eq!(ask(&engine, "SELECT * FROM shop.a JOIN lake.a USING (x)").await.unwrap().rows(), 1);
    shop.execute("CREATE TABLE b (x INTEGER); INSERT INTO b VALUES (1), (2)");
    lake.parquet("b", 100, &rows("SELECT * FROM (VALUES (1), (2)) AS t(x)").await);
    assert_eq!(ask(&engine, "SELECT * FROM shop.b JOIN lake.b USING (x)").await.unwrap().rows(), 2);
}

#[tokio::test]
async fn a_table_that_was_dropped_is_not_found() {
    let mut lab = Lab::new();
    let (shop, lake) = (lab.sqlite("shop"), lab.files("lake"));
    shop.execute("CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)");
    let path = lake.parquet("a", 100, &rows("SELECT 1 AS x").await);
    let engine = lab.engine();
    for sql in ["SELECT * FROM shop.a", "SELECT * FROM lake.a"] {
        assert_eq!(ask(&engine, sql).await.unwrap().rows(), 1);
    }
    shop.execute("DROP TABLE a");
    std::fs::remove_file(path).unwrap();
    for sql in ["SELECT * FROM shop.a", "SELECT * FROM lake.a"] {
        let error = ask(&engine, sql).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::TableNotFound, "{sql}: {error}");
    }
}

#[tokio::test]
async fn two_sources_that_changed_at_once_are_both_described_anew() {
    let mut lab = Lab::new();
    let (a, b) = (lab.sqlite("a"), lab.sqlite("b"));
    a.execute("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1)");
    b.execute("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1)");
    let engine = lab.engine();
    let sql = "SELECT * FROM a.t JOIN b.t ON a.t.x = b.t.x";
    assert_eq!(ask(&engine, sql).await.unwrap().schema.fields().len(), 2);
    a.execute("ALTER TABLE t ADD COLUMN y TEXT");
    b.execute("ALTER TABLE t ADD COLUMN z TEXT");
    assert_eq!(ask(&engine, sql).await.unwrap().schema.fields().len(), 4);
}
