//! Printing that a closed pipe does not end: `cargo xtask tidy | head` is no failure, and servers still have to be stopped.

use std::fmt;
use std::io::{Write, stderr, stdout};

/// Prints a line to standard output, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Prints a line to standard error, as `eprintln!` does.
macro_rules! complain {
    ($($text:tt)*) => { $crate::output::error_line(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

/// When nobody reads any more, there is nobody to tell.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(stdout(), "{text}");
}

pub(crate) fn error_line(text: fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "{text}");
}
