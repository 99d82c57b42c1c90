use std::sync::Arc;

use arrow::datatypes::FieldRef;
use tombolo_connector::ColumnDescription;

/// A memory table's types are Arrow's own, both ways.
pub(super) fn described(field: &FieldRef) -> ColumnDescription {
    ColumnDescription::new(Arc::clone(field), field.data_type().to_string())
}
