use tombolo_connector::ReadSnapshot;
use tombolo_engine::check::{JoinReceipt, JoinSideReceipt, LimitReceipt, Receipt, SubQueryOutcome};

use super::{write_receipt, write_receipt_json};
use crate::render::Terminal;
use crate::render::fixtures::receipt;

fn text(receipt: &Receipt, terminal: Terminal) -> String {
    let mut out = Vec::new();
    write_receipt(receipt, terminal, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_receipt_as_people_read_it() {
    insta::assert_snapshot!(text(&receipt(), Terminal::PLAIN));
}

#[test]
fn a_receipt_fits_a_narrow_terminal() {
    let narrow = Terminal { interactive: true, width: Some(60), colors: false };
    let text = text(&receipt(), narrow);
    assert!(text.lines().all(|line| crate::render::text::width(line) <= 60), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_reader_must_not_miss_comes_first() {
    let mut receipt = receipt();
    receipt.limit = Some(LimitReceipt { limit: 1_000, reached: true });
    receipt.spilled_bytes = 5_000_000;
    receipt.sub_queries[1].outcome = SubQueryOutcome::NotRun;
    let text = text(&receipt, Terminal::PLAIN);
    let first: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(
        first,
        [
            "Receipt: 1,830 rows in 182 ms, of which 12 ms to plan; at most 3.4 MB of memory; 5.0 MB went",
            "  through temporary files",
            "  capped at 1,000 rows: there are more",
        ]
    );
    assert!(text.contains("not run"));
}

#[test]
fn joins_are_put_into_words() {
    let side =
        |table: &str, rows, matched| JoinSideReceipt { tables: vec![table.to_owned()], rows, matched, reduced: false };
    let join = |left, right, fan_out, complete| JoinReceipt {
        id: 1,
        kind: "left".to_owned(),
        condition: "a.x = b.x".to_owned(),
        left,
        right,
        output_rows: 10,
        fan_out,
        complete,
    };
    let mut receipt = receipt();
    receipt.joins = vec![
        join(side("shop.t", 10, Some(10)), side("lake.t", 5, None), Some(1.0), true),
        join(side("a.orders", 5_000, Some(4_812)), side("b.customers", 0, Some(0)), None, false),
        join(side("a.orders", 1, Some(0)), side("b.customers", 1, Some(0)), None, true),
    ];
    let text = text(&receipt, Terminal::PLAIN);
    for sentence in [
        "shop.t → lake.t: all 10 rows found a match",
        "lake.t → shop.t: 5 rows (this kind of join cannot count its matches)",
        "each row of shop.t with a match met one row of lake.t",
        "orders → customers: 4,812 of 5,000 rows found a match; 188 did not (3.8%)",
        "customers → orders: no rows came from customers",
        "an input was not read to its end: the counts are of what was read",
        "orders → customers: the one row found no match",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{text}");
    }
}

#[test]
fn rows_that_keys_of_another_join_left_out_are_not_said_to_have_keys_of_this_one() {
    let side =
        |table: &str, reduced| JoinSideReceipt { tables: vec![table.to_owned()], rows: 9, matched: None, reduced };
    let told = |left, right| {
        let mut receipt = receipt();
        receipt.joins[0].left = side("a.orders", left);
        receipt.joins[0].right = side("b.customers", right);
        text(&receipt, Terminal::PLAIN).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(told(false, true).contains("customers → orders: 9 rows have one of its keys; only these were read"));
    let both = told(true, true);
    assert!(!both.contains("only these were read"), "{both}");
    assert_eq!(both.matches("since keys of another join left rows out").count(), 2, "{both}");
}

#[test]
fn what_a_large_table_was_read_by_stands_with_its_source() {
    let mut receipt = receipt();
    receipt.sub_queries[0].streams = Some("one stream, since it has no rows".to_owned());
    assert!(text(&receipt, Terminal::PLAIN).contains("read by one stream, since it has no rows"));
}

#[test]
fn the_snapshot_that_sub_queries_share_stands_with_each() {
    let mut receipt = receipt();
    receipt.sub_queries[0].snapshot = Some(ReadSnapshot::Shared("00000003-0000001B-1".to_owned()));
    receipt.sub_queries[1].snapshot = Some(ReadSnapshot::Own("no connection was free".to_owned()));
    let told = text(&receipt, Terminal::PLAIN);
    assert_eq!(told.matches("read in the snapshot 00000003-0000001B-1").count(), 1, "{told}");
}

#[test]
fn in_short_a_receipt_says_what_found_no_match() {
    let mut out = Vec::new();
    super::write_gaps(&receipt(), Terminal::PLAIN, &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
    · 170 of 2,000 rows of customers have no match in orders (8.5%)
    · 188 of 10,000 rows of orders have no match in customers (1.9%)
    · o.user_id is text and c.id is a number: both were compared as text.
    ");
}

#[test]
fn an_empty_receipt_is_one_line() {
    let mut receipt = receipt();
    receipt.sub_queries.clear();
    receipt.columns.clear();
    receipt.joins.clear();
    receipt.notices.clear();
    assert_eq!(text(&receipt, Terminal::PLAIN).lines().count(), 1);
}

#[test]
fn a_receipt_as_json_reads_back() {
    let mut out = Vec::new();
    write_receipt_json(&receipt(), &mut out).unwrap();
    assert_eq!(serde_json::from_slice::<Receipt>(&out).unwrap(), receipt());
}
