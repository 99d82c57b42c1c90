use super::*;

#[tokio::test]
async fn types_are_inferred_without_loss() {
    let fixture = Fixture::new();
    fixture.write(
        "t.csv",
        "id,zip,price,big,exact,day,at,zone,flag,none,word\n\
         1,00501,9.99,12345678901234567890,0.1234567890123456789,2026-01-31,2026-01-31 12:30:00.123,2026-01-31T12:30:00+02:00,true,,a\n\
         -2,10001,1e3,1,1.5,2026-02-01,2026-01-31T12:30,2026-01-31 12:30:00Z,False,,\"b,\"\"c\"\"\"\n",
    );
    let description = fixture.describe("t").await.unwrap();
    assert_eq!(
        types(&description),
        [
            "id bigint",
            "zip text",
            "price double",
            "big text",
            "exact decimal(38,19)",
            "day date",
            "at timestamp",
            "zone timestamptz",
            "flag boolean",
            "none text",
            "word text"
        ]
    );
    assert_eq!(description.statistics.rows, RowCount::Exact(2));
    assert_eq!(
        lines(&fixture.read("t").await.unwrap()),
        [
            "-2|10001|1000.0|1|1.5000000000000000000|2026-02-01|2026-01-31T12:30:00|2026-01-31T12:30:00Z|false|NULL|b,\"c\"",
            "1|00501|9.99|12345678901234567890|0.1234567890123456789|2026-01-31|2026-01-31T12:30:00.123|2026-01-31T10:30:00Z|true|NULL|a",
        ]
    );
}

#[tokio::test]
async fn a_wrong_type_far_down_is_named_with_its_row() {
    let mut text = String::from("id,price\n");
    for row in 1..=100_000 {
        text.push_str(&if row == 90_000 { format!("{row},n/a\n") } else { format!("{row},{row}.5\n") });
    }
    let fixture = Fixture::new();
    fixture.write("orders.csv", text);
    let error = fixture.read("orders").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidValue);
    let file = fixture.path("orders.csv").canonicalize().unwrap();
    assert_eq!(
        error.message(),
        format!(
            "`{}`, row 90000: column `price` is read as double but holds `n/a`, which is not a number",
            file.display()
        )
    );
    assert_eq!(error.detail(), Some("line 90001 of the file, where no value spans several lines"));
    assert_eq!(
        error.hint(),
        Some(
            "Read the column as text: `tombolo config set sources.shop.types \"orders.price=text\"`. \
             Or raise `infer_rows` (now 20000) beyond that row."
        )
    );
    // Both ways out work.
    let fixture = fixture.with("types", "orders.price=text");
    assert_eq!(rows(&fixture.read("orders").await.unwrap()), 100_000);
    let fixture = fixture.with("types", "").with("infer_rows", "95000");
    assert_eq!(types(&fixture.describe("orders").await.unwrap())[1], "price text");
}

#[tokio::test]
async fn leading_zeros_after_the_sample_are_an_error_and_never_lost() {
    let fixture = Fixture::new().with("infer_rows", "2");
    fixture.write("t.csv", "zip\n10001\n10002\n00501\n");
    let error = fixture.read("t").await.unwrap_err();
    assert!(error.message().contains("holds `00501`, which has leading zeros, which a number would lose"), "{error}");
}

#[tokio::test]
async fn declared_types_are_held() {
    let fixture = Fixture::new().with("types", "price=decimal(10,2), zip=text, u.price=text");
    fixture
        .write("t.csv", "zip,price\n1,1.50\n2,-3\n")
        .write("u.csv", "zip,price\n1,1.505\n")
        .write("v.csv", "price\n1.505\n");
    assert_eq!(lines(&fixture.read("t").await.unwrap()), ["1|1.50", "2|-3.00"]);
    assert_eq!(lines(&fixture.read("u").await.unwrap()), ["1|1.505"]);
    let error = fixture.read("v").await.unwrap_err();
    assert!(error.message().contains("`1.505`, which has more decimal places than its column"), "{error}");
    let error = connect(Options::default().with("path", "/").with("types", "price=money")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::ConfigInvalid, "option `types` does not understand `price=money`")
    );
}

