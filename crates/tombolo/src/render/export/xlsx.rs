use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use rust_xlsxwriter::{Format, FormatAlign, Workbook, Worksheet, XlsxError};
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};
use tombolo_engine::check::Receipt;

use super::Batches;
use crate::render::cell::{Audience, Cells};
use crate::render::number;
use crate::render::receipt::{Line, Report};
use crate::render::text::fit;
use crate::render::writer::write_failed;

/// Rows of a sheet below its header.
const MOST_ROWS: u64 = 1_048_575;

/// Columns of a sheet.
const MOST_COLUMNS: usize = 16_384;

/// Characters of a cell.
const MOST_CHARACTERS: usize = 32_767;

/// Excel keeps and shows 15 digits of a number; one with more is written as text, so that none is lost.
const MOST_DIGITS: u64 = 999_999_999_999_999;

/// Days from Excel's day 0 to 1970-01-01.
const UNIX_EPOCH_DAY: f64 = 25_569.0;

/// Excel's first day that is right: it takes 1900 for a leap year.
const FIRST_DAY: f64 = 61.0;

/// Excel's last day, 9999-12-31.
const LAST_DAY: f64 = 2_958_465.0;

/// Writes a workbook of two sheets, `Result` and `Receipt`.
///
/// What Excel would change is written as text: numbers of more than 15 digits, dates before March 1900, times with a zone
/// or finer than a millisecond, NaN and infinity. A null is an empty cell, and so is an empty text. A text is never taken for
/// a formula.
pub(super) fn write(
    out: &mut dyn Write,
    batches: &mut Batches<'_>,
    schema: &SchemaRef,
    receipt: &Receipt,
) -> Result<()> {
    if schema.fields().len() > MOST_COLUMNS {
        return Err(does_not_fit(format!(
            "the result has {} columns, and an Excel sheet holds {}",
            number::count(schema.fields().len() as u64),
            number::count(MOST_COLUMNS as u64)
        )));
    }
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet_with_constant_memory().map_err(failed)?;
    write_result(sheet, batches, schema)?;
    write_receipt(workbook.add_worksheet(), receipt).map_err(failed)?;
    // The zip's directory needs to seek, so the whole is made first; it is compressed.
    let bytes = workbook.save_to_buffer().map_err(failed)?;
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(write_failed)
}

fn write_result(sheet: &mut Worksheet, batches: &mut Batches<'_>, schema: &SchemaRef) -> Result<()> {
    sheet.set_name("Result").map_err(failed)?;
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    let header = Format::new().set_bold();
    let mut next = batches.next().transpose()?;
    for (column, field) in schema.fields().iter().enumerate() {
        let width = next.as_ref().map_or_else(
            || column_width(field.name(), &[]),
            |batch| column_width(field.name(), &sample(batch, column)),
        );
        let column = u16::try_from(column).or_error(ErrorCode::Internal, || "too many columns".to_owned())?;
        sheet.set_column_width(column, width).map_err(failed)?;
        write_text(sheet, 0, column, field.name(), field.name(), Some(&header))?;
    }
    let styles = Styles::new();
    let mut row = 1;
    while let Some(batch) = next {
        if u64::from(row) + batch.num_rows() as u64 > MOST_ROWS + 1 {
            return Err(does_not_fit(format!(
                "the result has more than {}, which is all that an Excel sheet holds",
                number::rows(MOST_ROWS)
            )));
        }
        write_batch(sheet, &batch, row, &styles)?;
        // Cannot overflow: the count was checked above.
        row += batch.num_rows() as u32;
        next = batches.next().transpose()?;
    }
    Ok(())
}

