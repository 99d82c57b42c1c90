use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// The bytes of a batch's values: what would have to be moved, without what its buffers have in reserve or share with other
/// batches.
pub fn data_bytes(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| array_bytes(column.as_ref())).sum()
}

fn array_bytes(array: &dyn Array) -> u64 {
    // A view's own sixteen bytes hold short text; what is longer lies elsewhere and is not counted with them.
    let beside: usize = match array.data_type() {
        DataType::Utf8View => {
            array.as_string_view().lengths().filter(|length| *length > 12).map(|length| length as usize).sum()
        }
        DataType::BinaryView => {
            array.as_binary_view().lengths().filter(|length| *length > 12).map(|length| length as usize).sum()
        }
        _ => 0,
    };
    let own = array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    (own + beside) as u64
}
