use datafusion::logical_expr::lit;

use super::*;

#[tokio::test]
async fn a_folder_holds_a_table_for_each_file_and_folder_of_parts() {
    let fixture = Fixture::new();
    fixture
        .write("products.csv", "a\n1\n")
        .write("both.csv", "a\n1\n")
        .write("both.json", "{\"a\": 1}\n")
        .write("odd näme (1).csv", "a\n1\n")
        .write("100%#x.csv", "a\n1\n")
        .write("notes.txt", "nothing")
        .write(".hidden.csv", "a\n")
        .write("_SUCCESS", "")
        .write("parts/part-0.csv", "a\n1\n")
        .write("parts/part-1.csv", "a\n2\n")
        .write("parts/_SUCCESS", "")
        .write("parts/.part-0.csv.crc", "x")
        .write("days/day=2026-01-01/p.csv", "a\n1\n")
        .write("days/day=2026-01-02/p.csv", "a\n2\n")
        .write("unrelated/readme.md", "x");
    let connector = fixture.connect().await;
    let mut names = table_names(&*connector).await;
    names.sort();
    assert_eq!(names, ["100%#x", "both.csv", "both.json", "days", "odd näme (1)", "parts", "products"]);
    assert_eq!(connector.list_schemas().await.unwrap(), ["main"]);
    for name in names {
        assert!(rows(&read(&*connector, &name).await.unwrap()) > 0, "{name}");
    }
    assert_eq!(lines(&read(&*connector, "parts").await.unwrap()), ["1", "2"]);
    let error = connector.describe_table(&TableRef::new("main", "product")).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), (ErrorCode::TableNotFound, Some("Did you mean `products`?")));
}

#[tokio::test]
async fn a_file_a_glob_and_a_partitioned_folder_are_one_table() {
    let fixture = Fixture::new();
    fixture
        .write("data/2026-01.csv", "a\n1\n")
        .write("data/2026-02.csv", "a\n2\n")
        .write("data/2025-12.csv", "a\n3\n")
        .write("deep/x/y.csv", "a\n4\n")
        .write("deep/x/z/w.csv", "a\n5\n")
        .write("days/day=2026-01-01/p.csv", "a\n1\n");
    for (path, name, expected) in [
        ("data/2026-*.csv", "2026", vec!["1", "2"]),
        ("data/*.csv", "data", vec!["1", "2", "3"]),
        ("data/2026-01.csv", "2026-01", vec!["1"]),
        ("deep/**/*.csv", "deep", vec!["4", "5"]),
        ("deep/*/*.csv", "deep", vec!["4"]),
        ("days", "days", vec!["1|2026-01-01"]),
        ("days/day=*/*.csv", "days", vec!["1|2026-01-01"]),
    ] {
        let connector = fixture.connect_to(&fixture.path(path)).await.unwrap();
        assert_eq!(table_names(&*connector).await, [name], "{path}");
        assert_eq!(lines(&read(&*connector, name).await.unwrap()), expected, "{path}");
    }
    let fixture = fixture.with("table", "all");
    let connector = fixture.connect_to(&fixture.path("deep")).await.unwrap();
    assert_eq!(lines(&read(&*connector, "all").await.unwrap()), ["4", "5"]);
}

#[tokio::test]
async fn partition_columns_are_typed_and_pruned_exactly() {
    let fixture = Fixture::new();
    for (day, month, shop, value) in [
        ("2026-01-01", "01", "7", 1),
        ("2026-01-02", "01", "8", 2),
        ("2026-02-01", "02", "__HIVE_DEFAULT_PARTITION__", 3),
    ] {
        fixture.write(
            &format!("sales/day={day}/month={month}/shop={shop}/name=a%20b/p.csv"),
            format!("v,shop\n{value},99\n"),
        );
    }
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "sales")).await.unwrap();
    assert_eq!(types(&description), ["v bigint", "day date", "month text", "shop bigint", "name text"]);
    let all = table_of(description, vec![0, 1, 2, 3, 4]);
    assert_eq!(
        lines(&run(&*connector, &all).await.unwrap()),
        ["1|2026-01-01|01|7|a b", "2|2026-01-02|01|8|a b", "3|2026-02-01|02|NULL|a b"]
    );
    let text = |value: &str| datafusion::common::ScalarValue::Utf8View(Some(value.to_owned()));
    let cases = [
        (column("day").gt_eq(lit(datafusion::common::ScalarValue::Date32(Some(20455)))), vec![2, 3], "2 of 3 files"),
        (column("month").eq(lit(text("01"))), vec![1, 2], "2 of 3 files"),
        (column("shop").eq(lit(7_i64)), vec![1], "1 of 3 files"),
        (column("shop").not_eq(lit(7_i64)), vec![2], "1 of 3 files"),
        (column("shop").is_null(), vec![3], "1 of 3 files"),
        (column("name").eq(lit(text("nobody"))), vec![], "0 of 3 files"),
    ];
    for (predicate, expected, files) in cases {
        let (scan, answer) = filtered(&*connector, all.clone(), predicate);
        assert_eq!(answer, Answer::Exact);
        let planned = connector.plan_scan(&scan, &context()).await.unwrap();
        assert!(planned.native.text.contains(files), "{}", planned.native.text);
        let found: Vec<String> = lines(&run(&*connector, &scan).await.unwrap());
        let found: Vec<u32> = found.iter().map(|line| line[..1].parse().unwrap()).collect();
        assert_eq!(found, expected);
    }
    let (_, answer) = filtered(&*connector, all, column("v").eq(lit(1_i64)));
    assert_eq!(answer.reason(), Some("CSV files keep no statistics by which rows could be passed over"));
}