fn write_batch(sheet: &mut Worksheet, batch: &RecordBatch, first_row: u32, styles: &Styles) -> Result<()> {
    let schema = batch.schema_ref();
    let mut columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let cells = Cells::try_new(field, array, Audience::Programs)?;
            Ok((field.name(), cells, Numbers::of(array)?))
        })
        .collect::<Result<Vec<_>>>()?;
    // Row by row: a sheet of constant memory takes them in order.
    for row in 0..batch.num_rows() {
        let at = first_row + row as u32;
        for (column, (name, cells, numbers)) in columns.iter_mut().enumerate() {
            let column = column as u16;
            if cells.is_null(row) {
                continue;
            }
            match numbers.value(row) {
                Value::Number(value, style) => {
                    sheet.write_number_with_format(at, column, value, styles.of(style)).map_err(failed)?;
                }
                Value::Boolean(value) => {
                    sheet.write_boolean(at, column, value).map_err(failed)?;
                }
                Value::Text => {
                    let text = cells.text(row).unwrap_or_default();
                    write_text(sheet, at, column, name, &text, None)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as Excel takes it.
enum Value {
    Number(f64, NumberStyle),
    Boolean(bool),
    Text,
}

#[derive(Clone, Copy)]
enum NumberStyle {
    Plain,
    Integer,
    Decimals(u8),
    Date,
    Time,
}

/// A column's values as numbers, where Excel has numbers for them.
enum Numbers {
    None,
    Booleans(arrow::array::BooleanArray),
    Integers(arrow::array::Int64Array),
    Floats(arrow::array::Float64Array),
    Decimals {
        scaled: arrow::array::Float64Array,
        style: NumberStyle,
    },
    Days(arrow::array::Int64Array),
    Times {
        times: arrow::array::Int64Array,
        /// Units of the values in a second.
        per_second: i64,
    },
}

impl Numbers {
    fn of(array: &dyn Array) -> Result<Self> {
        let as_type = |data_type: &DataType| {
            cast(array, data_type).or_error(ErrorCode::Internal, || "a column cannot be read as numbers".to_owned())
        };
        Ok(match array.data_type() {
            DataType::Boolean => Self::Booleans(array.as_boolean().clone()),
            // An unsigned integer beyond i64 casts to null, and so is written as text.
            data_type if data_type.is_integer() => {
                Self::Integers(as_type(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Self::Floats(as_type(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale)
                if *precision <= 15 && (0..=15).contains(scale) =>
            {
                Self::Decimals {
                    scaled: as_type(&DataType::Float64)?.as_primitive::<Float64Type>().clone(),
                    style: NumberStyle::Decimals(scale.unsigned_abs()),
                }
            }
            DataType::Date32 => {
                let days = as_type(&DataType::Int32)?;
                let days = cast(&days, &DataType::Int64).or_error(ErrorCode::Internal, || "no days".to_owned())?;
                Self::Days(days.as_primitive::<Int64Type>().clone())
            }
            DataType::Timestamp(unit, None) => {
                let per_second = match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => 1_000_000_000,
                };
                Self::Times { times: as_type(&DataType::Int64)?.as_primitive::<Int64Type>().clone(), per_second }
            }
            _ => Self::None,
        })
    }

    fn value(&self, row: usize) -> Value {
        let in_calendar = |day: f64, style| {
            if (FIRST_DAY..=LAST_DAY).contains(&day) { Value::Number(day, style) } else { Value::Text }
        };
        match self {
            Self::Booleans(values) => Value::Boolean(values.value(row)),
            Self::Integers(values) if values.is_valid(row) && values.value(row).unsigned_abs() <= MOST_DIGITS => {
                Value::Number(values.value(row) as f64, NumberStyle::Integer)
            }
            Self::Floats(values) if values.is_valid(row) && values.value(row).is_finite() => {
                Value::Number(values.value(row), NumberStyle::Plain)
            }
            Self::Decimals { scaled, style } if scaled.is_valid(row) => Value::Number(scaled.value(row), *style),
            Self::Days(days) if days.is_valid(row) => {
                in_calendar(days.value(row) as f64 + UNIX_EPOCH_DAY, NumberStyle::Date)
            }
            // Excel shows no more than milliseconds.
            Self::Times { times, per_second }
                if times.is_valid(row) && times.value(row) % (per_second / 1_000).max(1) == 0 =>
            {
                let days = times.value(row) as f64 / (*per_second as f64 * 86_400.0);
                in_calendar(days + UNIX_EPOCH_DAY, NumberStyle::Time)
            }
            _ => Value::Text,
        }
    }
}

struct Styles {
    plain: Format,
    integer: Format,
    decimals: Vec<Format>,
    date: Format,
    time: Format,
}

impl Styles {
    fn new() -> Self {
        let numbers = |format: &str| Format::new().set_num_format(format);
        Self {
            plain: Format::new(),
            integer: numbers("0"),
            decimals: (0..=15)
                .map(|scale| if scale == 0 { numbers("0") } else { numbers(&format!("0.{}", "0".repeat(scale))) })
                .collect(),
            date: numbers("yyyy-mm-dd"),
            time: numbers("yyyy-mm-dd hh:mm:ss.000"),
        }
    }

    fn of(&self, style: NumberStyle) -> &Format {
        match style {
            NumberStyle::Plain => &self.plain,
            NumberStyle::Integer => &self.integer,
            NumberStyle::Decimals(scale) => self.decimals.get(usize::from(scale)).unwrap_or(&self.plain),
            NumberStyle::Date => &self.date,
            NumberStyle::Time => &self.time,
        }
    }
}

fn write_text(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    name: &str,
    text: &str,
    format: Option<&Format>,
) -> Result<()> {
    // Excel counts UTF-16 units.
    let characters = text.encode_utf16().count();
    if characters > MOST_CHARACTERS {
        return Err(does_not_fit(format!(
            "a value of column {} has {} characters, and an Excel cell holds {}",
            fit(name, 60),
            number::count(characters as u64),
            number::count(MOST_CHARACTERS as u64)
        )));
    }
    match format {
        Some(format) => sheet.write_string_with_format(row, column, text, format),
        None => sheet.write_string(row, column, text),
    }
    .map(|_| ())
    .map_err(failed)
}

/// The first values of a column, to find a width for it.
fn sample(batch: &RecordBatch, column: usize) -> Vec<String> {
    let field = &batch.schema_ref().fields()[column];
    let Ok(mut cells) = Cells::try_new(field, batch.column(column), Audience::Programs) else { return Vec::new() };
    (0..batch.num_rows().min(50)).filter_map(|row| cells.text(row)).collect()
}

fn column_width(name: &str, values: &[String]) -> f64 {
    let widest = values.iter().map(|value| crate::render::text::width(value)).max().unwrap_or(0);
    (widest.max(crate::render::text::width(name)) as f64 + 2.0).clamp(8.0, 60.0)
}

fn write_receipt(sheet: &mut Worksheet, receipt: &Receipt) -> std::result::Result<(), XlsxError> {
    sheet.set_name("Receipt")?;
    for (column, width) in [(0, 34.0), (1, 46.0), (2, 14.0), (3, 12.0), (4, 12.0), (5, 22.0)] {
        sheet.set_column_width(column, width)?;
    }
    let heading = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let report = Report::new(receipt);
    // Cells are cut where Excel has no room; the other formats have the whole text.
    let cell = |text: &str| fit(text, MOST_CHARACTERS / 2);
    let pairs = [
        ("Answer", report.headline.clone()),
        ("Query", receipt.query_id.clone()),
        ("Begun", receipt.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ("Statement", receipt.statement.clone()),
    ];
    let mut row = 0;
    for (name, text) in pairs {
        sheet.write_string_with_format(row, 0, name, &heading)?;
        sheet.write_string_with_format(row, 1, cell(&text), &wrapped)?;
        row += 1;
    }
    for warning in &report.warnings {
        sheet.write_string_with_format(row, 0, "Warning", &heading)?;
        sheet.write_string(row, 1, cell(warning))?;
        row += 1;
    }
    for section in &report.sections {
        row += 1;
        sheet.write_string_with_format(row, 0, section.title, &heading)?;
        row += 1;
        for entry in &section.entries {
            if !entry.name.is_empty() {
                sheet.write_string(row, 0, cell(&entry.name))?;
                for (column, fact) in (1_u16..).zip(&entry.facts) {
                    sheet.write_string(row, column, cell(fact))?;
                }
                row += 1;
            }
            for line in &entry.lines {
                let (Line::Text(text) | Line::Warning(text) | Line::Native(text)) = line;
                sheet.write_string_with_format(row, 1, cell(text), &wrapped)?;
                row += 1;
            }
        }
    }
    Ok(())
}

fn does_not_fit(message: String) -> Error {
    Error::new(ErrorCode::Unsupported, message)
        .with_hint("Export to csv or parquet, which have no such bound, or narrow the query.")
}

fn failed(error: XlsxError) -> Error {
    match error {
        XlsxError::IoError(error) => write_failed(error),
        error => Error::new(ErrorCode::Internal, "the Excel file could not be made")
            .with_detail(error.to_string())
            .with_cause(error),
    }
}
