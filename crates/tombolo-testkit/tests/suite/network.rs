//! Files in an object store behind a network that fails: the right rows or an error that says so, never fewer rows or others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, PutPayload};
use tombolo_connector::Options;
use tombolo_engine::{Error, ErrorCode};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::proxy::{Counting, Direction, FaultProxy, LinkFault, ProxyPlan};
use tombolo_testkit::{Answer, Lab, ask, rows};

/// How long the source may be silent.
const SILENCE: Duration = Duration::from_secs(2);

/// The statements that are asked: all rows of each format, and what is computed of them.
const STATEMENTS: [&str; 3] = [
    "SELECT id, word FROM bucket.numbers",
    "SELECT id, word FROM bucket.words",
    "SELECT count(*) AS n, sum(w.id) AS ids, max(n.word) AS word FROM bucket.numbers n JOIN bucket.words w ON n.id = w.id",
];

/// A lab whose source `bucket` is reached over a proxy, and what it answers when nothing fails.
struct Bucket {
    lab: Lab,
    proxy: FaultProxy,
    wanted: Vec<Answer>,
}

impl Bucket {
    /// Fills a folder of the test environment's S3 server, as `cargo xtask servers env s3` names it.
    async fn new(folder: &str) -> Option<Self> {
        let Ok(endpoint) = std::env::var("TOMBOLO_TEST_S3_URL") else {
            let required =
                std::env::var("TOMBOLO_REQUIRE").is_ok_and(|names| names.split(',').any(|name| name == "s3"));
            assert!(!required, "TOMBOLO_REQUIRE names s3, but TOMBOLO_TEST_S3_URL is not set");
            println!("skipped: no S3 server (TOMBOLO_TEST_S3_URL is not set)");
            return None;
        };
        let bucket = std::env::var("TOMBOLO_TEST_S3_BUCKET").unwrap_or_else(|_| "tombolo-test".to_owned());
        let prefix = format!("{folder}-{}", std::process::id());
        let mut lab = Lab::new();
        fill(&lab, &endpoint, &bucket, &prefix).await;
        let server: SocketAddr = endpoint.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let proxy = FaultProxy::start(server).await.unwrap();
        let options = Options::default()
            .with("url", format!("s3://{bucket}/{prefix}"))
            .with("endpoint", format!("http://{}", proxy.address()))
            .with("region", "us-east-1")
            .with("allow_http", "true")
            .with("access_key_id_env", "TOMBOLO_TEST_S3_ACCESS_KEY")
            .with("secret_access_key_env", "TOMBOLO_TEST_S3_SECRET_KEY");
        lab.source("bucket", "files", options);
        lab.timeout("bucket", SILENCE);
        let mut wanted = Vec::new();
        for sql in STATEMENTS {
            wanted.push(ask(&lab.engine(), sql).await.unwrap());
        }
        Some(Self { lab, proxy, wanted })
    }

    /// Asks in a new engine, so that connecting, listing and describing go over the network too. An answer is the right one.
    async fn ask(&self, statement: usize, plan: ProxyPlan) -> Result<(), Error> {
        let sql = STATEMENTS[statement];
        self.proxy.set(plan.clone());
        let given = ask(&self.lab.engine(), sql).await?;
        assert_same(&format!("{sql} with {plan:?}"), sql, &given, &self.wanted[statement]);
        Ok(())
    }

    /// How many bytes the server sends for a statement when nothing fails.
    async fn bytes(&self, statement: usize) -> u64 {
        let before = self.proxy.counts().to_client;
        self.ask(statement, ProxyPlan::default()).await.unwrap();
        self.proxy.counts().to_client - before
    }
}

async fn fill(lab: &Lab, endpoint: &str, bucket: &str, prefix: &str) {
    let key = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(key("TOMBOLO_TEST_S3_ACCESS_KEY"))
        .with_secret_access_key(key("TOMBOLO_TEST_S3_SECRET_KEY"))
        .build()
        .unwrap();
    let table = rows("SELECT value AS id, md5(cast(value AS varchar)) AS word FROM generate_series(1, 20000)").await;
    let folder = lab.path().join("upload");
    std::fs::create_dir(&folder).unwrap();
    let files = tombolo_testkit::FileFolder::at(folder);
    for file in [files.parquet("numbers", 4000, &table), files.csv("words", &table)] {
        let name = file.file_name().unwrap().to_str().unwrap();
        let path = object_store::path::Path::from(format!("{prefix}/{name}"));
        store.put(&path, PutPayload::from(std::fs::read(&file).unwrap())).await.unwrap();
    }
}

fn assert_same(what: &str, sql: &str, given: &Answer, wanted: &Answer) {
    let columns = |answer: &Answer| (answer.schema.clone(), answer.batches.clone());
    let ((schema, batches), (wanted_schema, wanted_batches)) = (columns(given), columns(wanted));
    same(sql, (&schema, &batches), (&wanted_schema, &wanted_batches), Rules::default())
        .unwrap_or_else(|difference| panic!("{what}: {difference}"));
}

/// Before the first byte, in the first answer's head, and all over the rest.
fn places(bytes: u64) -> impl Iterator<Item = u64> {
    [0, 100].into_iter().chain((1..5).map(move |fifth| bytes * fifth / 5)).chain([bytes - 1])
}

fn to_client(fault: LinkFault) -> ProxyPlan {
    ProxyPlan::default().on(Direction::ToClient, fault)
}

