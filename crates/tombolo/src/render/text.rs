//! Text in columns: its width on a terminal, cutting, wrapping, and the characters that must not reach a terminal.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that the text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// The text with everything escaped that would break a line, move the cursor, or turn the reading direction.
pub(crate) fn escape(text: &str) -> String {
    if !text.chars().any(is_unsafe) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        push_escaped(&mut escaped, character);
    }
    escaped
}

/// As [`escape`], but newlines stay: for text that is printed as lines of its own, such as native queries.
pub(crate) fn escape_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| escape(&line.replace('\t', "    "))).collect()
}

/// Adds a character, escaped if it must be.
pub(crate) fn push_escaped(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        character if is_unsafe(character) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        }
        character => out.push(character),
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that turn the reading direction, with
/// which a value could show as another.
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text, cut to `columns` with an ellipsis if it is wider.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if used + wide > room {
            break;
        }
        kept.push_str(grapheme);
        used += wide;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// Blanks that fill the text up to `columns`.
pub(crate) fn padding(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text)))
}

/// The text in lines of at most `columns`, broken at blanks where there are any, with the indent of the line kept.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        wrap_line(paragraph, columns, &mut lines);
    }
    lines
}

fn wrap_line(paragraph: &str, columns: usize, lines: &mut Vec<String>) {
    if width(paragraph) <= columns {
        lines.push(paragraph.to_owned());
        return;
    }
    let indent_len = paragraph.len() - paragraph.trim_start().len();
    let indent = &paragraph[..indent_len.min(columns / 2)];
    let mut line = String::from(indent);
    let mut used = width(indent);
    let mut empty = true;
    for word in paragraph.split_whitespace() {
        let wide = width(word);
        let gap = usize::from(!empty);
        if used + gap + wide <= columns {
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
            used += gap + wide;
            empty = false;
            continue;
        }
        if !empty {
            lines.push(std::mem::replace(&mut line, String::from(indent)));
            used = width(indent);
        }
        // A word that is wider than a line is broken anywhere.
        for grapheme in word.graphemes(true) {
            let wide = grapheme.width();
            if used + wide > columns {
                lines.push(std::mem::replace(&mut line, String::from(indent)));
                used = width(indent);
            }
            line.push_str(grapheme);
            used += wide;
        }
        empty = false;
    }
    if !empty {
        lines.push(line);
    }
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn listing(names: &[impl AsRef<str>]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        let seen = escape("a\nb\tc\r\u{1b}[31mred\u{7}\u{9b}2J\u{202e}txt\u{0}");
        assert_eq!(seen, r"a\nb\tc\r\u{1b}[31mred\u{7}\u{9b}2J\u{202e}txt\u{0}");
        assert_eq!(escape("naïve 東京 👩‍👩‍👧"), "naïve 東京 👩‍👩‍👧");
    }

    #[test]
    fn width_counts_columns_not_characters() {
        assert_eq!([width("abc"), width("東京"), width("e\u{301}"), width("👩‍👩‍👧"), width("")], [3, 4, 1, 2, 0]);
    }

    #[test]
    fn a_cut_never_splits_a_character_nor_overflows() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("東京都", 4), "東…");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!([fit("abc", 1), fit("abc", 0)], ["…", ""]);
    }

    #[test]
    fn wrapping_breaks_at_blanks_and_keeps_the_indent() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("abcdefghijklmnop", 10), ["abcdefghij", "klmnop"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listing(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listing(&["a"]), "a");
    }
}
