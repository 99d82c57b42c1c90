use super::*;

#[tokio::test]
async fn lines_are_columns_with_nested_values() {
    let fixture = Fixture::new();
    fixture.write(
        "orders.jsonl",
        r#"{"id": 1, "user": "0042", "total": 9.5, "ok": true, "items": [{"sku": "a", "n": 2}, {"sku": "b"}], "at": {"city": "Köln"}}

{"user": "7", "id": 2, "total": 3, "items": [], "at": null, "big": 12345678901234567890, "x\ty": 0.12345678901234567890}
"#,
    );
    let description = fixture.describe("orders").await.unwrap();
    assert_eq!(
        types(&description),
        [
            "id bigint",
            "user text",
            "total double",
            "ok boolean",
            "items list of object",
            "at object",
            "big text",
            "x\ty decimal(38,20)"
        ]
    );
    assert_eq!(description.statistics.rows, RowCount::Exact(2));
    assert_eq!(
        lines(&fixture.read("orders").await.unwrap()),
        [
            "1|0042|9.5|true|[{sku: a, n: 2}, {sku: b, n: NULL}]|{city: Köln}|NULL|NULL",
            "2|7|3.0|NULL|[]|NULL|12345678901234567890|0.12345678901234567890",
        ]
    );
}

#[tokio::test]
async fn contradicting_types_are_named_and_can_be_text() {
    let fixture = Fixture::new();
    fixture
        .write("t.json", "{\"a\": {\"x\": 1}}\n{\"a\": {\"x\": \"1\"}}\n")
        .write("u.json", "{\"v\": 1}\n{\"v\": \"one\"}\n");
    let error = fixture.describe("t").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TypeMismatch);
    assert_eq!(error.message(), "column `a.x` of table `t` has a number in line 1 and text in line 2");
    let error = fixture.describe("u").await.unwrap_err();
    assert_eq!(error.hint(), Some("Read the column as text: `tombolo config set sources.shop.types \"u.v=text\"`."));
    let fixture = fixture.with("types", "u.v=text");
    assert_eq!(lines(&fixture.read("u").await.unwrap()), ["1", "one"]);
}

#[tokio::test]
async fn a_number_that_would_be_cut_is_an_error() {
    let fixture = Fixture::new().with("infer_rows", "2");
    fixture.write("t.json", "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 1.5}\n");
    let error = fixture.read("t").await.unwrap_err();
    assert!(
        error.message().contains("row 3: column `n` is read as bigint but holds `1.5`, which is not a whole number"),
        "{error}"
    );
    fixture.write("u.json", "{\"a\": [{\"n\": [1]}]}\n{}\n{}\n{\"a\": [{\"n\": [1]}, {\"n\": [2, 2.5]}]}\n");
    let error = fixture.read("u").await.unwrap_err();
    assert!(error.message().contains("row 4: column `a[].n[]` is read as bigint but holds `2.5`"), "{error}");
}

#[tokio::test]
async fn a_line_of_another_kind_is_named() {
    let mut text: String = (0..30_000).map(|row| format!("{{\"id\": {row}, \"at\": {{\"d\": \"x\"}}}}\n")).collect();
    text.push_str("{\"id\": 30000, \"at\": [1]}\n");
    let fixture = Fixture::new();
    fixture.write("t.json", &text).write("cut.json", "{\"id\": 1}\n{\"id\": ").write("array.json", "[\n{\"id\": 1}\n]");
    fixture.write("late.json", format!("{}{{\"id\": \"a\n", "{\"id\": 1}\n".repeat(25_000)));
    let error = fixture.read("t").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidValue);
    assert!(
        error.message().ends_with("line 30001: column `at` has a list where it has an object elsewhere"),
        "{error}"
    );
    let error = fixture.read("cut").await.unwrap_err();
    assert!(error.message().ends_with("cut.json`, line 2: the object is not closed on its line"), "{error}");
    let error = fixture.read("array").await.unwrap_err();
    assert!(error.message().ends_with("array.json` is one JSON array, not one object on each line"), "{error}");
    let error = fixture.read("late").await.unwrap_err();
    assert!(error.message().ends_with("late.json`, line 25001: a text is not closed on its line"), "{error}");
}

#[tokio::test]
async fn an_empty_file_is_an_error_and_projection_reads_part_of_the_line() {
    let fixture = Fixture::new();
    fixture.write("empty.json", "").write("t.ndjson", "{\"a\": 1, \"b\": {\"c\": 2}}\n{\"a\": 3}");
    assert_eq!(fixture.read("empty").await.unwrap_err().code(), ErrorCode::CorruptData);
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "t")).await.unwrap();
    assert_eq!(lines(&run(&*connector, &table_of(description.clone(), vec![1])).await.unwrap()), ["NULL", "{c: 2}"]);
    assert_eq!(rows(&run(&*connector, &table_of(description, vec![])).await.unwrap()), 2);
}

#[tokio::test]
async fn a_field_after_the_sample_is_never_lost_in_silence() {
    let fixture = Fixture::new().with("infer_rows", "1");
    fixture.write("t.json", "{\"a\": 1, \"b\": {\"c\": 2}}\n{\"a\": 3, \"b\": {\"d\": 4}}\n");
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "t")).await.unwrap();
    let error = run(&*connector, &table_of(description.clone(), vec![0, 1])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaChanged);
    assert!(error.message().ends_with("line 2: the field `b.d` is not a column"), "{error}");
    assert_eq!(lines(&run(&*connector, &table_of(description, vec![0])).await.unwrap()), ["1", "3"]);
}
