use std::sync::Arc;

use arrow::array::{DictionaryArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use chrono::Utc;
use tombolo_engine::check::Receipt;

use super::*;

fn receipt(id: &str) -> Receipt {
    Receipt {
        query_id: id.to_owned(),
        statement: "SELECT 1".to_owned(),
        started_at: Utc::now(),
        planning_ms: 1.0,
        elapsed_ms: 2.0,
        rows: 3,
        complete: true,
        limit: None,
        sub_queries: Vec::new(),
        columns: Vec::new(),
        joins: Vec::new(),
        peak_memory_bytes: None,
        spilled_bytes: 0,
        notices: Vec::new(),
    }
}

fn entry(id: &str) -> HistoryEntry {
    let statement = "SELECT count(*) FROM shop.customers -- long enough to be like a real one".to_owned();
    HistoryEntry { id: id.to_owned(), at: Utc::now(), statement, outcome: Outcome::Finished, rows: 3, elapsed_ms: 2.0 }
}

#[test]
fn the_history_is_newest_first_and_keeps_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(&folder.path().join("new"));
    let history = History::new(&state);
    assert!(history.list(10).unwrap().is_empty());
    history.append(&entry("019a-aa11"), Some(&receipt("019a-aa11")), 100).unwrap();
    history.append(&entry("019a-bb22"), None, 100).unwrap();
    let ids: Vec<String> = history.list(10).unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, ["019a-bb22", "019a-aa11"]);
    assert_eq!(history.list(1).unwrap().len(), 1);
    assert_eq!(history.find("aa11").unwrap().1.unwrap().query_id, "019a-aa11");
    assert!(history.find("bb22").unwrap().1.is_none());
    assert!(history.find("019a").unwrap_err().message().contains("more than one"));
    assert!(history.find("../../etc").is_err());
}

#[test]
fn the_history_does_not_grow_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(folder.path());
    let history = History::new(&state);
    for number in 0..50 {
        let id = format!("id-{number}");
        history.append(&entry(&id), Some(&receipt(&id)), 5).unwrap();
    }
    let entries = history.list(usize::MAX).unwrap();
    assert!((5..=10).contains(&entries.len()), "{}", entries.len());
    assert_eq!(entries[0].id, "id-49");
    let receipts = std::fs::read_dir(folder.path().join("receipts")).unwrap().count();
    assert_eq!(receipts, entries.len());
}

#[test]
fn a_cut_line_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("history.jsonl"), "{\"id\":\"x\n").unwrap();
    let state = StateFolder::at(folder.path());
    let history = History::new(&state);
    history.append(&entry("y"), None, 5).unwrap();
    assert_eq!(history.list(10).unwrap().len(), 1);
}

#[test]
fn the_last_result_comes_back_with_dictionaries_as_values() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(folder.path());
    assert!(LastResult::open(&state).err().unwrap().message().contains("no last result"));
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("day", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true),
    ]));
    let mut writer = LastResultWriter::try_new(&state, &schema, 1 << 20).unwrap();
    for day in ["mon", "tue"] {
        let days: DictionaryArray<Int32Type> = [day, day].into_iter().collect();
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(days)];
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()).unwrap();
    }
    assert!(LastResult::open(&state).is_err(), "nothing is there before it is kept");
    writer.keep(&receipt("q")).unwrap();
    let last = LastResult::open(&state).unwrap();
    assert_eq!(last.receipt.query_id, "q");
    assert_eq!(last.schema().field(1).data_type(), &DataType::Utf8);
    let rows: usize = last.batches().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 4);
}

#[test]
fn a_result_that_is_too_large_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(folder.path());
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let mut writer = LastResultWriter::try_new(&state, &schema, 1000).unwrap();
    let column = Arc::new(Int64Array::from_iter_values(0..1000));
    writer.write(&RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap()).unwrap();
    writer.keep(&receipt("q")).unwrap();
    let error = LastResult::open(&state).err().unwrap();
    assert!(error.message().contains("larger than"), "{error}");
    assert!(error.hint().unwrap().contains("keep_last_result"));
}

#[test]
fn a_result_without_columns_keeps_its_row_count() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::at(folder.path());
    let schema = Arc::new(Schema::empty());
    let mut writer = LastResultWriter::try_new(&state, &schema, 1000).unwrap();
    let options = RecordBatchOptions::new().with_row_count(Some(7));
    writer.write(&RecordBatch::try_new_with_options(schema, Vec::new(), &options).unwrap()).unwrap();
    writer.keep(&receipt("q")).unwrap();
    let rows: usize = LastResult::open(&state).unwrap().batches().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 7);
}
