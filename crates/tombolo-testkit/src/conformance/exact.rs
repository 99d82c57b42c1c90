//! Whether values came back exactly.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Schema};

/// A type without what does not count: text and bytes in any of Arrow's layouts, dictionaries as their values.
pub(super) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) => DataType::new_list(plain(item.data_type()), true),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| arrow::datatypes::Field::new(field.name(), plain(field.data_type()), true))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Compares rows bit by bit after both are sorted by their key: NaN is NaN, and a negative zero is not zero.
pub(super) fn same(schema: &Schema, batches: &[RecordBatch], wanted: &RecordBatch, key: &[&str]) -> Result<(), String> {
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(schema) != names(&wanted.schema()) {
        return Err(format!("the columns are {:?} in place of {:?}", names(schema), names(&wanted.schema())));
    }
    let given = concat_batches(&batches.first().map_or_else(|| schema.clone().into(), RecordBatch::schema), batches)
        .map_err(|error| error.to_string())?;
    if given.num_rows() != wanted.num_rows() {
        return Err(format!("{} rows in place of {}", given.num_rows(), wanted.num_rows()));
    }
    let (given, wanted) = (ordered(&given, key)?, ordered(wanted, key)?);
    for (index, field) in wanted.schema().fields().iter().enumerate() {
        let (a, b) = (given.column(index), wanted.column(index));
        let (given_type, wanted_type) = (plain(a.data_type()), plain(b.data_type()));
        if given_type != wanted_type {
            return Err(format!("column {} is {given_type} in place of {wanted_type}", field.name()));
        }
        let (a, b) = (laid_out(a, &given_type)?, laid_out(b, &given_type)?);
        for row in 0..a.len() {
            if a.slice(row, 1).as_ref() != b.slice(row, 1).as_ref() {
                let text = |array: &ArrayRef| {
                    let formatter = arrow::util::display::ArrayFormatter::try_new(array, &Default::default()).unwrap();
                    if array.is_null(row) { "NULL".to_owned() } else { formatter.value(row).to_string() }
                };
                return Err(format!("row {row} of {} is {:?} in place of {:?}", field.name(), text(&a), text(&b)));
            }
        }
    }
    Ok(())
}

fn laid_out(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
    cast(array, data_type).map_err(|error| error.to_string())
}

fn ordered(batch: &RecordBatch, key: &[&str]) -> Result<RecordBatch, String> {
    // Without a key, rows are told apart by all that is in them.
    let keys: Vec<&ArrayRef> = match key {
        [] => batch.columns().iter().collect(),
        key => key.iter().filter_map(|key| batch.column_by_name(key)).collect(),
    };
    let keys: Vec<SortColumn> =
        keys.into_iter().map(|values| SortColumn { values: Arc::clone(values), options: None }).collect();
    let order = lexsort_to_indices(&keys, None).map_err(|error| error.to_string())?;
    let columns = batch.columns().iter().map(|column| take(column, &order, None)).collect::<Result<Vec<_>, _>>();
    RecordBatch::try_new(batch.schema(), columns.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
