pub(crate) mod tree;

use super::{LikePart, parse_like, string_literal};

#[test]
fn a_backslash_in_a_pattern_makes_the_next_character_plain() {
    let text = |text: &str| LikePart::Text(text.to_owned());
    assert_eq!(parse_like("a%b_"), [text("a"), LikePart::Any, text("b"), LikePart::One]);
    assert_eq!(parse_like(r"10\%\_\\"), [text(r"10%_\")]);
    assert_eq!(parse_like(r"a\"), [text(r"a\")]);
    assert_eq!(parse_like(""), []);
}

#[test]
fn a_string_literal_is_quoted_or_refused() {
    assert_eq!(string_literal("it's").unwrap(), "'it''s'");
    assert!(string_literal("a\0b").is_err());
}
