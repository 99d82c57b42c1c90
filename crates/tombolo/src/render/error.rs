use std::io::{self, Write};

use tombolo_connector::Error;

use super::style::{Style, Terminal};
use super::text::{escape, escape_lines, wrap};

/// Writes an error as people read it: the code and the message, facts, and what to do next.
///
/// ```text
/// error[table_not_found]: source shop has no table custmers
///   detail: it has customers, regions
///   hint: Did you mean shop.customers?
/// ```
pub(crate) fn write_error(error: &Error, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let label = terminal.paint(Style::Error, &format!("error[{}]", error.code().name()));
    let mut message = escape(error.message());
    if let Some(source) = error.source_name()
        && !message.contains(source)
    {
        message = format!("{message} (source {})", escape(source));
    }
    writeln!(out, "{label}: {message}")?;
    // A foreign error is often repeated in the message that was made from it.
    if let Some(detail) = error.detail().filter(|detail| !error.message().contains(detail.trim())) {
        write_part(out, "detail", detail, terminal)?;
    }
    if let Some(hint) = error.hint() {
        write_part(out, "hint", hint, terminal)?;
    }
    Ok(())
}

fn write_part(out: &mut dyn Write, label: &str, text: &str, terminal: Terminal) -> io::Result<()> {
    let indent = 2 + label.len() + 2;
    let room = terminal.prose_width().saturating_sub(indent);
    // Lines are kept: a detail may show a diff or the place of a syntax error.
    let lines: Vec<String> = escape_lines(text.trim_end()).iter().flat_map(|line| wrap(line, room)).collect();
    for (index, line) in lines.iter().enumerate() {
        if index == 0 {
            writeln!(out, "  {} {line}", terminal.paint(Style::Dim, &format!("{label}:")))?;
        } else {
            writeln!(out, "{}{line}", " ".repeat(indent))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tombolo_connector::ErrorCode;

    use super::*;

    fn written(error: &Error, terminal: Terminal) -> String {
        let mut out = Vec::new();
        write_error(error, terminal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_says_what_and_what_to_do() {
        let error = Error::new(ErrorCode::TableNotFound, "there is no table custmers")
            .with_detail("it has:\n  customers\n  regions")
            .with_hint("Did you mean shop.customers?")
            .with_source_name("shop");
        insta::assert_snapshot!(written(&error, Terminal::PLAIN), @r"
        error[table_not_found]: there is no table custmers (source shop)
          detail: it has:
                    customers
                    regions
          hint: Did you mean shop.customers?
        ");
    }

    #[test]
    fn colours_come_only_where_they_are_shown() {
        let error = Error::new(ErrorCode::Usage, "no such \u{1b}[31mflag").with_hint("Look at `tombolo help`.");
        assert!(!written(&error, Terminal::PLAIN).contains('\u{1b}'));
        let colored = written(&error, Terminal { colors: true, ..Terminal::PLAIN });
        assert!(colored.starts_with("\u{1b}[1;31merror[usage]\u{1b}[0m: no such \\u{1b}[31mflag"));
    }
}
