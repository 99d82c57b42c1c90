use std::borrow::Cow;

use tombolo_connector::{Error, ErrorCode, Result};

use super::repair::{DISTINCT, NOT_DISTINCT, OPERATORS};

/// A run of text that is either code, or something that must not be looked into: a string, a quoted name, a comment.
struct Piece<'a> {
    text: &'a str,
    code: bool,
    /// False for a string or a quoted name that the text ends inside of.
    closed: bool,
    comment: bool,
}

/// Cuts a text into code and what is quoted or commented.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let (length, closed) = match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => quoted_length(rest.as_bytes(), quote),
            b'-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), true),
            b'/' if rest.starts_with("/*") => block_comment_length(rest),
            b'$' => match dollar_quoted_length(rest) {
                Some(found) => found,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        if start < at {
            pieces.push(Piece { text: &text[start..at], code: true, closed: true, comment: false });
        }
        let comment = matches!(bytes[at], b'-' | b'/');
        pieces.push(Piece { text: &text[at..at + length], code: false, closed, comment });
        at += length;
        start = at;
    }
    if start < text.len() {
        pieces.push(Piece { text: &text[start..], code: true, closed: true, comment: false });
    }
    pieces
}

/// The length of a string or quoted name, in which the quote itself is doubled.
fn quoted_length(bytes: &[u8], quote: u8) -> (usize, bool) {
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return (at + 1, true);
            }
            at += 1;
        }
        at += 1;
    }
    (bytes.len(), false)
}

/// The length of a block comment; they nest.
fn block_comment_length(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (at, true);
                }
            }
            _ => at += 1,
        }
    }
    (bytes.len(), false)
}

/// The length of a `$tag$ … $tag$` string, if the text begins with one.
fn dollar_quoted_length(text: &str) -> Option<(usize, bool)> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let name = &tag[1..tag.len() - 1];
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match text[tag_end..].find(tag) {
        Some(close) => Some((tag_end + close + tag_end, true)),
        None => Some((text.len(), false)),
    }
}

/// Cuts a script at the `;` that stand outside of strings, quoted names and comments. Statements without any code in them
/// are left out.
///
/// # Errors
/// [`ErrorCode::SyntaxError`] where the text ends inside a string, a quoted name or a comment.
pub(crate) fn split_statements(text: &str) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut has_code = false;
    for piece in pieces(text) {
        if !piece.closed {
            let begin: String = piece.text.chars().take(30).collect();
            return Err(Error::new(ErrorCode::SyntaxError, format!("the text ends inside what begins with {begin}"))
                .with_hint("Close the quote or the comment."));
        }
        if !piece.code {
            has_code |= !piece.comment;
            current.push_str(piece.text);
            continue;
        }
        for (index, part) in piece.text.split(';').enumerate() {
            if index > 0 {
                if has_code {
                    statements.push(current.trim().to_owned());
                }
                current.clear();
                has_code = false;
            }
            has_code |= !part.trim().is_empty();
            current.push_str(part);
        }
    }
    if has_code {
        statements.push(current.trim().to_owned());
    }
    Ok(statements)
}

/// Quotes bracketed names (`[users-db].users`) and known sources' hyphenated names (`mysql-conn-id.users`).
///
/// Brackets are a name when a `.` follows or goes before them and they do not follow a value, so that array literals and
/// subscripts stay what they are.
pub(super) fn quote_source_names(text: &str, source_names: &[String]) -> String {
    let mut hyphenated: Vec<&str> = source_names.iter().map(String::as_str).filter(|name| name.contains('-')).collect();
    // The longest first, so that of `a-b` and `a-b-c` the one that is written is found.
    hyphenated.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut quoted = String::with_capacity(text.len() + 16);
    for piece in pieces(text) {
        if piece.code {
            quote_in_code(&operators_for_distinct(piece.text), &hyphenated, &mut quoted);
        } else {
            quoted.push_str(piece.text);
        }
    }
    quoted
}

/// Puts an operator in place of `IS [NOT] DISTINCT FROM`; see [`super::repair`].
fn operators_for_distinct(code: &str) -> Cow<'_, str> {
    // Words with their places; anything between two of them but blanks keeps them apart.
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (is_word(c), start) {
            (true, None) => start = Some(at),
            (false, Some(begin)) => {
                words.push((begin, at));
                start = None;
            }
            _ => {}
        }
    }
    let follows = |index: usize, wanted: &[&str]| {
        wanted.iter().enumerate().all(|(offset, word)| {
            let Some(&(begin, end)) = words.get(index + offset) else { return false };
            let joined = offset == 0 || code[words[index + offset - 1].1..begin].trim().is_empty();
            joined && code[begin..end].eq_ignore_ascii_case(word)
        })
    };
    let mut out = String::new();
    let mut copied = 0;
    for (index, &(begin, _)) in words.iter().enumerate() {
        let (length, name) = if follows(index, &["is", "distinct", "from"]) {
            (3, DISTINCT)
        } else if follows(index, &["is", "not", "distinct", "from"]) {
            (4, NOT_DISTINCT)
        } else {
            continue;
        };
        out.push_str(&code[copied..begin]);
        out.push_str(&format!("OPERATOR({OPERATORS}.{name})"));
        copied = words[index + length - 1].1;
    }
    if copied == 0 {
        return Cow::Borrowed(code);
    }
    out.push_str(&code[copied..]);
    Cow::Owned(out)
}

fn quote_in_code(code: &str, hyphenated: &[&str], out: &mut String) {
    let mut at = 0;
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if c == '[' {
            let follows_value =
                out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '"' | '\''));
            if let Some(close) = rest.find(']').filter(|close| *close > 1 && !follows_value) {
                let inner = &rest[1..close];
                let joined = rest[close + 1..].starts_with('.') || out.ends_with('.');
                if joined && !inner.contains(['[', '"', '\'']) {
                    push_quoted(out, inner);
                    at += close + 1;
                    continue;
                }
            }
        } else if c.is_alphabetic() && !after_word && !out.ends_with('.') {
            let found = hyphenated.iter().find(|name| {
                rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                    && rest[name.len()..].starts_with('.')
            });
            if let Some(name) = found {
                push_quoted(out, name);
                at += name.len();
                continue;
            }
        }
        out.push(c);
        at += c.len_utf8();
    }
}

fn push_quoted(out: &mut String, name: &str) {
    out.push('"');
    out.push_str(&name.replace('"', "\"\""));
    out.push('"');
}
