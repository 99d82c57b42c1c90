use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::{FileReader, StreamReader};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tombolo_connector::ErrorCode;

use super::fixtures::{
    batch, bytes_of, edges, many_columns, many_rows, no_columns, table_of, text_of, texts, try_bytes_of,
};
use super::{Destination, Format, Terminal};

const TEXT_FORMATS: [Format; 5] = [Format::Table, Format::Json, Format::JsonLines, Format::Csv, Format::Markdown];

fn all_formats(batch: &RecordBatch) -> String {
    TEXT_FORMATS.map(|format| format!("=== {format}\n{}", text_of(format, batch))).concat()
}

#[test]
fn odd_texts_in_each_format() {
    insta::assert_snapshot!(all_formats(&texts()));
}

#[test]
fn values_at_the_edges_of_their_types_in_each_format() {
    insta::assert_snapshot!(all_formats(&edges()));
}

#[test]
fn no_rows_in_each_format() {
    insta::assert_snapshot!(all_formats(&texts().slice(0, 0)));
}

#[test]
fn no_columns_in_each_format() {
    insta::assert_snapshot!(all_formats(&no_columns(3)));
}

#[test]
fn no_batch_at_all_is_an_empty_result() {
    let schema = texts().schema();
    let written =
        |format| String::from_utf8(bytes_of(format, Destination::Stdout(Terminal::PLAIN), &schema, &[])).unwrap();
    assert_eq!(written(Format::Json), "[]\n");
    assert_eq!(written(Format::JsonLines), "");
    assert_eq!(written(Format::Csv), "n,text\n");
}

#[test]
fn repeated_names_are_numbered_where_a_name_is_a_key() {
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let twins = batch(vec![("id", one()), ("id", one()), ("id", one())]);
    assert_eq!(text_of(Format::JsonLines, &twins), "{\"id\":1,\"id_2\":1,\"id_3\":1}\n");
    assert_eq!(text_of(Format::Csv, &twins), "id,id,id\n1,1,1\n");
    let file = bytes_of(Format::Parquet, Destination::File, &twins.schema(), std::slice::from_ref(&twins));
    let names: Vec<String> = read_parquet(file)[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "id_2", "id_3"]);
}

#[test]
fn json_is_json_and_keeps_every_digit() {
    let text = text_of(Format::Json, &edges());
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert!(text.contains("\"int\":-9223372036854775808,\"uint\":18446744073709551615"), "{text}");
    assert!(text.contains("\"decimal\":1234567890123456789012345.6789"), "{text}");
    let lines = text_of(Format::JsonLines, &texts());
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn a_table_fits_the_terminal() {
    for width in [20, 40, 80, 200] {
        for (name, batch) in [("texts", texts()), ("edges", edges()), ("columns", many_columns(300))] {
            for line in table_of(&batch, width).lines().filter(|line| line.starts_with(['│', '┌', '├', '└'])) {
                assert!(super::text::width(line) <= width, "{name} at {width}: {line}");
            }
        }
    }
}

#[test]
fn a_table_of_300_columns_shows_its_ends() {
    insta::assert_snapshot!(table_of(&many_columns(300), 80));
}

#[test]
fn wide_values_are_cut_to_the_terminal() {
    insta::assert_snapshot!(table_of(&texts(), 40));
}

#[test]
fn a_long_table_shows_its_ends_and_counts_the_rest() {
    let short = table_of(&many_rows(40), 80);
    assert!(short.ends_with("40 rows\n"), "{short}");
    assert!(!short.contains('⋮'));
    // The same from one batch and from many.
    let rows = many_rows(10_041);
    let whole = table_of(&rows, 80);
    let parts: Vec<RecordBatch> = (0..=10_041).step_by(7).map(|row| rows.slice(row, 7.min(10_041 - row))).collect();
    let terminal = Terminal { interactive: true, width: Some(80), colors: false };
    let in_parts = bytes_of(Format::Table, Destination::Stdout(terminal), &rows.schema(), &parts);
    assert_eq!(String::from_utf8(in_parts).unwrap(), whole);
    insta::assert_snapshot!(whole);
}

#[test]
fn a_null_is_dim_where_there_are_colours() {
    let terminal = Terminal { interactive: true, width: Some(80), colors: true };
    let bytes = bytes_of(Format::Table, Destination::Stdout(terminal), &texts().schema(), &[texts()]);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\u{1b}[2mNULL\u{1b}[0m"));
    assert!(text.contains("'NULL'"));
    assert!(!text.contains("\u{1b}[31m"), "an escape sequence of a value reached the terminal");
}

#[test]
fn binary_formats_do_not_go_to_a_terminal() {
    let terminal = Terminal { interactive: true, width: Some(80), colors: false };
    for format in [Format::Parquet, Format::Arrow] {
        let error = try_bytes_of(format, Destination::Stdout(terminal), &texts().schema(), &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Usage);
        assert!(error.hint().unwrap().contains("-o"));
    }
}

fn read_parquet(file: Vec<u8>) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(as_file(file)).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// Parquet reads from a file.
fn as_file(bytes: Vec<u8>) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn parquet_and_arrow_give_back_what_went_in() {
    let edges = edges();
    // Parquet has no place for the null type's values but keeps the column.
    let file = bytes_of(Format::Parquet, Destination::File, &edges.schema(), std::slice::from_ref(&edges));
    let read = read_parquet(file);
    assert_eq!(read[0].num_rows(), 2);
    assert_eq!(read[0].column(0).as_primitive::<Int64Type>().value(0), i64::MIN);

    let file = bytes_of(Format::Arrow, Destination::File, &edges.schema(), std::slice::from_ref(&edges));
    let read = FileReader::try_new(std::io::Cursor::new(file), None).unwrap().next().unwrap().unwrap();
    // NaN differs from itself, so the text is compared.
    assert_eq!(text_of(Format::Json, &read), text_of(Format::Json, &edges));

    let stream =
        bytes_of(Format::Arrow, Destination::Stdout(Terminal::PLAIN), &edges.schema(), std::slice::from_ref(&edges));
    let read = StreamReader::try_new(std::io::Cursor::new(stream), None).unwrap().next().unwrap().unwrap();
    assert_eq!(text_of(Format::Json, &read), text_of(Format::Json, &edges));
}

#[test]
fn empty_results_are_files_that_can_be_read() {
    let empty = edges().slice(0, 0);
    for batches in [vec![], vec![empty.clone()]] {
        let file = bytes_of(Format::Parquet, Destination::File, &empty.schema(), &batches);
        assert_eq!(read_parquet(file).iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        let file = bytes_of(Format::Arrow, Destination::File, &empty.schema(), &batches);
        let reader = FileReader::try_new(std::io::Cursor::new(file), None).unwrap();
        assert_eq!(reader.schema(), empty.schema());
    }
}

#[test]
fn formats_are_found_by_name_and_extension() {
    for format in Format::ALL {
        assert_eq!(format.name().parse::<Format>().unwrap(), format);
    }
    assert_eq!("prquet".parse::<Format>().unwrap_err().hint(), Some("Did you mean `--format parquet`?"));
    assert_eq!(Format::of_extension("CSV"), Some(Format::Csv));
    assert_eq!(Format::of_extension("exe"), None);
}

#[test]
fn a_terminal_is_not_steered_in_any_format() {
    let terminal = Terminal { interactive: true, width: Some(80), colors: false };
    for format in TEXT_FORMATS {
        let bytes = bytes_of(format, Destination::Stdout(terminal), &texts().schema(), &[texts()]);
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{format}");
    }
}
