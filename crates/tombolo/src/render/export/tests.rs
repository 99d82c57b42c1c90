use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use tombolo_connector::{Error, ErrorCode, Result};
use tombolo_engine::check::Receipt;

use super::{ExportFormat, RECEIPT_KEY, export};
use crate::render::fixtures::{batch, edges, many_columns, many_rows, no_columns, receipt, texts};

fn exported(format: ExportFormat, batch: &RecordBatch, folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join(format!("result.{format}"));
    let mut batches = [Ok(batch.clone())].into_iter();
    export(format, &mut batches, &batch.schema(), &receipt(), &path)?;
    Ok(std::fs::read(path).unwrap())
}

#[test]
fn every_format_takes_every_odd_result() {
    let folder = tempfile::tempdir().unwrap();
    for format in ExportFormat::ALL {
        for batch in [texts(), edges(), many_rows(3_000), many_columns(300), texts().slice(0, 0), no_columns(0)] {
            let bytes = exported(format, &batch, folder.path()).unwrap();
            assert!(!bytes.is_empty() || batch.num_columns() == 0, "{format}");
        }
    }
}

#[test]
fn a_csv_has_its_receipt_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    exported(ExportFormat::Csv, &texts(), folder.path()).unwrap();
    let beside = std::fs::read(folder.path().join("result.csv.receipt.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Receipt>(&beside).unwrap(), receipt());
}

#[test]
fn json_is_one_object_of_rows_and_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&exported(ExportFormat::Json, &texts(), folder.path()).unwrap()).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), texts().num_rows());
    assert_eq!(json["receipt"]["joins"][0]["kind"], "inner");
    let empty = exported(ExportFormat::Json, &texts().slice(0, 0), folder.path()).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&empty).unwrap()["rows"], serde_json::json!([]));
}

#[test]
fn parquet_carries_its_receipt() {
    let folder = tempfile::tempdir().unwrap();
    exported(ExportFormat::Parquet, &texts(), folder.path()).unwrap();
    let reader = SerializedFileReader::new(File::open(folder.path().join("result.parquet")).unwrap()).unwrap();
    let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let found = metadata.into_iter().find(|pair| pair.key == RECEIPT_KEY).unwrap().value.unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&found).unwrap(), receipt());
}

#[test]
fn a_page_holds_no_markup_of_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let page = String::from_utf8(exported(ExportFormat::Html, &texts(), folder.path()).unwrap()).unwrap();
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
    assert!(page.contains("<td class=\"null\">NULL</td>"));
    assert!(page.contains("How the rows met"));
    for external in ["http:", "https:", "src=", "url("] {
        assert!(!page.contains(external), "{external}");
    }
}

#[test]
fn a_pdf_is_a_pdf_with_a_font_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = exported(ExportFormat::Pdf, &texts(), folder.path()).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("DejaVuSansCondensed") && text.contains("%%EOF"));
    assert!(bytes.len() < 100_000, "only the glyphs that are used are embedded: {}", bytes.len());
}

#[test]
fn what_a_format_cannot_hold_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let long = batch(vec![("long", Arc::new(StringArray::from(vec!["x".repeat(40_000)])))]);
    let error = exported(ExportFormat::Xlsx, &long, folder.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.message().contains("column long has 40,000 characters"), "{error}");
    let error = exported(ExportFormat::Pdf, &many_rows(60_000), folder.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("xlsx"));
    let error = exported(ExportFormat::Xlsx, &many_columns(17_000), folder.path()).unwrap_err();
    assert!(error.message().contains("17,000 columns"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half-written is left");
}

#[test]
fn a_failure_on_the_way_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in ExportFormat::ALL {
        let path = folder.path().join("result");
        let failure = Error::new(ErrorCode::CorruptData, "cut off");
        let mut batches = [Ok(texts()), Err(failure)].into_iter();
        let error = export(format, &mut batches, &texts().schema(), &receipt(), &path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptData);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{format}");
    }
}
