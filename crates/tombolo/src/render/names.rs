use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};

/// The schema with every column's name made unique, for formats in which a name is a key.
///
/// The first column of a name keeps it; the second gets `_2`, the third `_3`, past any name that is taken. So
/// `id, id, id_2` becomes `id, id_3, id_2`.
pub(crate) fn unique_names(schema: &SchemaRef) -> SchemaRef {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut taken: HashSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if taken.len() == names.len() {
        return Arc::clone(schema);
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| {
            if seen.insert(field.name()) {
                return Arc::clone(field);
            }
            let mut number = 2;
            while !taken.insert(format!("{}_{number}", field.name())) {
                number += 1;
            }
            Arc::new(field.as_ref().clone().with_name(format!("{}_{number}", field.name())))
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn a_repeated_name_gets_a_number_that_is_free() {
        let fields = ["id", "id", "id_2", "id", "n"].map(|name| Field::new(name, DataType::Int32, true));
        let unique = unique_names(&Arc::new(Schema::new(fields.to_vec())));
        let names: Vec<&str> = unique.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["id", "id_3", "id_2", "id_4", "n"]);
    }
}