#[tokio::test]
async fn dialects_are_found_or_declared() {
    let fixture = Fixture::new();
    fixture
        .write("semicolon.csv", "a;b\n1;x,y\n")
        .write("tab.tsv", "a\tb\n1\tx\n")
        .write("crlf.csv", "\u{feff}\"a\",b\r\n1,x\r\n2,\"two\r\nlines\"\r\n")
        .write("dup.csv", "a,a,\n1,2,3\n");
    assert_eq!(lines(&fixture.read("semicolon").await.unwrap()), ["1|x,y"]);
    assert_eq!(lines(&fixture.read("tab").await.unwrap()), ["1|x"]);
    assert_eq!(lines(&fixture.read("crlf").await.unwrap()), ["1|x", "2|two\r\nlines"]);
    assert_eq!(types(&fixture.describe("crlf").await.unwrap()), ["a bigint", "b text"]);
    assert_eq!(types(&fixture.describe("dup").await.unwrap()), ["a bigint", "a_2 bigint", "column_3 bigint"]);

    let fixture = Fixture::new().with("has_header", "false").with("quote", "'").with("null_text", "NA");
    fixture.write("t.csv", "1,'a,b'\nNA,NA\n");
    assert_eq!(lines(&fixture.read("t").await.unwrap()), ["1|a,b", "NULL|NULL"]);
    assert_eq!(types(&fixture.describe("t").await.unwrap()), ["column_1 bigint", "column_2 text"]);
}

#[tokio::test]
async fn empty_and_header_only_files() {
    let fixture = Fixture::new();
    fixture.write("empty.csv", "").write("header.csv", "a,b\n").write("bare.csv", "a,b");
    let error = fixture.read("empty").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptData);
    assert!(error.message().ends_with("empty.csv` is empty: it has no header line"), "{error}");
    for name in ["header", "bare"] {
        assert_eq!(rows(&fixture.read(name).await.unwrap()), 0);
        assert_eq!(types(&fixture.describe(name).await.unwrap()), ["a text", "b text"]);
    }
}

#[tokio::test]
async fn malformed_csv_names_the_line() {
    let fixture = Fixture::new();
    fixture.write("short.csv", "a,b\n1,2\n3\n").write("latin.csv", b"a\nM\xFCller\n");
    let error = fixture.read("short").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidValue);
    assert!(error.message().contains("line 3"), "{error}");
    let error = fixture.read("latin").await.unwrap_err();
    assert!(error.message().ends_with("latin.csv` is not UTF-8"), "{error}");
}

#[tokio::test]
async fn three_hundred_columns_and_any_projection() {
    let header: Vec<String> = (0..300).map(|column| format!("c{column}")).collect();
    let values: Vec<String> = (0..300).map(|column| column.to_string()).collect();
    let fixture = Fixture::new();
    fixture.write("wide.csv", format!("{}\n{}\n{}\n", header.join(","), values.join(","), values.join(",")));
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "wide")).await.unwrap();
    assert_eq!(description.columns.len(), 300);
    let scan = table_of(description.clone(), vec![299, 0, 7]);
    assert_eq!(lines(&run(&*connector, &scan).await.unwrap()), ["299|0|7", "299|0|7"]);
    // A count needs no column at all.
    assert_eq!(rows(&run(&*connector, &table_of(description, vec![])).await.unwrap()), 2);
}

#[tokio::test]
async fn compressed_files_are_read_and_a_cut_one_is_an_error() {
    use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
    use futures::StreamExt;
    let text: String =
        std::iter::once("id,name\n".to_owned()).chain((0..5000).map(|row| format!("{row},n{row}\n"))).collect();
    let fixture = Fixture::new();
    for (extension, compression) in [
        ("gz", FileCompressionType::GZIP),
        ("zst", FileCompressionType::ZSTD),
        ("bz2", FileCompressionType::BZIP2),
        ("xz", FileCompressionType::XZ),
    ] {
        let plain = futures::stream::iter([Ok(bytes::Bytes::from(text.clone()))]).boxed();
        let packed: Vec<bytes::Bytes> =
            compression.convert_to_compress_stream(plain).unwrap().try_collect().await.unwrap();
        let packed = packed.concat();
        fixture.write(&format!("{extension}_table.csv.{extension}"), &packed);
        assert_eq!(rows(&fixture.read(&format!("{extension}_table")).await.unwrap()), 5000, "{extension}");
        fixture.write(&format!("{extension}_cut.csv.{extension}"), &packed[..packed.len() / 2]);
        let error = fixture.read(&format!("{extension}_cut")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptData, "{extension}: {error}");
    }
}

#[tokio::test]
async fn parts_are_joined_by_column_name() {
    let fixture = Fixture::new();
    fixture.write("parts/1.csv", "a,b\n1,x\n").write("parts/2.csv", "b,c,a\ny,9,2\n");
    assert_eq!(types(&fixture.describe("parts").await.unwrap()), ["a bigint", "b text", "c bigint"]);
    assert_eq!(lines(&fixture.read("parts").await.unwrap()), ["1|x|NULL", "2|y|9"]);
}

