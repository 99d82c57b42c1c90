use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};
use tombolo_engine::StatementChange;

use super::style::{Style, Terminal};
use super::text::escape;

/// Writes how a statement was changed: each reason, then its lines, with `-` before those that went and `+` before those that
/// came.
pub(crate) fn write_change(change: &StatementChange, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    for reason in &change.reasons {
        writeln!(out, "{}: {}", terminal.paint(Style::Warning, "added"), escape(reason))?;
    }
    for line in TextDiff::from_lines(&change.before, &change.after).iter_all_changes() {
        let text = escape(line.value().trim_end_matches('\n'));
        let text = match line.tag() {
            ChangeTag::Equal => format!("  {text}"),
            ChangeTag::Delete => terminal.paint(Style::Error, &format!("- {text}")),
            ChangeTag::Insert => terminal.paint(Style::Good, &format!("+ {text}")),
        };
        writeln!(out, "{text}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_shown() {
        let change = StatementChange {
            before: "SELECT *\nFROM a\nCROSS JOIN b".to_owned(),
            after: "SELECT *\nFROM a\nJOIN b ON b.a_id = a.id".to_owned(),
            reasons: vec!["`ON b.a_id = a.id` (a foreign key of b)".to_owned()],
        };
        let mut out = Vec::new();
        write_change(&change, Terminal::PLAIN, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        added: `ON b.a_id = a.id` (a foreign key of b)
          SELECT *
          FROM a
        - CROSS JOIN b
        + JOIN b ON b.a_id = a.id
        ");
    }
}
