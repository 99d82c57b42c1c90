use std::time::Duration;

use crate::options::{parse_bytes, parse_duration};
use crate::{Answer, Error, ErrorCode, OptionKind, OptionSpec, Options, ScanOffer, Secret, nearest_name};

const SPECS: &[OptionSpec] = &[
    OptionSpec { name: "path", kind: OptionKind::Path, default: None, required: true, help: "the file" },
    OptionSpec { name: "timeout", kind: OptionKind::Duration, default: Some("10s"), required: false, help: "how long" },
    OptionSpec { name: "password", kind: OptionKind::Secret, default: None, required: false, help: "the password" },
    OptionSpec { name: "max_rows", kind: OptionKind::Integer, default: None, required: false, help: "rows" },
];

#[test]
fn nearest_name_forgives_typing_and_case_but_not_anything() {
    let names = ["customers", "orders", "products"];
    assert_eq!(nearest_name("custmers", names), Some("customers"));
    assert_eq!(nearest_name("ORDRES", names), Some("orders"));
    assert_eq!(nearest_name("prod", names), Some("products"));
    assert_eq!(nearest_name("weather", names), None);
}

#[test]
fn a_secret_is_never_printed() {
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    let error = OptionKind::Integer.check("max_rows", &"x".into()).map(|_| ()).unwrap_err();
    assert!(error.message().contains('x'));
    let options = Options::default().with("path", "a").with("pasword", "hunter2");
    let error = options.checked(SPECS).unwrap_err();
    assert_eq!(error.hint(), Some("Did you mean `password`?"));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert_eq!(format!("{options:?}"), r#"Options {"pasword", "path"}"#);
}

#[test]
fn options_are_checked_and_filled() {
    let checked = Options::default().with("path", "a.db").with("max_rows", "12").checked(SPECS).unwrap();
    assert_eq!(checked.duration("timeout"), Some(Duration::from_secs(10)));
    assert_eq!(checked.integer("max_rows"), Some(12));
    let missing = Options::default().checked(SPECS).unwrap_err();
    assert_eq!((missing.code(), missing.message()), (ErrorCode::ConfigInvalid, "option `path` is missing"));
    for bad in ["ten", "10", "-1s", "1e400s"] {
        let error = Options::default().with("path", "a").with("timeout", bad).checked(SPECS).unwrap_err();
        assert!(error.message().contains("timeout"), "{bad}: {error}");
    }
    assert!(Options::default().with("path", "a").with("max_rows", "-1").checked(SPECS).is_err());
}

#[test]
fn sizes_and_durations_need_a_unit() {
    assert_eq!(parse_bytes("64KB"), Some(65_536));
    assert_eq!(parse_bytes("1.5 GiB"), Some(1_610_612_736));
    assert_eq!(parse_bytes("64"), None);
    assert_eq!(parse_bytes("-1KB"), None);
    assert_eq!(parse_duration("1500ms"), Some(Duration::from_millis(1500)));
    assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
    assert_eq!(parse_duration("2"), None);
}

#[test]
fn error_codes_are_unique_and_map_to_the_exit_codes_of_the_specification() {
    let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for code in ErrorCode::ALL {
        assert!(matches!(code.exit_code(), 1..=5 | 124 | 130), "{}", code.name());
        assert_eq!(code.sqlstate().len(), 5, "{}", code.name());
        assert_eq!(serde_json::to_value(code).unwrap(), code.name());
    }
    assert_eq!(ErrorCode::SourceUnavailable.exit_code(), 3);
    assert_eq!(ErrorCode::Timeout.exit_code(), 124);
}

#[test]
fn an_error_keeps_the_first_source_it_names() {
    let error = Error::new(ErrorCode::SourceFailed, "x").with_source_name("inner").with_source_name("outer");
    assert_eq!(error.source_name(), Some("inner"));
}

#[test]
fn an_offer_says_each_reason_once() {
    let offer = ScanOffer { parts: vec![Answer::refused("a"), Answer::Exact, Answer::refused("a"), Answer::Inexact] };
    assert_eq!(offer.reasons(), ["a"]);
    assert!(!offer.is_exact());
    assert!(ScanOffer::all(Answer::Exact, 2).is_exact());
}