fn assert_says_network(error: &Error, plan: &ProxyPlan) {
    let said = format!("{plan:?}: {:?} {error}: {:?}", error.code(), error.detail());
    assert!(
        matches!(error.code(), ErrorCode::SourceUnavailable | ErrorCode::SourceFailed | ErrorCode::Timeout),
        "{said}"
    );
    assert_eq!(error.source_name(), Some("bucket"), "{said}");
    assert!(error.hint().is_some(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_once_is_made_again_or_the_query_fails() {
    let Some(bucket) = Bucket::new("breaks-once").await else { return };
    let (mut healed, mut failed) = (0, 0);
    for (statement, sql) in STATEMENTS.iter().enumerate() {
        let bytes = bucket.bytes(statement).await;
        assert!(bytes > 500_000, "{sql} needs only {bytes} bytes");
        for fault in [LinkFault::ResetAt, LinkFault::TruncateAt] {
            for at in places(bytes) {
                let plan = to_client(fault(at));
                match bucket.ask(statement, plan.clone()).await {
                    Ok(()) => healed += 1,
                    Err(error) => {
                        assert_says_network(&error, &plan);
                        failed += 1;
                    }
                }
                // How many requests are made depends on which come first, so the end is not always at the same byte.
                let is_certain = at < bytes * 4 / 5;
                let fired = bucket.proxy.counts().fired;
                assert!(fired == 1 || !is_certain, "{plan:?}: {sql}");
            }
        }
        bucket.ask(statement, ProxyPlan::default()).await.unwrap();
    }
    println!("{healed} were healed, {failed} failed");
    assert!(healed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_always_break_fail_the_query() {
    let Some(bucket) = Bucket::new("breaks-always").await else { return };
    for statement in 0..STATEMENTS.len() {
        for fault in [LinkFault::ResetAt, LinkFault::TruncateAt] {
            for at in [0, 10, 3000] {
                let plan = to_client(fault(at)).counted(Counting::PerConnection);
                let error = bucket.ask(statement, plan.clone()).await.expect_err("no file is that small");
                assert_says_network(&error, &plan);
            }
        }
        bucket.ask(statement, ProxyPlan::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_is_a_timeout_in_time() {
    let Some(bucket) = Bucket::new("silence").await else { return };
    for statement in 0..STATEMENTS.len() {
        let bytes = bucket.bytes(statement).await;
        for at in [0, bytes / 2, bytes - 1] {
            let plan = to_client(LinkFault::StallAt(at)).counted(Counting::PerConnection);
            let begun = Instant::now();
            if let Err(error) = bucket.ask(statement, plan.clone()).await {
                assert_eq!((error.code(), error.source_name()), (ErrorCode::Timeout, Some("bucket")), "{error}");
            } else {
                assert_ne!(at, 0, "nothing came and all was answered");
            }
            assert!(begun.elapsed() < SILENCE * 2 + Duration::from_secs(2), "{plan:?} took {:?}", begun.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_changes_nothing() {
    let Some(bucket) = Bucket::new("slow").await else { return };
    let plan = ProxyPlan::default()
        .on(Direction::ToServer, LinkFault::Delay(Duration::from_millis(10)))
        .on(Direction::ToClient, LinkFault::Throttle(4_000_000));
    for statement in 0..STATEMENTS.len() {
        bucket.ask(statement, plan.clone()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_unavailable_and_found_again_when_it_is_up() {
    let Some(bucket) = Bucket::new("down").await else { return };
    let engine = bucket.lab.engine();
    ask(&engine, STATEMENTS[0]).await.unwrap();
    for engine in [engine, bucket.lab.engine()] {
        bucket.proxy.set(ProxyPlan::default().refusing());
        bucket.proxy.reset_connections();
        let error = ask(&engine, STATEMENTS[1]).await.unwrap_err();
        assert!(
            matches!(error.code(), ErrorCode::SourceUnavailable | ErrorCode::Timeout),
            "{:?} {error}",
            error.code()
        );
        assert_eq!(error.source_name(), Some("bucket"));
        bucket.proxy.clear();
        // The port is opened again by another task.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = ask(&engine, STATEMENTS[1]).await.unwrap();
        assert_same("afterwards", STATEMENTS[1], &answer, &bucket.wanted[1]);
    }
}

/// A bit that changes on its way need not be seen: a CSV file has no checksums, and a Parquet file is mostly written without. It
/// is TLS that sees it, and TCP's own checksum where nobody means harm. What is proved here is that the program stands it: the
/// query ends, and what is said is not a defect of Tombolo's. The counts are printed, since they can only be known by looking.
#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_changes_on_its_way_ends_no_program() {
    let Some(bucket) = Bucket::new("corrupt").await else { return };
    for (statement, sql) in STATEMENTS.into_iter().enumerate().take(2) {
        let bytes = bucket.bytes(statement).await;
        let (mut right, mut wrong, mut codes) = (0, 0, std::collections::BTreeMap::new());
        for at in (0..16).map(|step| bytes * step / 16 + step) {
            bucket.proxy.set(to_client(LinkFault::CorruptAt(at)));
            match ask(&bucket.lab.engine(), sql).await {
                Ok(answer) => {
                    let wanted = &bucket.wanted[statement];
                    let rows = |answer: &Answer| (answer.schema.clone(), answer.batches.clone());
                    let ((schema, batches), (wanted_schema, wanted)) = (rows(&answer), rows(wanted));
                    match same(sql, (&schema, &batches), (&wanted_schema, &wanted), Rules::default()) {
                        Ok(()) => right += 1,
                        Err(_) => wrong += 1,
                    }
                }
                Err(error) => {
                    assert_ne!(error.code(), ErrorCode::Internal, "{sql}: byte {at}: {error}: {:?}", error.detail());
                    *codes.entry(error.code().name()).or_insert(0) += 1;
                }
            }
        }
        println!("{sql}: {right} right, {wrong} wrong, {codes:?}");
        bucket.ask(statement, ProxyPlan::default()).await.unwrap();
    }
}