#[tokio::test]
async fn nothing_there_and_nothing_readable() {
    let fixture = Fixture::new();
    let connector = fixture.connect().await;
    assert!(table_names(&*connector).await.is_empty());
    let missing = fixture.connect_to(&fixture.path("missing")).await.unwrap_err();
    assert_eq!(missing.code(), ErrorCode::SourceUnavailable);
    assert_eq!(missing.source_name(), Some("shop"));
    assert!(missing.hint().is_some());
    // A pattern may match later; until then its table has no file.
    let connector = fixture.connect_to(&fixture.path("*.csv")).await.unwrap();
    let name = table_names(&*connector).await.remove(0);
    assert_eq!(read(&*connector, &name).await.unwrap_err().code(), ErrorCode::TableNotFound);
}

#[tokio::test]
async fn mixed_formats_and_mixed_partitions_are_refused_by_name() {
    let fixture = Fixture::new();
    fixture
        .write("mixed/a.csv", "a\n1\n")
        .write("mixed/b.json", "{\"a\": 1}\n")
        .write("uneven/k=1/a.csv", "a\n1\n")
        .write("uneven/b.csv", "a\n1\n");
    let error = fixture.describe("mixed").await.unwrap_err();
    assert_eq!(error.message(), "the files of table `mixed` are of several formats");
    assert!(error.detail().unwrap().contains("b.json` is JSON"), "{error:?}");
    let error = fixture.describe("uneven").await.unwrap_err();
    assert_eq!(error.message(), "the files of table `uneven` lie in different partition folders");
}

#[test]
fn urls_are_told_apart() {
    let parse = |url: &str| FilesFactory.parse_url(url);
    for url in ["./data", "data/*.parquet", "orders.csv", "orders.csv.gz", "s3://bucket/prefix", "/"] {
        assert!(parse(url).unwrap().is_ok(), "{url}");
    }
    for url in ["postgres://u@h/d", "sqlite:x.db", "nothing"] {
        assert!(parse(url).is_none(), "{url}");
    }
    let error = parse("s3://key:secret@bucket/x").unwrap().unwrap_err();
    assert!(!format!("{error:?}").contains("secret@"), "{error:?}");
}

#[tokio::test]
async fn only_what_files_can_do_is_accepted() {
    let fixture = Fixture::new();
    fixture.write("t.csv", "a,b\n1,2\n");
    let connector = fixture.connect().await;
    let input = table(&*connector, "t").await.unwrap();
    assert!(connector.offer(&input).is_exact());
    let project = |exprs: Vec<Expr>| {
        let schema = Arc::clone(input.schema());
        Scan::Project { input: Arc::new(input.clone()), exprs, schema }
    };
    assert!(connector.offer(&project(vec![column("b"), column("a")])).is_exact());
    assert!(!connector.offer(&project(vec![column("a") + lit(1_i64)])).is_exact());
    assert!(!connector.offer(&project(vec![column("a").alias("c")])).is_exact());
    let limit = Scan::Limit { input: Arc::new(input.clone()), skip: 0, fetch: Some(1) };
    assert!(!connector.offer(&limit).is_exact());

    let swapped = DFSchema::new_with_metadata(
        vec![
            (Some("t".into()), Arc::clone(&input.schema().fields()[1])),
            (Some("t".into()), Arc::clone(&input.schema().fields()[0])),
        ],
        Default::default(),
    );
    let swapped = Scan::Project {
        input: Arc::new(input.clone()),
        exprs: vec![column("b"), column("a")],
        schema: Arc::new(swapped.unwrap()),
    };
    assert_eq!(lines(&run(&*connector, &swapped).await.unwrap()), ["2|1"]);
    let native = connector.native_query(&swapped).unwrap();
    assert!(native.text.ends_with("t.csv [b, a]"), "{}", native.text);
}
