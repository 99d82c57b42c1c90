//! Rows, bytes and sorted rows: what is counted, and where it ends.

use tombolo_connector::ErrorCode;
use tombolo_engine::check::SubQueryOutcome;
use tombolo_engine::{Engine, Guardrails, KeyShipping, QueryOptions, ScanLimits, Settings, Strategy, TableGuardrails};
use tombolo_testkit::{Lab, ask, ask_with};

use super::{assert_allowed, assert_refused, at_most, lab, of_table, outcome, refused_before, said, scanning};

#[tokio::test]
async fn no_more_rows_are_read_than_may_be() {
    let mut lab = lab().await;
    for (most, is_refused) in [(1000, false), (999, true)] {
        lab.guardrails("shop", scanning(most));
        lab.guardrails("blind", scanning(most));
        let engine = lab.engine();
        // Counted by the source, so that nothing has to be read to be refused; and the size of a view shows when it is read.
        for (sql, before) in [
            ("SELECT * FROM shop.events", true),
            ("SELECT id FROM shop.events ORDER BY size", true),
            ("SELECT u.name, e.id FROM shop.events e LEFT JOIN shop.users u ON u.id = e.user_id", true),
            ("SELECT max(upper(kind)) FROM shop.events", true),
            ("SELECT * FROM blind.seen", false),
            ("SELECT upper(kind), count(*) FROM blind.seen GROUP BY 1", false),
        ] {
            match outcome(&engine, sql).await {
                Ok(_) => assert!(!is_refused, "{sql} at {most}"),
                Err(error) => {
                    assert!(is_refused, "{sql} at {most}: {error}");
                    assert_eq!(error.code(), ErrorCode::GuardrailRefused, "{sql}: {error}");
                    assert_eq!(refused_before(&engine, sql).await, before, "{sql}");
                }
            }
        }
    }
    lab.guardrails("shop", scanning(100));
    lab.guardrails("blind", scanning(100));
    let engine = lab.engine();
    assert_allowed(
        &engine,
        &[
            "SELECT count(*) FROM shop.events",
            "SELECT count(*) FROM blind.seen",
            "SELECT * FROM shop.events LIMIT 100",
            "SELECT * FROM shop.events ORDER BY size LIMIT 100",
            "SELECT * FROM shop.events WHERE id <= 100",
            "SELECT * FROM shop.events WHERE day = '2024-01-01'",
            "SELECT * FROM shop.users",
            "SELECT * FROM other.events",
        ],
    )
    .await;
    assert_refused(&engine, &["SELECT * FROM shop.events WHERE id <= 101", "SELECT * FROM blind.seen LIMIT 101"]).await;
    insta::assert_snapshot!(said(&engine, "SELECT * FROM shop.events").await, @r"
    guardrail_refused: source `shop` would send about 1,000 rows, and may send 100
    nothing was read: the source's statistics say so
    Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `sources.shop.guardrails.max_scanned_rows`.
    ");
    insta::assert_snapshot!(said(&engine, "SELECT id FROM blind.seen").await, @r"
    guardrail_refused: source `blind` sent more than 100 rows
    1,000 rows had come when the query was stopped; no part of them is an answer
    Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `sources.blind.guardrails.max_scanned_rows`.
    ");
}

#[tokio::test]
async fn all_sub_queries_of_a_source_count_together() {
    let mut lab = lab().await;
    // Of two tables, in sub-queries of their own: 100 users and 10 few.
    let sql = "SELECT u.name FROM shop.users u LEFT JOIN mem.days d ON u.id = d.value + 0.5 \
               UNION ALL SELECT f.day FROM shop.few f LEFT JOIN mem.numbers n ON f.id = n.n + 0.5";
    for (most, is_refused) in [(110, false), (109, true)] {
        lab.guardrails("shop", scanning(most));
        assert_eq!(outcome(&lab.engine(), sql).await.is_err(), is_refused, "{most}");
    }
    // The table's own limit counts what is read with it, in any sub-query.
    let own = |most| TableGuardrails { max_scanned: at_most(most), ..of_table("users") };
    for (most, is_refused) in [(100, false), (99, true)] {
        lab.guardrails("shop", Guardrails { tables: vec![own(most)], ..Guardrails::default() });
        let engine = lab.engine();
        assert_eq!(outcome(&engine, sql).await.is_err(), is_refused, "{most}");
        assert_allowed(&engine, &["SELECT * FROM shop.events"]).await;
        let joined = "SELECT u.name, e.id FROM shop.events e JOIN shop.users u ON u.id = e.user_id";
        assert_refused(&engine, &[joined]).await;
    }
    lab.guardrails("shop", Guardrails { tables: vec![own(99)], ..Guardrails::default() });
    insta::assert_snapshot!(said(&lab.engine(), "SELECT name FROM shop.users").await, @r"
    guardrail_refused: source `shop`, of table `main.users`, would send about 100 rows, and may send 99
    nothing was read: the source's statistics say so
    Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `sources.shop.tables.users.guardrails.max_scanned_rows`.
    ");
}

#[tokio::test]
async fn bytes_are_counted_as_rows_are() {
    let mut lab = lab().await;
    let of_bytes =
        |bytes| Guardrails { max_scanned: ScanLimits { rows: None, bytes: Some(bytes) }, ..Guardrails::default() };
    // Eight bytes for each whole number, and what nulls take.
    for sql in ["SELECT id FROM shop.events", "SELECT size FROM blind.seen", "SELECT n FROM mem.numbers"] {
        let source = ["shop", "blind", "mem"].into_iter().find(|source| sql.contains(source)).unwrap();
        lab.guardrails(source, Guardrails::default());
        let came = ask(&lab.engine(), sql).await.unwrap().receipt.sub_queries[0].bytes;
        lab.guardrails(source, of_bytes(came));
        assert_allowed(&lab.engine(), &[sql]).await;
        lab.guardrails(source, of_bytes(came - 1));
        assert_refused(&lab.engine(), &[sql]).await;
    }
    lab.guardrails("shop", of_bytes(1000));
    lab.guardrails("blind", of_bytes(1000));
    let engine = lab.engine();
    assert!(refused_before(&engine, "SELECT id FROM shop.events").await);
    insta::assert_snapshot!(said(&engine, "SELECT id FROM shop.events").await, @r"
    guardrail_refused: source `shop` would send about 8,000 bytes, and may send 1,000
    nothing was read: the source's statistics say so
    Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `sources.shop.guardrails.max_scanned_bytes`.
    ");
    insta::assert_snapshot!(said(&engine, "SELECT id FROM blind.seen").await, @r"
    guardrail_refused: source `blind` sent more than 1,000 bytes
    8,000 bytes had come when the query was stopped; no part of them is an answer
    Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `sources.blind.guardrails.max_scanned_bytes`.
    ");
}

#[tokio::test]
async fn every_kind_of_source_is_held_to_its_limits() {
    let mut lab = lab().await;
    for (source, table, count) in [("mem", "numbers", 500), ("lake", "lines", 300), ("lake", "blocks", 300)] {
        for (most, is_refused) in [(count, false), (count - 1, true)] {
            lab.guardrails(source, scanning(most));
            for sql in [format!("SELECT n FROM {source}.{table}"), format!("SELECT max(n + 1) FROM {source}.{table}")] {
                let refused = outcome(&lab.engine(), &sql).await.err().map(|error| error.code());
                assert_eq!(refused, is_refused.then_some(ErrorCode::GuardrailRefused), "{sql} at {most}");
            }
        }
    }
    // In small batches, and over several streams, the count is the same.
    lab.guardrails("mem", scanning(499));
    let small = Settings { batch_size: 7, parallel: 4, ..lab.settings() };
    assert_refused(&lab.engine_with(small), &["SELECT n FROM mem.numbers"]).await;
}

fn with_strategy(lab: &Lab, strategy: Strategy) -> Engine {
    lab.engine_with(Settings { key_shipping: KeyShipping { strategy, ..KeyShipping::default() }, ..lab.settings() })
}

#[tokio::test]
async fn a_limit_or_keys_may_cut_what_statistics_say() {
    let mut lab = lab().await;
    lab.guardrails("mem", scanning(499));
    lab.guardrails("shop", scanning(400));
    let small = Settings { batch_size: 16, ..lab.settings() };
    let engine = lab.engine_with(small);
    assert_allowed(&engine, &["SELECT n FROM mem.numbers LIMIT 3", "SELECT n * 2 FROM mem.numbers LIMIT 3"]).await;
    // Three of ten days, by their keys; without keys all events would come.
    let sql = "SELECT d.value, e.id FROM mem.days d JOIN shop.events e ON e.day = d.day";
    assert_allowed(&with_strategy(&lab, Strategy::Always), &[sql]).await;
    lab.guardrails("shop", scanning(299));
    assert!(!refused_before(&lab.engine(), sql).await, "keys may leave fewer");
    assert_refused(&with_strategy(&lab, Strategy::Always), &[sql]).await;
    lab.guardrails("shop", scanning(300));
    assert_refused(&with_strategy(&lab, Strategy::Never), &[sql]).await;
}

#[tokio::test]
async fn a_query_that_reads_too_much_fails_and_gives_no_end() {
    let mut lab = lab().await;
    lab.guardrails("blind", scanning(500));
    let engine = lab.engine_with(Settings { batch_size: 100, parallel: 1, ..lab.settings() });
    let mut running = engine.query("SELECT id FROM blind.seen", QueryOptions::default()).await.unwrap();
    let mut delivered = 0;
    let error = loop {
        match running.next_batch().await {
            Ok(Some(batch)) => delivered += batch.num_rows(),
            Ok(None) => panic!("it ended after {delivered} rows"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.source_name()), (ErrorCode::GuardrailRefused, Some("blind")));
    assert!(delivered <= 500, "{delivered}");
    let receipt = running.receipt();
    assert!(!receipt.complete);
    assert_eq!(receipt.sub_queries[0].outcome, SubQueryOutcome::Failed);
    assert!(running.next_batch().await.unwrap().is_none(), "after an error the query is over");
    // What it has read counts for it alone.
    assert_allowed(&engine, &["SELECT id FROM blind.seen LIMIT 500", "SELECT id FROM blind.seen LIMIT 500"]).await;
}

#[tokio::test]
async fn a_sorted_answer_has_a_limit_or_few_rows() {
    let mut lab = lab().await;
    let sorting = |most| Guardrails { max_unlimited_sort_rows: Some(most), ..Guardrails::default() };
    for (most, is_refused) in [(1000, false), (999, true)] {
        lab.guardrails("shop", sorting(most));
        lab.guardrails("blind", sorting(most));
        let engine = lab.engine();
        for sql in [
            "SELECT * FROM shop.events ORDER BY size",
            "SELECT id FROM shop.events ORDER BY size DESC, id",
            "SELECT id FROM shop.events ORDER BY size OFFSET 0",
            // What is left out was sorted, here.
            "SELECT id, upper(kind) AS k FROM blind.seen ORDER BY k, id OFFSET 4990",
            // Sorted here, and counted only when they come.
            "SELECT * FROM blind.seen ORDER BY size",
            "SELECT id, upper(kind) AS k FROM blind.seen ORDER BY k, id",
            "SELECT e.id, d.value FROM shop.events e LEFT JOIN mem.days d ON d.day = e.day ORDER BY d.value, e.id",
            "SELECT id FROM shop.events UNION ALL SELECT n FROM mem.numbers WHERE n < 0 ORDER BY 1",
        ] {
            let refused = outcome(&engine, sql).await.err().map(|error| error.code());
            assert_eq!(refused, is_refused.then_some(ErrorCode::GuardrailRefused), "{sql} at {most}");
        }
    }
    lab.guardrails("shop", sorting(10));
    lab.guardrails("blind", sorting(10));
    let engine = lab.engine();
    assert_allowed(
        &engine,
        &[
            "SELECT * FROM shop.events",
            "SELECT * FROM shop.events ORDER BY size LIMIT 900",
            "SELECT kind, count(*) FROM shop.events GROUP BY kind ORDER BY kind",
            "SELECT day, count(*) FROM blind.seen GROUP BY day ORDER BY 2, 1",
            "SELECT id, row_number() OVER (ORDER BY size) FROM shop.events",
            "SELECT max(id) FROM (SELECT * FROM shop.events ORDER BY size) x",
            "SELECT * FROM (SELECT * FROM shop.events ORDER BY kind) x",
            "SELECT * FROM shop.few ORDER BY day",
            "SELECT * FROM other.events ORDER BY size",
            "SELECT n FROM mem.numbers ORDER BY n",
        ],
    )
    .await;
    assert!(refused_before(&engine, "SELECT * FROM shop.events ORDER BY size").await);
    insta::assert_snapshot!(said(&engine, "SELECT * FROM shop.events ORDER BY size").await, @r"
    guardrail_refused: the answer would be about 1,000 rows in order, without a LIMIT
    `sources.shop.guardrails.max_unlimited_sort_rows` is 10
    Add a LIMIT after ORDER BY, filter or aggregate to fewer rows, or leave ORDER BY away.
    ");
    insta::assert_snapshot!(said(&engine, "SELECT id, upper(kind) AS k FROM blind.seen ORDER BY k").await, @r"
    guardrail_refused: the answer would be more than 10 rows in order, without a LIMIT
    `sources.blind.guardrails.max_unlimited_sort_rows` is 10
    Add a LIMIT after ORDER BY, filter or aggregate to fewer rows, or leave ORDER BY away.
    ");
    let limited = QueryOptions { limit: Some(5), ..QueryOptions::default() };
    assert_eq!(ask_with(&engine, "SELECT * FROM shop.events ORDER BY size", limited).await.unwrap().rows(), 5);
    let own = TableGuardrails { max_unlimited_sort_rows: Some(1000), ..of_table("events") };
    lab.guardrails("shop", Guardrails { tables: vec![own], ..sorting(10) });
    assert_allowed(&lab.engine(), &["SELECT * FROM shop.events ORDER BY size"]).await;
    assert_refused(&lab.engine(), &["SELECT * FROM shop.users ORDER BY name"]).await;
}

#[tokio::test]
async fn a_sort_here_is_refused_before_it_gives_a_row() {
    let mut lab = lab().await;
    lab.guardrails("mem", Guardrails { max_unlimited_sort_rows: Some(400), ..Guardrails::default() });
    let engine = lab.engine_with(Settings { batch_size: 10, ..lab.settings() });
    let sql = "SELECT n FROM mem.numbers WHERE n * 2 > 3 ORDER BY n % 7";
    let mut running = engine.query(sql, QueryOptions::default()).await.unwrap();
    assert_eq!(running.next_batch().await.unwrap_err().code(), ErrorCode::GuardrailRefused);
}
