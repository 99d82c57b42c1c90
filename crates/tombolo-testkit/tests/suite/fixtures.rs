//! The fixtures are what they say.

use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::row::{RowConverter, SortField};
use tombolo_testkit::fixtures::{self, RELATIONS};

#[test]
fn names_are_all_different() {
    let mut names = HashSet::new();
    for fixture in fixtures::all() {
        assert!(names.insert(fixture.name), "two fixtures are called {}", fixture.name);
        let columns: HashSet<&str> = fixture.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(columns.len(), fixture.schema.fields().len(), "two columns of {} have one name", fixture.name);
    }
    for name in RELATIONS {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn primary_keys_are_keys() {
    for fixture in fixtures::all().iter().filter(|fixture| !fixture.primary_key.is_empty()) {
        let batch = fixture.batch();
        let keys: Vec<_> = fixture.primary_key.iter().map(|key| batch.column_by_name(key).unwrap().clone()).collect();
        assert!(keys.iter().all(|key| key.null_count() == 0), "{}", fixture.name);
        let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let rows = RowConverter::new(fields).unwrap().convert_columns(&keys).unwrap();
        let distinct: HashSet<Vec<u8>> = rows.iter().map(|row| row.as_ref().to_vec()).collect();
        assert_eq!(distinct.len(), batch.num_rows(), "{}", fixture.name);
    }
}

#[test]
fn every_column_that_may_be_null_is_somewhere() {
    for fixture in fixtures::all().iter().filter(|fixture| fixture.rows() > 3) {
        let batch = fixture.batch();
        for (field, column) in fixture.schema.fields().iter().zip(batch.columns()) {
            assert_eq!(field.is_nullable(), column.null_count() > 0, "{}.{}", fixture.name, field.name());
        }
    }
}

#[test]
fn orders_are_skewed_and_have_orphans() {
    let orders = fixtures::named("orders").batch();
    let keys = orders.column_by_name("customer_id").unwrap().as_primitive::<Int64Type>().clone();
    let of_one = keys.iter().filter(|key| *key == Some(1)).count();
    assert!((15..=21).contains(&of_one), "{of_one} of {}", keys.len());
    assert!(keys.iter().flatten().any(|key| key >= 900));
    assert!(keys.null_count() > 0);
}

#[test]
fn sizes_are_as_they_are_called() {
    assert_eq!(fixtures::named("empty").rows(), 0);
    assert_eq!(fixtures::named("wide").schema.fields().len(), 300);
    assert_eq!(fixtures::named("big").rows(), 20_000);
}
