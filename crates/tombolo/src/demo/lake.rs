use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use tombolo_connector::{ErrorCode, Result, ResultExt};

use super::shop::{DAYS, Shop, Transaction, date};
use crate::render::{Destination, Format, OutputFile, Summary, writer};

/// Writes the payments as Parquet, a folder a day: `day=2026-01-05/part-0.parquet`.
pub(super) fn write(shop: &Shop, folder: &Path) -> Result<()> {
    for day in 0..DAYS + 1 {
        let of_day: Vec<&Transaction> =
            shop.transactions.iter().filter(|transaction| transaction.day() == day).collect();
        if of_day.is_empty() {
            continue;
        }
        let partition = folder.join(format!("day={}", date(day)));
        std::fs::create_dir_all(&partition)
            .or_error(ErrorCode::FileFailed, || format!("cannot make the folder {}", partition.display()))?;
        write_part(&of_day, &partition.join("part-0.parquet"))?;
    }
    Ok(())
}

fn write_part(transactions: &[&Transaction], path: &Path) -> Result<()> {
    let batch = batch(transactions).or_error(ErrorCode::Internal, || "the demo's payments make no batch".to_owned())?;
    let file = OutputFile::create(path)?;
    let mut writer = writer(Format::Parquet, file.writer(), Destination::File)?;
    writer.begin(&batch.schema())?;
    writer.batch(&batch)?;
    writer.finish(&Summary::default())?;
    file.commit()
}

fn batch(transactions: &[&Transaction]) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let of = || transactions.iter();
    let amount = Decimal128Array::from_iter_values(of().map(|transaction| i128::from(transaction.cents)))
        .with_precision_and_scale(12, 2)?;
    let paid_at = TimestampMicrosecondArray::from_iter_values(of().map(|transaction| transaction.second * 1_000_000));
    let columns: [(&str, ArrayRef, bool); 7] = [
        ("transaction_id", Arc::new(Int64Array::from_iter_values(of().map(|transaction| transaction.id))), false),
        ("order_id", Arc::new(Int64Array::from_iter_values(of().map(|transaction| transaction.order_id))), false),
        ("paid_at", Arc::new(paid_at.with_timezone("UTC")), false),
        ("amount", Arc::new(amount), false),
        ("method", Arc::new(StringArray::from_iter_values(of().map(|transaction| transaction.method))), false),
        ("status", Arc::new(StringArray::from_iter_values(of().map(|transaction| transaction.status))), false),
        ("card_country", Arc::new(of().map(|transaction| transaction.card_country).collect::<StringArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
}
