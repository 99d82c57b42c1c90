//! Columns that are kept in the names of folders: `day=2026-01-31/shop=7/part-0.parquet`.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::create_physical_expr;
use object_store::path::Path;
use std::sync::Arc;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};

use super::DataFile;
use crate::files::config::FilesConfig;
use crate::files::types::{text, type_name};

/// The folder that Hive writes for null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column whose values are in the names of folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::files) struct PartitionColumn {
    pub(in crate::files) name: String,
    pub(in crate::files) data_type: DataType,
    pub(in crate::files) nullable: bool,
}

impl PartitionColumn {
    pub(in crate::files) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }
}

/// Reads `key=value`.
pub(in crate::files) fn key_value(folder: &str) -> Option<(&str, &str)> {
    folder.split_once('=').filter(|(key, _)| !key.is_empty())
}

/// The folders between `base` and a file.
pub(in crate::files) fn folders_below(base: &Path, path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = match path.prefix_match(base) {
        Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect(),
        None => Vec::new(),
    };
    parts.pop();
    parts
}

/// The keys and values of the `k=v` folders between `base` and a file.
pub(in crate::files) fn pairs_below(base: &Path, path: &Path) -> Vec<(String, Option<String>)> {
    let folders = folders_below(base, path);
    let pairs = folders.iter().filter_map(|folder| key_value(folder));
    pairs
        .map(|(key, value)| {
            let value = percent_decoded(value);
            (key.to_owned(), (value != HIVE_NULL).then_some(value))
        })
        .collect()
}

/// Undoes the escapes that Hive and Spark write for characters that a path cannot hold.
fn percent_decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| value.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| value.to_owned())
}

/// Types the columns by the values of all folders: whole numbers, else dates, else text; or as the user declared.
pub(in crate::files) fn columns(
    table: &str,
    names: &[String],
    files: &[DataFile],
    config: &FilesConfig,
) -> Result<Vec<PartitionColumn>> {
    let typed = names.iter().enumerate().map(|(index, name)| {
        let mut guess = text::TypeGuess::default();
        let mut nullable = false;
        for file in files {
            match file.partitions.get(index).and_then(Option::as_deref) {
                Some(value) => guess.see(value),
                None => nullable = true,
            }
        }
        let data_type = match (config.types.of(table, name), guess.data_type()) {
            (Some(declared), _) => declared.clone(),
            (None, inferred @ (DataType::Int64 | DataType::Date32)) => inferred,
            (None, _) => DataType::Utf8View,
        };
        PartitionColumn { name: name.clone(), data_type, nullable }
    });
    let columns: Vec<PartitionColumn> = typed.collect();
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.name == column.name) {
            return Err(Error::new(
                ErrorCode::InvalidPlan,
                format!("table `{table}` has two partition folders for `{}`", column.name),
            )
            .with_hint("Rename one level of the folders."));
        }
    }
    Ok(columns)
}

/// The typed values of one file's folders.
///
/// # Errors
/// [`ErrorCode::InvalidValue`] where a folder's name does not have the type of its column.
pub(in crate::files) fn values(columns: &[PartitionColumn], file: &DataFile, shown: &str) -> Result<Vec<ScalarValue>> {
    let typed = columns.iter().zip(&file.partitions).map(|(column, value)| {
        let texts = arrow::array::StringViewArray::from_iter([value.as_deref()]);
        let array = text::convert(&texts, &column.data_type, None).map_err(|misfit| {
            let name = type_name(&column.data_type);
            Error::new(
                ErrorCode::InvalidValue,
                format!("the folder `{}={}` is not a {name}: it {}", column.name, misfit.value, misfit.reason),
            )
            .with_detail(shown.to_owned())
            .with_hint(format!("Declare another type for `{}` in the option `types`.", column.name))
        })?;
        ScalarValue::try_from_array(&array, 0).or_error(ErrorCode::Internal, || "a partition value".to_owned())
    });
    typed.collect()
}

/// Says for each file whether its folders satisfy the predicates, which name only partition columns.
pub(in crate::files) fn matching(
    columns: &[PartitionColumn],
    files: &[Vec<ScalarValue>],
    predicates: &[Expr],
) -> Result<Vec<bool>> {
    let Some(predicate) = conjunction(predicates.iter().cloned()).filter(|_| !files.is_empty()) else {
        return Ok(vec![true; files.len()]);
    };
    let evaluate = || -> datafusion::common::Result<Vec<bool>> {
        let schema = Arc::new(Schema::new(columns.iter().map(PartitionColumn::field).collect::<Vec<_>>()));
        let arrays =
            (0..columns.len()).map(|index| ScalarValue::iter_to_array(files.iter().map(|row| row[index].clone())));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect::<datafusion::common::Result<Vec<_>>>()?)?;
        let planning = PhysicalPlanningContext::default();
        let schema = DFSchema::try_from(schema)?;
        let compiled = create_physical_expr(&predicate, &schema, &ExecutionProps::new(), &planning)?;
        let kept = compiled.evaluate(&batch)?.into_array(files.len())?;
        let kept = kept.as_any().downcast_ref::<BooleanArray>().ok_or_else(|| {
            datafusion::common::DataFusionError::Internal("a filter did not give booleans".to_owned())
        })?;
        Ok((0..kept.len()).map(|row| kept.is_valid(row) && kept.value(row)).collect())
    };
    evaluate().or_error(ErrorCode::ComputationFailed, || "cannot evaluate a filter on partition folders".to_owned())
}
