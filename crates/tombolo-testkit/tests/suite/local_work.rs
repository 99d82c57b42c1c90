//! Work on the tables of one source that it was seen to be slow at is done here, with the same answer.

use std::time::Duration;

use tombolo_connector::layer::{ChaosPlan, ChaosSwitch};
use tombolo_engine::{Engine, Guardrails, Settings, Strategy};
use tombolo_testkit::compare::{Rules, same};
use tombolo_testkit::{Answer, Lab, ask};

/// Longer than it may take to be held to be slow, for each batch that comes.
const DELAY: Duration = Duration::from_millis(600);

const SQL: &str = "SELECT c.region, count(*) AS orders, sum(o.amount) AS amount FROM shop.customers c \
                   LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.amount > 3 GROUP BY c.region ORDER BY c.region";

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, region TEXT);
         CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
            INSERT INTO customers SELECT i, CASE WHEN i % 7 > 0 THEN 'region ' || i % 7 END FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO orders SELECT i, CASE WHEN i % 11 > 0 THEN i % 600 END, i * 7 % 100 FROM n;
         ANALYZE;",
    );
    lab
}

/// Its answer, and how many sub-queries the source was asked.
async fn asked(engine: &Engine) -> (Answer, usize) {
    let answer = ask(engine, SQL).await.unwrap();
    let sub_queries = answer.receipt.sub_queries.len();
    (answer, sub_queries)
}

fn slow(lab: &mut Lab) -> ChaosSwitch {
    lab.chaos("shop", ChaosPlan::default().with_batch_delay(DELAY))
}

fn assert_same(given: &Answer, wanted: &Answer) {
    let (given, wanted) = ((given.schema.as_ref(), &given.batches[..]), (wanted.schema.as_ref(), &wanted.batches[..]));
    same(SQL, given, wanted, Rules::default()).unwrap();
}

#[tokio::test]
async fn work_that_a_source_was_slow_at_twice_is_done_here() {
    let mut lab = lab();
    lab.keep_state();
    let chaos = slow(&mut lab);
    let engine = lab.engine();
    let (wanted, first) = asked(&engine).await;
    assert_eq!((first, asked(&engine).await.1), (1, 1));
    chaos.clear();
    let (here, sub_queries) = asked(&engine).await;
    assert_eq!(sub_queries, 2);
    assert_same(&here, &wanted);
    let refusals = here.receipt.sub_queries.iter().flat_map(|sub_query| &sub_query.not_pushed);
    let reasons: Vec<&str> = refusals.map(|part| part.reason.as_str()).collect();
    assert!(
        reasons.iter().any(|reason| reason.starts_with("the source took 1.") && reason.contains(" ms")),
        "{reasons:?}"
    );
    // The next program knows it too, and who does not wish it is not given it.
    assert_eq!(asked(&lab.engine()).await.1, 2);
    let never = Settings { local_work: Strategy::Never, ..lab.settings() };
    assert_eq!(asked(&lab.engine_with(never)).await.1, 1);
}

#[tokio::test]
async fn work_that_is_slower_here_goes_back_to_its_source() {
    let mut lab = lab();
    let _slow = slow(&mut lab);
    let engine = lab.engine();
    // Three batches of orders take longer than the one of the answer.
    let mut sub_queries = Vec::new();
    for _ in 0..4 {
        sub_queries.push(asked(&engine).await.1);
    }
    assert_eq!(sub_queries, [1, 1, 2, 1]);
}

#[tokio::test]
async fn a_source_with_guardrails_is_not_read_for_more_than_it_would_answer() {
    let mut lab = lab();
    let _slow = slow(&mut lab);
    let guardrails = Guardrails { allow_native: true, ..Guardrails::default() };
    lab.guardrails("shop", guardrails);
    let engine = lab.engine();
    for _ in 0..3 {
        assert_eq!(asked(&engine).await.1, 1);
    }
}

#[tokio::test]
async fn all_work_is_done_here_where_that_is_wished_for() {
    let lab = lab();
    let (wanted, sub_queries) = asked(&lab.engine()).await;
    assert_eq!(sub_queries, 1);
    let (here, sub_queries) =
        asked(&lab.engine_with(Settings { local_work: Strategy::Always, ..lab.settings() })).await;
    assert_eq!(sub_queries, 2);
    assert_same(&here, &wanted);
}
