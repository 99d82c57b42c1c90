use arrow::array::{BinaryArray, Float64Array};

use super::*;

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// What each text becomes; `-` for none.
fn converted(key_type: KeyType, values: &ArrayRef) -> Vec<String> {
    let converted = conversion_to(key_type).converted(values).unwrap();
    let told = |row| match converted.is_null(row) {
        true => "-".to_owned(),
        false => array_value_to_string(&converted, row).unwrap(),
    };
    (0..converted.len()).map(told).collect()
}

#[test]
fn text_becomes_the_integer_that_it_means() {
    for (text, wanted) in [
        ("0", "0"),
        ("-0", "0"),
        ("+7", "7"),
        ("007", "7"),
        (" 7  ", "7"),
        ("-007", "-7"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "-"),
        ("7.0", "-"),
        ("1e3", "-"),
        ("", "-"),
        ("+", "-"),
        ("--7", "-"),
        ("٧", "-"),
        ("７", "-"),
        ("\t7", "-"),
        ("0x7", "-"),
        ("1_000", "-"),
    ] {
        assert_eq!(converted(KeyType::Integer, &texts(&[text])), [wanted], "{text}");
    }
}

#[test]
fn text_becomes_the_decimal_that_it_means() {
    let key_type = KeyType::Decimal { precision: 5, scale: 2 };
    for (text, wanted) in [
        ("7", "7.00"),
        ("7.0", "7.00"),
        ("7.000", "7.00"),
        ("007.10", "7.10"),
        (".5", "0.50"),
        ("-.5", "-0.50"),
        ("-0", "0.00"),
        ("999.99", "999.99"),
        ("1000", "-"),
        ("7.004", "-"),
        ("7.00x0", "-"),
        (".", "-"),
        ("1.2.3", "-"),
        ("1e2", "-"),
        ("", "-"),
    ] {
        assert_eq!(converted(key_type.clone(), &texts(&[text])), [wanted], "{text}");
    }
    let wide = KeyType::Decimal { precision: 76, scale: 38 };
    let nines = "9".repeat(38);
    assert_eq!(converted(wide, &texts(&[&format!("{nines}.{nines}")])), [format!("{nines}.{nines}")]);
}

#[test]
fn a_uuid_is_one_however_it_is_spelled() {
    let canonical = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let spelled = [
        canonical.to_owned(),
        canonical.to_uppercase(),
        format!("{{{canonical}}}"),
        format!("{{{}}}", canonical.replace('-', "")),
        canonical.replace('-', ""),
        format!("urn:uuid:{canonical}"),
        format!(" {canonical} "),
    ];
    for text in spelled {
        assert_eq!(converted(KeyType::Uuid, &texts(&[&text])), [canonical], "{text}");
    }
    for text in
        ["", "6ba7b810", "6ba7b8109dad-11d1-80b4-00c04fd430c8-", "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "{}", "{"]
    {
        assert_eq!(converted(KeyType::Uuid, &texts(&[text])), ["-"], "{text}");
    }
    let bytes = BinaryArray::from_iter_values([&b"0123456789abcdef"[..], b"short"]);
    assert_eq!(converted(KeyType::Uuid, &(Arc::new(bytes) as ArrayRef)), ["30313233-3435-3637-3839-616263646566", "-"]);
}

#[test]
fn a_moment_is_one_however_it_is_spelled() {
    let plain = KeyType::Timestamp { zone: None };
    for (text, wanted) in [
        ("2024-01-31", "2024-01-31T00:00:00"),
        ("2024-01-31 12:30:00", "2024-01-31T12:30:00"),
        ("2024-01-31T12:30:00.5", "2024-01-31T12:30:00.500"),
        ("2024-01-31T12:30:00Z", "-"),
        ("2024-01-31T12:30:00+02:00", "-"),
        ("2024-01-31 12:30:00.0000001", "-"),
        ("2024-01-31 12:30:00.0000000000001", "-"),
        ("2024-01-31 23:59:60", "-"),
        ("2024-02-30", "-"),
        ("2024-01-31 12:30", "-"),
        ("yesterday", "-"),
    ] {
        assert_eq!(converted(plain.clone(), &texts(&[text])), [wanted], "{text}");
    }
    let zoned = KeyType::Timestamp { zone: Some("Europe/Berlin".to_owned()) };
    for (text, wanted) in [
        ("2024-01-31 12:30:00", "2024-01-31T11:30:00Z"),
        ("2024-07-31 12:30:00", "2024-07-31T10:30:00Z"),
        ("2024-07-31 12:30:00Z", "2024-07-31T12:30:00Z"),
        // The clocks go from two to three, and later from three to two.
        ("2024-03-31 02:30:00", "-"),
        ("2024-10-27 02:30:00", "-"),
    ] {
        assert_eq!(converted(zoned.clone(), &texts(&[text])), [wanted], "{text}");
    }
}

#[test]
fn numbers_become_integers_if_they_are_some() {
    let floats = Float64Array::from(vec![7.0, 7.5, 9007199254740992.0, 9.3e18, f64::NAN, f64::INFINITY]);
    let floats: ArrayRef = Arc::new(floats);
    assert_eq!(converted(KeyType::Integer, &floats), ["7", "-", "9007199254740992", "-", "-", "-"]);
    let decimals = Decimal128Array::from(vec![700, 701, 10_i128.pow(25)]).with_precision_and_scale(38, 2).unwrap();
    assert_eq!(converted(KeyType::Integer, &(Arc::new(decimals) as ArrayRef)), ["7", "-", "-"]);
}

#[test]
fn integers_become_floats_if_a_float_is_the_same() {
    let integers = Int64Array::from(vec![7, 1 << 53, (1 << 53) + 1, (1 << 53) + 2, i64::MAX, i64::MIN]);
    let conversion = KeyConversion::new(Target::Float, "shop.main.t.c (BIGINT)".to_owned());
    let integers: ArrayRef = Arc::new(integers);
    let converted = conversion.converted(&integers).unwrap();
    let held: Vec<bool> = (0..converted.len()).map(|row| converted.is_valid(row)).collect();
    assert_eq!(held, [true, true, false, true, false, true]);
    let error = tombolo_connector::Error::to_string(&conversion.error(&integers, 2));
    assert!(error.contains("9007199254740993") && error.contains("shop.main.t.c (BIGINT)"), "{error}");
}

#[test]
fn what_cannot_be_converted_is_an_error_that_names_it() {
    let conversion = KeyConversion::new(Target::Mapped(KeyType::Integer), "shop.main.t.c (TEXT)".to_owned());
    let error = conversion.strictly(&texts(&["7", "007", "12a"])).expect_err("12a is no integer");
    let error = tombolo_connector::tombolo_error_in(&error).unwrap();
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::InvalidValue, "`12a` in shop.main.t.c (TEXT) is no integer")
    );
    assert!(conversion.strictly(&(Arc::new(StringArray::from(vec![None, Some("1")])) as ArrayRef)).is_ok());
}
