use std::io::{self, Write};

use super::text::is_unsafe;

/// Passes text on to a terminal, with what would steer it escaped as `\u001b`: for the formats that are written as they are
/// when a program reads them. Line ends and tabs pass.
pub(super) struct TerminalSafe<W> {
    out: W,
    /// The begin of a character whose end has not come yet.
    pending: Vec<u8>,
}

impl<W: Write> TerminalSafe<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, pending: Vec::new() }
    }
}

impl<W: Write> Write for TerminalSafe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        let complete = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = self.pending.split_off(complete);
        let text = String::from_utf8(std::mem::replace(&mut self.pending, rest)).unwrap_or_default();
        let mut safe = String::with_capacity(text.len());
        for character in text.chars() {
            if is_unsafe(character) && !matches!(character, '\n' | '\t') {
                safe.push_str(&format!("\\u{:04x}", u32::from(character)));
            } else {
                safe.push(character);
            }
        }
        self.out.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered_even_by_parts_of_characters() {
        let mut safe = TerminalSafe::new(Vec::new());
        for byte in "a\u{1b}[2J\u{9b}1m\u{202e}東京\r\n\t".as_bytes() {
            safe.write_all(&[*byte]).unwrap();
        }
        assert_eq!(String::from_utf8(safe.out).unwrap(), "a\\u001b[2J\\u009b1m\\u202e東京\\u000d\n\t");
    }
}
