use super::*;
use arrow::array::Int64Array;
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, PutPayload};

/// The S3 server of the test environment, as `cargo xtask servers env s3` writes it.
fn server() -> Option<(String, String)> {
    let endpoint = std::env::var("TOMBOLO_TEST_S3_URL").ok()?;
    let bucket = std::env::var("TOMBOLO_TEST_S3_BUCKET").unwrap_or_else(|_| "tombolo-test".to_owned());
    Some((endpoint, bucket))
}

#[tokio::test]
async fn a_bucket_is_a_folder() {
    let Some((endpoint, bucket)) = server() else {
        let required = std::env::var("TOMBOLO_REQUIRE").is_ok_and(|names| names.split(',').any(|name| name == "s3"));
        assert!(!required, "TOMBOLO_REQUIRE names s3, but TOMBOLO_TEST_S3_URL is not set");
        println!("skipped: no S3 server (TOMBOLO_TEST_S3_URL is not set)");
        return;
    };
    let key = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let store = AmazonS3Builder::new()
        .with_endpoint(&endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(&bucket)
        .with_access_key_id(key("TOMBOLO_TEST_S3_ACCESS_KEY"))
        .with_secret_access_key(key("TOMBOLO_TEST_S3_SECRET_KEY"))
        .build()
        .unwrap();
    let prefix = format!("run-{}", std::process::id());
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let parquet = writer.into_inner().unwrap();
    let csv: String =
        std::iter::once("id,zip\n".to_owned()).chain((0..20_000).map(|row| format!("{row},00{row}\n"))).collect();
    for (name, bytes) in [
        ("sales/day=2026-01-01/p.parquet", parquet.clone()),
        ("sales/day=2026-01-02/p.parquet", parquet),
        ("products.csv", csv.into_bytes()),
        ("cut.parquet", b"PAR1 and no more".to_vec()),
    ] {
        store.put(&object_store::path::Path::from(format!("{prefix}/{name}")), PutPayload::from(bytes)).await.unwrap();
    }
    let options = |url: String| {
        Options::default()
            .with("url", url)
            .with("endpoint", endpoint.as_str())
            .with("region", "us-east-1")
            .with("allow_http", "true")
            .with("access_key_id_env", "TOMBOLO_TEST_S3_ACCESS_KEY")
            .with("secret_access_key_env", "TOMBOLO_TEST_S3_SECRET_KEY")
    };
    let connector = connect(options(format!("s3://{bucket}/{prefix}"))).await.unwrap();
    assert_eq!(table_names(&*connector).await, ["cut", "products", "sales"]);
    assert_eq!(rows(&read(&*connector, "products").await.unwrap()), 20_000);
    let sales = table(&*connector, "sales").await.unwrap();
    assert_eq!(rows(&run(&*connector, &sales).await.unwrap()), 2000);
    let day = datafusion::logical_expr::lit(datafusion::common::ScalarValue::Date32(Some(20454)));
    let (scan, answer) = filtered(&*connector, sales, column("day").eq(day));
    assert_eq!(answer, Answer::Exact);
    let planned = connector.plan_scan(&scan, &context()).await.unwrap();
    assert!(planned.native.text.contains(&format!("s3://{bucket}/{prefix}/sales/")), "{}", planned.native.text);
    assert_eq!(rows(&run(&*connector, &scan).await.unwrap()), 1000);
    assert_eq!(read(&*connector, "cut").await.unwrap_err().code(), ErrorCode::CorruptData);

    let glob = connect(options(format!("s3://{bucket}/{prefix}/sales/*/*.parquet"))).await.unwrap();
    assert_eq!(rows(&read(&*glob, "sales").await.unwrap()), 2000);
    let missing = connect(options(format!("s3://{bucket}/{prefix}/nothing"))).await.unwrap_err();
    assert_eq!(missing.code(), ErrorCode::SourceUnavailable);
    let wrong = options(format!("s3://{bucket}/{prefix}")).with("secret_access_key_env", "PATH");
    let error = connect(wrong).await.unwrap_err();
    assert!(matches!(error.code(), ErrorCode::PermissionDenied | ErrorCode::AuthenticationFailed), "{error:?}");
    let secret = key("TOMBOLO_TEST_S3_SECRET_KEY");
    assert!(!format!("{error:?}{connector:?}").contains(&secret));
}