#[tokio::test]
async fn rows_may_be_added_but_a_changed_column_is_an_error() {
    let fixture = Fixture::new();
    fixture.write("t.csv", "a\n1\n");
    let connector = fixture.connect().await;
    let scan = table(&*connector, "t").await.unwrap();
    let description = connector.describe_table(&TableRef::new("main", "t")).await.unwrap();
    assert!(connector.is_current(&description).await);
    fixture.write("t.csv", "a\n1\n2\n");
    assert!(!connector.is_current(&description).await);
    assert_eq!(rows(&run(&*connector, &scan).await.unwrap()), 2);
    fixture.write("t.csv", "a,b\nx,1\n");
    let error = run(&*connector, &scan).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaChanged);
    assert_eq!(error.detail(), Some("`a` was Int64 and is Utf8View, `b` is new"));
    fs::remove_file(fixture.path("t.csv")).unwrap();
    assert_eq!(run(&*connector, &scan).await.unwrap_err().code(), ErrorCode::TableNotFound);
}

#[tokio::test]
async fn a_file_that_vanishes_after_planning_is_an_error() {
    let fixture = Fixture::new();
    fixture.write("t.csv", "a\n1\n");
    let connector = fixture.connect().await;
    let scan = table(&*connector, "t").await.unwrap();
    let context = context();
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    fs::remove_file(fixture.path("t.csv")).unwrap();
    let error = collect(planned, &scan, &context).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceFailed);
    assert!(error.message().ends_with("t.csv` is no longer there"), "{error}");
}

#[tokio::test]
async fn rows_are_counted_when_the_sample_ends_with_the_file() {
    let fixture = Fixture::new().with("infer_rows", "2");
    fixture
        .write("two.csv", "a\n1\n2\n")
        .write("three.csv", "a\n1\n2\n3\n")
        .write("two.json", "{\"a\":1}\n{\"a\":2}\n");
    for (name, rows) in
        [("two.csv", RowCount::Exact(2)), ("three", RowCount::Estimated(2)), ("two.json", RowCount::Exact(2))]
    {
        assert_eq!(fixture.describe(name).await.unwrap().statistics.rows, rows, "{name}");
    }
}

#[test]
fn a_double_keeps_every_digit_or_is_none() {
    use super::super::types::text::{TypeGuess, convert};
    use arrow::array::{AsArray, StringViewArray};
    let double = |text: &str| {
        let texts = StringViewArray::from(vec![text]);
        convert(&texts, &DataType::Float64, None)
            .map(|array| array.as_primitive::<arrow::datatypes::Float64Type>().value(0))
    };
    for (text, value) in [
        ("0", 0.0),
        ("-0", -0.0),
        (".5", 0.5),
        ("19.99", 19.99),
        // As C and R print a tenth, with all the digits that a double has.
        ("0.10000000000000001", 0.1),
        ("0.1000000000000000055511151231257827", 0.1),
        ("1.7976931348623157e308", f64::MAX),
        ("1e-320", 1e-320),
    ] {
        assert_eq!(double(text).map(f64::to_bits), Ok(f64::to_bits(value)), "{text}");
    }
    for text in [
        "9007199254740993.0",
        "0.1234567890123456789",
        "1e400",
        "1e-400",
        "1.",
        "+1",
        " 1",
        "1 ",
        "01.5",
        "1_0",
        "0x1",
        "",
    ] {
        assert!(double(text).is_err(), "{text}");
    }
    let guess = |texts: &[&str]| {
        let mut guess = TypeGuess::default();
        texts.iter().for_each(|text| guess.see(text));
        super::super::types::type_name(&guess.data_type())
    };
    for (texts, expected) in [
        (&["1", "-9223372036854775808"][..], "bigint"),
        (&["1", "9223372036854775808"], "text"),
        (&["1", "1.5", "NaN", "-inf"], "double"),
        (&["NaN"], "text"),
        (&["true", "1"], "text"),
        (&["2026-02-29"], "text"),
        (&["2026-02-28", "2026-02-28 10:00"], "text"),
        (&["2026-02-28 10:00:00.123456789"], "timestamp_ns"),
        (&["2026-12-31 23:59:60"], "text"),
        (&["2026-02-28 10:00:00+05", "2026-02-28T10:00:00.5Z"], "timestamptz"),
        (&["2026-02-28 10:00:00", "2026-02-28T10:00:00Z"], "text"),
        (&["1.50", "12345678901234567890.25"], "decimal(38,2)"),
    ] {
        assert_eq!(guess(texts), expected, "{texts:?}");
    }
}
