use arrow::array::{
    Array, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::concat;
use arrow::datatypes::TimeUnit;
use arrow::util::display::array_value_to_string;

use super::*;
use crate::plan::conversion_to;
use crate::type_mapping::KeyType;

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn cast(to: DataType) -> Step {
    Step::Cast(to)
}

fn moments(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// Each value of a column whose key is among the keys must be among the values that the source is asked for, and a key that is
/// kept must be the key of the value that it is kept for.
fn check(column: &ArrayRef, steps: &[Step], others: Option<ArrayRef>) {
    let forward =
        |values: &ArrayRef| steps.iter().rev().fold(Arc::clone(values), |values, step| step.done(&values).unwrap());
    let made = forward(column);
    let keys = match &others {
        Some(others) => concat(&[&made, others]).unwrap(),
        None => Arc::clone(&made),
    };
    let way = WayBack::find(column.data_type(), steps, keys.data_type()).unwrap();
    let (values, held) = way.follow(&keys).unwrap();
    let is_held = |row: usize| held.as_ref().is_none_or(|held| held.value(row));
    let told = |array: &ArrayRef, row| array_value_to_string(array, row).unwrap();
    let same = |one: &ArrayRef, at: usize, other: &ArrayRef, row: usize| {
        not_distinct(&one.slice(at, 1), &other.slice(row, 1)).unwrap().value(0)
    };
    let back = forward(&values);
    for key in 0..keys.len() {
        for row in 0..column.len() {
            if column.is_valid(row) && made.is_valid(row) && same(&made, row, &keys, key) {
                assert!(is_held(key), "key {} of {} was lost", told(&keys, key), told(column, row));
                assert!(same(&values, key, column, row), "{} became {}", told(column, row), told(&values, key));
            }
        }
        if is_held(key) {
            assert!(same(&back, key, &keys, key), "key {} was kept as {}", told(&keys, key), told(&values, key));
        }
    }
}

#[test]
fn text_asks_for_the_integer_that_it_is_written_as() {
    let integers =
        array(Int64Array::from(vec![Some(0), Some(7), Some(-7), Some(i64::MAX), Some(i64::MIN), Some(1 << 53), None]));
    let texts = [
        "-0",
        "+7",
        "007",
        " 7",
        "7 ",
        "7.0",
        "1e3",
        "",
        "-",
        "٧",
        "７",
        "0x7",
        "9223372036854775808",
        "1_000",
        "abc",
        "7",
        "1000",
        "-7",
    ];
    let texts = array(StringArray::from(texts.to_vec()));
    for text in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        let texts = arrow::compute::cast(&texts, &text).unwrap();
        check(&integers, &[cast(text)], Some(texts));
    }
    let (values, held) =
        WayBack::find(&DataType::Int64, &[cast(DataType::Utf8)], &DataType::Utf8).unwrap().follow(&texts).unwrap();
    let held = held.unwrap();
    let kept: Vec<String> = (0..texts.len())
        .filter(|row| held.value(*row))
        .map(|row| array_value_to_string(&values, row).unwrap())
        .collect();
    assert_eq!(kept, ["7", "1000", "-7"]);
}

#[test]
fn other_numbers_and_dates_are_found_by_their_text() {
    let texts = || Some(array(StringArray::from(vec!["7", "7.0", "7.00", "7.004", "007", "1e2", "2024-1-5", "x"])));
    let decimals = |precision, scale| {
        let values = vec![Some(0), Some(700), Some(-1), Some(10_i128.pow(u32::from(precision)) - 1), None];
        array(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    check(&decimals(20, 0), &[cast(DataType::Utf8)], texts());
    check(&decimals(10, 2), &[cast(DataType::Utf8)], texts());
    check(&array(UInt64Array::from(vec![0, 7, u64::MAX])), &[cast(DataType::Utf8)], texts());
    check(&array(Date32Array::from(vec![0, -1, 19_727, 2_932_896, -719_162])), &[cast(DataType::Utf8)], texts());
    check(
        &array(Int16Array::from(vec![i16::MIN, -1, 0, 7, i16::MAX])),
        &[cast(DataType::Utf8View), cast(DataType::Int64)],
        Some(arrow::compute::cast(&texts().unwrap(), &DataType::Utf8View).unwrap()),
    );
}

#[test]
fn numbers_are_found_by_wider_numbers() {
    let decimals = |values: Vec<i128>, precision, scale| {
        array(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    check(
        &array(Int64Array::from(vec![i64::MIN, -1, 0, 7, i64::MAX])),
        &[cast(DataType::Decimal128(21, 2))],
        Some(decimals(vec![701, 700, 10_i128.pow(20)], 21, 2)),
    );
    check(
        &decimals(vec![-5, 0, 99_999, 12_345], 5, 2),
        &[cast(DataType::Decimal256(40, 20))],
        Some(arrow::compute::cast(&decimals(vec![1, 123_450, 999_990], 38, 3), &DataType::Decimal256(40, 20)).unwrap()),
    );
    let floats = || Some(array(Float64Array::from(vec![0.1, 0.1 + 1e-17, 0.30000000000000004, 1e300, f64::NAN, -0.0])));
    let digits: Vec<i128> = (0..2_000).map(|n| n * 499_999_999_999 + n).chain([1, 999_999_999_999_999]).collect();
    for scale in [0, 1, 7, 15] {
        check(&decimals(digits.clone(), 15, scale), &[cast(DataType::Float64)], floats());
    }
    assert_eq!(WayBack::find(&DataType::Decimal128(16, 2), &[cast(DataType::Float64)], &DataType::Float64), None);
}

#[test]
fn moments_are_found_by_moments() {
    let micros = vec![Some(0), Some(1), Some(-1), Some(1_700_000_000_123_456), Some(-62_135_596_800_000_000), None];
    let plain = array(TimestampMicrosecondArray::from(micros.clone()));
    let zoned = array(TimestampMicrosecondArray::from(micros).with_timezone("Europe/Berlin"));
    check(&plain, &[cast(moments(Some("UTC")))], None);
    check(&zoned, &[cast(moments(Some("UTC")))], None);
    let dates = array(Date32Array::from(vec![0, -1, 19_727, 2_932_896]));
    check(&dates, &[cast(moments(None))], Some(Arc::clone(&plain)));
    check(&dates, &[cast(moments(Some("Europe/Berlin")))], Some(Arc::clone(&zoned)));
    // Of a zone with summer time an hour is missing and another comes twice.
    assert_eq!(
        WayBack::find(&moments(None), &[cast(moments(Some("Europe/Berlin")))], &moments(Some("Europe/Berlin"))),
        None
    );
}

#[test]
fn what_is_not_one_to_one_has_no_way_back() {
    for (column, steps, key) in [
        (DataType::Utf8, vec![cast(DataType::Int64)], DataType::Int64),
        (DataType::Int64, vec![cast(DataType::Float64)], DataType::Float64),
        (DataType::Int64, vec![cast(DataType::Int64), cast(DataType::Float64)], DataType::Int64),
        (moments(None), vec![cast(moments(None)), cast(DataType::Date32)], moments(None)),
        (DataType::Decimal128(10, 2), vec![cast(DataType::Decimal128(10, 1))], DataType::Decimal128(10, 1)),
        (DataType::Int64, vec![cast(DataType::Int32)], DataType::Int32),
        (DataType::Float64, vec![cast(DataType::Utf8)], DataType::Utf8),
        (DataType::Utf8, vec![Step::Convert(conversion_to(KeyType::Integer))], DataType::Int64),
        (DataType::Utf8, vec![Step::Convert(conversion_to(KeyType::Uuid))], DataType::Utf8),
    ] {
        assert_eq!(WayBack::find(&column, &steps, &key), None, "{column} {steps:?} {key}");
    }
}

#[test]
fn what_the_config_says_is_undone_where_it_is_one_to_one() {
    let uuids = [[0_u8; 16], [255; 16], *b"0123456789abcdef"];
    let binary = array(BinaryArray::from_iter_values(uuids));
    let others = ["00000000-0000-0000-0000-00000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "{}", "x"];
    check(&binary, &[Step::Convert(conversion_to(KeyType::Uuid))], Some(array(StringArray::from(others.to_vec()))));
    let decimals = Decimal128Array::from(vec![700, 100, -300]).with_precision_and_scale(10, 2).unwrap();
    let keys = Some(array(Int64Array::from(vec![7, 8, i64::MAX])));
    check(&array(decimals), &[Step::Convert(conversion_to(KeyType::Integer))], keys);
    // In winter and summer, and where the clocks are set.
    let local = vec![1_704_067_200_000_000, 1_719_792_000_000_000, 1_711_850_400_000_000, 1_711_846_799_000_000];
    let berlin = KeyType::Timestamp { zone: Some("Europe/Berlin".to_owned()) };
    let keys = TimestampMicrosecondArray::from(vec![0, 1_729_987_200_000_000]).with_timezone("UTC");
    let way = [Step::Convert(conversion_to(berlin))];
    let known = array(TimestampMicrosecondArray::from(local));
    let made = way[0].done(&known).unwrap();
    let kept: Vec<usize> = (0..made.len()).filter(|row| made.is_valid(*row)).collect();
    assert_eq!(kept, [0, 1, 3]);
    check(&known, &way, Some(array(keys)));
}
