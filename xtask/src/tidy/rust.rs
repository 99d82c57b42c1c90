//! Rust source as tokens: comments gone, and tests too where a rule does not hold for them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token with the line it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident(String),
    /// As written in the source, quotes included.
    Literal(String),
    Punct(char),
    Open(char),
    Close,
}

/// Whether the tests inside a file are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tests {
    Included,
    LeftOut,
}

/// Returns the tokens of a source file, or nothing if it is not Rust: then the compiler says so better than we could.
pub(crate) fn tokens(text: &str, tests: Tests) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Ok(stream) = text.parse::<TokenStream>() {
        flatten(stream, tests, &mut tokens);
    }
    tokens
}

/// Whether a file holds nothing but tests.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests" || part == "benches")
}

fn flatten(stream: TokenStream, tests: Tests, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // The hash of an attribute, `#[…]` or `#![…]`, or one that stands in a macro by itself.
                let is_inner = matches!(trees.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
                if is_inner {
                    trees.next();
                }
                let Some(TokenTree::Group(group)) = trees.peek() else {
                    tokens.push(Token { line, kind: Kind::Punct('#') });
                    continue;
                };
                let attribute = Attribute::of(&group.stream());
                // The text of a documentation comment is a comment, though the lexer makes an attribute of it.
                match attribute {
                    Attribute::Doc => {
                        trees.next();
                    }
                    Attribute::Test if tests == Tests::LeftOut && !is_inner => {
                        trees.next();
                        skip_item(&mut trees);
                    }
                    Attribute::Test | Attribute::Other => tokens.push(Token { line, kind: Kind::Punct('#') }),
                }
            }
            TokenTree::Punct(punct) => tokens.push(Token { line, kind: Kind::Punct(punct.as_char()) }),
            TokenTree::Ident(ident) => tokens.push(Token { line, kind: Kind::Ident(ident.to_string()) }),
            TokenTree::Literal(literal) => tokens.push(Token { line, kind: Kind::Literal(literal.to_string()) }),
            TokenTree::Group(group) => {
                let open = match group.delimiter() {
                    Delimiter::Parenthesis => '(',
                    Delimiter::Brace => '{',
                    Delimiter::Bracket => '[',
                    Delimiter::None => ' ',
                };
                tokens.push(Token { line, kind: Kind::Open(open) });
                let end = group.span_close().end().line;
                flatten(group.stream(), tests, tokens);
                tokens.push(Token { line: end, kind: Kind::Close });
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Doc,
    /// `#[cfg(test)]` and the attributes that make a function a test.
    Test,
    Other,
}

impl Attribute {
    fn of(content: &TokenStream) -> Self {
        let mut text = content.to_string();
        text.retain(|c| !c.is_whitespace());
        let path = text.split(['(', '=']).next().unwrap_or_default();
        if path == "doc" {
            Self::Doc
        } else if text.starts_with("cfg(test)")
            || text.starts_with("cfg(all(test,")
            || path.rsplit("::").next() == Some("test")
        {
            Self::Test
        } else {
            Self::Other
        }
    }
}

/// Passes over the item after an attribute: up to its body in braces or its semicolon.
fn skip_item(trees: &mut impl Iterator<Item = TokenTree>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}

/// Returns where the path `parts`, such as `["tokio", "spawn"]`, begins; a longer path that ends or begins so counts too.
pub(crate) fn paths_with<'a>(tokens: &'a [Token], parts: &'a [&str]) -> impl Iterator<Item = (usize, &'a Token)> {
    (0..tokens.len()).filter_map(move |start| {
        let mut at = start;
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                at = after_colons(tokens, at)?;
            }
            if !matches!(&tokens.get(at)?.kind, Kind::Ident(name) if name == part) {
                return None;
            }
            at += 1;
        }
        Some((at, tokens.get(start)?))
    })
}

/// Returns the position after `::`, if that stands at `at`.
pub(crate) fn after_colons(tokens: &[Token], at: usize) -> Option<usize> {
    let is_colon = |at: usize| tokens.get(at).is_some_and(|token| token.kind == Kind::Punct(':'));
    (is_colon(at) && is_colon(at + 1)).then_some(at + 2)
}

/// Returns the first name of each path in a use tree that begins at `at`: one for `a::b`, several for `{a::b, c}`.
pub(crate) fn first_names(tokens: &[Token], at: usize) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    match tokens.get(at).map(|token| (&token.kind, token.line)) {
        Some((Kind::Ident(name), line)) => names.push((name.clone(), line)),
        Some((Kind::Open('{'), _)) => {
            let (mut depth, mut expects_name) = (1, true);
            for token in tokens.iter().skip(at + 1) {
                match &token.kind {
                    Kind::Open(_) => depth += 1,
                    Kind::Close => depth -= 1,
                    Kind::Punct(',') if depth == 1 => expects_name = true,
                    Kind::Ident(name) if depth == 1 && expects_name => {
                        names.push((name.clone(), token.line));
                        expects_name = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        }
        _ => {}
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Kind, Tests, first_names, is_test_file, paths_with, tokens};

    fn idents(text: &str, tests: Tests) -> Vec<String> {
        let kept = tokens(text, tests).into_iter().filter_map(|token| match token.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        });
        kept.collect()
    }

    #[test]
    fn comments_are_gone() {
        let text = "//! a\n/// b\nfn c() {} // d\n/* e /* f */ */ #[doc = \"g\"] struct H;";
        assert_eq!(idents(text, Tests::LeftOut), ["fn", "c", "struct", "H"]);
    }

    #[test]
    fn tests_are_left_out_where_asked() {
        let text = "#[cfg(test)]\n#[allow(x)]\nmod tests { fn a() {} }\n#[tokio::test]\nasync fn b() {}\n\
                    #[cfg(test)]\nuse c::d;\nfn e() {}";
        assert_eq!(idents(text, Tests::LeftOut), ["fn", "e"]);
        assert!(idents(text, Tests::Included).contains(&"b".to_owned()));
    }

    #[test]
    fn paths_are_found_with_their_lines() {
        let tokens = tokens("fn a() {\n  tokio::spawn(b);\n  tokio :: task :: spawn(c);\n}", Tests::Included);
        let lines: Vec<usize> = paths_with(&tokens, &["tokio", "spawn"]).map(|(_, token)| token.line).collect();
        assert_eq!(lines, [2]);
    }

    #[test]
    fn a_use_tree_gives_the_first_name_of_each_branch() {
        let tokens = tokens("use crate::{a::{b, c}, d as e, f};", Tests::Included);
        let (at, _) = paths_with(&tokens, &["crate"]).next().unwrap();
        let names: Vec<String> = first_names(&tokens, at + 2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "d", "f"]);
    }

    #[test]
    fn files_of_tests_are_known_by_their_paths() {
        assert!(is_test_file("crates/a/src/plan/tests.rs") && is_test_file("crates/a/tests/it.rs"));
        assert!(!is_test_file("crates/a/src/contests.rs"));
    }
}
