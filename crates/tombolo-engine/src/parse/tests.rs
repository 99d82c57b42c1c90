use super::lexical::quote_source_names;
use super::{parse_query, split_statements};
use tombolo_connector::ErrorCode;

fn quoted(text: &str) -> String {
    quote_source_names(text, &["users-db".to_owned(), "users-db-2".to_owned(), "shop".to_owned()])
}

#[test]
fn hyphenated_names_of_known_sources_are_quoted() {
    assert_eq!(
        quoted("SELECT users-db.users.id FROM users-db.users"),
        r#"SELECT "users-db".users.id FROM "users-db".users"#
    );
    assert_eq!(quoted("FROM Users-DB-2.t"), r#"FROM "users-db-2".t"#);
    assert_eq!(quoted("SELECT a.users-db.b"), "SELECT a.users-db.b", "a part of a longer name is left alone");
    assert_eq!(quoted("SELECT users-db FROM t"), "SELECT users-db FROM t", "without a dot it is a subtraction");
    assert_eq!(
        quoted("SELECT 'users-db.x', \"users-db.x\" -- users-db.x"),
        "SELECT 'users-db.x', \"users-db.x\" -- users-db.x"
    );
}

#[test]
fn brackets_are_names_only_where_a_dot_joins_them() {
    assert_eq!(quoted("FROM [users-db].users"), r#"FROM "users-db".users"#);
    assert_eq!(quoted("FROM shop.[order items]"), r#"FROM shop."order items""#);
    assert_eq!(quoted("FROM [a b].[c d]"), r#"FROM "a b"."c d""#);
    assert_eq!(quoted("SELECT [1, 2], x[1].y, f(x)[2].z"), "SELECT [1, 2], x[1].y, f(x)[2].z");
}

#[test]
fn scripts_are_cut_at_semicolons_outside_of_quotes() {
    let script = "SELECT ';' AS \"a;b\"; -- c;d\n ; /* x; /* y; */ */ SELECT $q$;$q$;;";
    assert_eq!(split_statements(script).unwrap(), ["SELECT ';' AS \"a;b\"", "/* x; /* y; */ */ SELECT $q$;$q$"]);
    assert_eq!(split_statements("-- only a comment").unwrap(), Vec::<String>::new());
    assert_eq!(split_statements("SELECT 'x").unwrap_err().code(), ErrorCode::SyntaxError);
}

#[test]
fn only_queries_are_taken() {
    for (sql, word) in [
        ("INSERT INTO a VALUES (1)", "INSERT"),
        ("DROP TABLE a", "DROP"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'", "CREATE"),
        ("SET x = 1", "SET"),
    ] {
        let error = parse_query(sql, &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported, "{sql}");
        assert!(error.message().starts_with(word), "{sql}: {error}");
        assert!(error.hint().is_some());
    }
    for sql in ["SELECT 1", "WITH a AS (SELECT 1) SELECT * FROM a", "VALUES (1)", "(SELECT 1) UNION SELECT 2"] {
        parse_query(sql, &[]).unwrap();
    }
}

#[test]
fn a_syntax_error_names_the_place() {
    let error = parse_query("SELECT )", &[]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::SyntaxError);
    assert!(error.message().contains("Line: 1"), "{error}");
    assert_eq!(parse_query("", &[]).unwrap_err().message(), "the statement is empty");
    assert!(parse_query("SELECT 1; SELECT 2", &[]).is_err());
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(parse_query(&deep, &[]).unwrap_err().code(), ErrorCode::SyntaxError);
}

#[test]
fn is_distinct_from_binds_tighter_than_and_and_or() {
    for (sql, wanted) in [
        ("SELECT p AND a IS DISTINCT FROM b OR c", "SELECT p AND a IS DISTINCT FROM b OR c"),
        ("SELECT a is  not\n distinct from b and c", "SELECT a IS NOT DISTINCT FROM b AND c"),
        ("SELECT a IS DISTINCT FROM (b OR c)", "SELECT a IS DISTINCT FROM (b OR c)"),
        ("SELECT 'a IS DISTINCT FROM b'", "SELECT 'a IS DISTINCT FROM b'"),
    ] {
        let statement = parse_query(sql, &[]).unwrap();
        assert_eq!(statement.to_string(), wanted);
    }
    let statement = parse_query("SELECT a IS DISTINCT FROM b AND c", &[]).unwrap();
    assert!(format!("{statement:?}").contains("op: And"));
    let error = parse_query("SELECT a IS /* x */ DISTINCT FROM b AND c", &[]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported, "what cannot be mended is refused");
}

#[test]
fn set_operations_that_would_lose_rows_are_refused() {
    for sql in [
        "SELECT 1 EXCEPT ALL SELECT 2",
        "SELECT 1 INTERSECT ALL SELECT 1",
        "SELECT 1 WHERE 1 IN (SELECT 1 EXCEPT ALL SELECT 2)",
    ] {
        assert_eq!(parse_query(sql, &[]).unwrap_err().code(), ErrorCode::Unsupported, "{sql}");
    }
    parse_query("SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3", &[]).unwrap();
}
