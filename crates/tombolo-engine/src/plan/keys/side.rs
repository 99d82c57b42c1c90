use std::fmt;

use arrow::datatypes::DataType;
use tombolo_connector::{Collation, TextFormat};

use super::conversion::is_text;
use crate::plan::origin::Origin;
use crate::plan::text::type_text;
use crate::type_mapping::{KeyType, TypeMapping};

/// One side of a comparison of values of two sources.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// The type of its values.
    pub(super) data_type: DataType,
    /// The column that it is, by its full name; none where it is computed.
    pub(super) path: Option<String>,
    /// What it is called where it is no column.
    pub(super) text: String,
    /// Its type as its source calls it.
    pub(super) type_name: String,
    /// What its text is in its source.
    pub(super) format: TextFormat,
    /// How its source compares its text.
    pub(super) collation: Option<Collation>,
    /// Whether the config says what it is compared as.
    pub(super) is_mapped: bool,
}

impl Side {
    /// A side of this origin.
    pub(super) fn new(origin: &Origin, data_type: DataType, text: impl FnOnce() -> String) -> Self {
        let known =
            origin.column().and_then(|(path, column)| Some((path, column.table.description().column(&column.name)?)));
        let computed = || Self {
            type_name: type_text(&data_type),
            data_type: data_type.clone(),
            path: None,
            text: text(),
            format: TextFormat::Plain,
            collation: None,
            is_mapped: false,
        };
        match known {
            // A view or a union may give the column another type.
            Some((path, column)) if *column.field.data_type() == data_type => Self {
                type_name: if column.remote_type.is_empty() {
                    type_text(&data_type)
                } else {
                    column.remote_type.clone()
                },
                path: Some(path.to_owned()),
                text: String::new(),
                format: column.text_format,
                collation: is_text(&data_type).then(|| column.collation.clone()),
                is_mapped: false,
                data_type,
            },
            _ => computed(),
        }
    }

    /// A hint at the mapping that would say otherwise, as the end of a sentence.
    pub(super) fn suggestion(&self, key_type: &str) -> String {
        match &self.path {
            Some(path) if !self.is_mapped => format!("; `type_mappings` can say `{path} = {key_type}`"),
            _ => String::new(),
        }
    }

    /// What the config says that a column of this origin is compared as.
    pub(super) fn mapping<'a>(origin: &Origin, mappings: &'a [TypeMapping]) -> Option<&'a KeyType> {
        let (_, column) = origin.column()?;
        let is_of = |mapping: &&TypeMapping| {
            mapping.is_of_table(column.table.source(), &column.table.description().table)
                && mapping.is_of_column(&column.name)
        };
        mappings.iter().find(is_of).map(TypeMapping::key_type)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.as_ref().unwrap_or(&self.text), self.type_name)
    }
}
